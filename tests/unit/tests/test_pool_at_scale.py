"""The simulation of large pools, held to what can be worked out by hand."""
import random
import runpy

import pytest
from support import ROOT

BENCH = runpy.run_path(str(ROOT / "tests/bench/pool_at_scale.py"))
ASSUMED = dict(BENCH["ASSUMED"], doors=2, models=2, interval=1.0, patience=2.0, fall=2)


def test_looks_grow_with_hosts_at_a_door_and_not_at_a_member():
    found = [BENCH["looks"](hosts, (0.002, 0.004), ASSUMED) for hosts in (10, 1000)]
    assert [one["looks_of_a_door_per_second"] for one in found] == [60, 6000]
    assert [one["cores_of_a_door"] for one in found] == pytest.approx([0.06, 6.0]) and [one["cores_of_a_member"] for one in found] == pytest.approx([0.024] * 2)


def test_a_dead_host_is_found_by_two_looks_in_vain_or_by_a_request():
    draw = random.Random(1)
    found = [BENCH["unnoticed"](draw, ASSUMED, 0) for _death in range(500)]
    assert 5.0 < min(found) and max(found) < 6.0 and sum(found) / 500 == pytest.approx(5.75, abs=0.03)  # the last of three that are even from 5 to 6
    assert BENCH["unnoticed"](draw, ASSUMED, 1e6) == pytest.approx(2.0, abs=0.01)


def test_a_key_takes_as_many_rounds_as_there_are_hosts_for_a_fork():
    even = dict(ASSUMED, tasks_of_a_key=3, task=2.0, spread=0.0)
    assert [BENCH["distributed"](random.Random(1), hosts, 5, even) for hosts in (4, 5, 6, 100)] == pytest.approx([6, 6, 12, 120])


def test_a_turn_waits_for_streams_no_longer_than_they_are_given():
    still = dict(ASSUMED, deployed=100.0, notice=4.0, streams=1000, stream=60.0, drain=30.0)
    assert BENCH["turn"](random.Random(1), still) == 134.0
    assert 104.0 < BENCH["turn"](random.Random(1), dict(still, streams=1, stream=0.1)) < 106.0
    found = BENCH["rolled"](random.Random(1), 100, dict(still, faults=(0.01,)))
    assert found["hours"] == pytest.approx(100 * 134 / 3600) and found["ends"]["0.01"] == pytest.approx(0.366, abs=0.001) and found["out"] == 0.01


def test_a_handshake_costs_both_sides_something():
    door, member = BENCH["handshakes"](3)
    assert 0 < door < 0.1 and 0 < member < 0.1

"""What is read out of lscpu, and how cores are spread, packed and cut up."""
import json
import os
import pathlib
import sys

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import topology

sys.path.insert(0, os.path.dirname(__file__))
import machines  # noqa: E402


@pytest.mark.parametrize("cpus, logical, cores, nodes, ccds", [
    (machines.PAIR, 2, 2, [2], [2]), (topology.parse(machines.TABLE), 2, 2, [2], [2]),
    (machines.THREADRIPPER, 192, 96, [96], [8] * 12), (machines.THREADRIPPER_NPS4, 192, 96, [24] * 4, [8] * 12),
    (machines.TWO_EPYCS, 256, 128, [64] * 2, [8] * 16), (machines.OPAQUE, 4, 4, [4], [4]),
], ids=["two cores", "a table", "Threadripper", "Threadripper with NPS4", "two EPYCs", "tells nothing"])
def test_what_a_machine_is(cpus, logical, cores, nodes, ccds):
    assert (len(cpus), len(topology.physical(cpus))) == (logical, cores)
    assert ([len(node) for node in topology.nodes(cpus)], [len(ccd) for ccd in topology.ccds(cpus)]) == (nodes, ccds)
    for groups in (topology.nodes(cpus), topology.ccds(cpus)):
        assert sorted(cpu for group in groups for cpu in group) == sorted(topology.physical(cpus))


def test_without_lscpu_each_cpu_is_a_core():
    assert topology.physical(topology.parse("", 3)) == [0, 1, 2] and len(topology.ccds(topology.parse("", 3))) == 1


def test_siblings_are_no_physical_cores():
    assert topology.physical(machines.THREADRIPPER) == list(range(96))


def test_siblings_that_stand_side_by_side_are_told_by_their_core():
    rows = [{"cpu": cpu, "core": cpu // 2, "socket": 0, "node": 0, "l1d:l1i:l2:l3": "0:0:0:0", "online": True} for cpu in range(8)]
    assert topology.physical(topology.parse(json.dumps({"cpus": rows}))) == [0, 2, 4, 6]


def test_cores_are_spread_over_the_ccds_or_packed():
    assert topology.listed(topology.spread(machines.THREADRIPPER, 24)) == ",".join("%d-%d" % (8 * ccd, 8 * ccd + 1) for ccd in range(12))
    assert topology.listed(topology.packed(machines.THREADRIPPER, 24)) == "0-23"
    assert topology.nodes_of(machines.THREADRIPPER_NPS4, topology.packed(machines.THREADRIPPER_NPS4, 24)) == [0]
    assert topology.spread(machines.PAIR, 2) == [0, 1]


@pytest.mark.parametrize("cpus, weights, parts", [
    (machines.THREADRIPPER, [1, 1], ["0-47", "48-95"]), (machines.THREADRIPPER, [3, 1], ["0-71", "72-95"]),
    (machines.THREADRIPPER, [1] * 5, ["0-15", "16-39", "40-55", "56-79", "80-95"]), (machines.TWO_EPYCS, [1, 1], ["0-63", "64-127"]),
    (machines.PAIR, [1, 1], ["0", "1"]), (machines.PAIR, [3, 1], ["0", "1"]), (machines.OPAQUE, [3, 1], ["0-2", "3"]), (machines.PAIR, [1, 1, 1], []),
])
def test_shares_are_disjoint_and_whole_ccds_where_there_are_enough(cpus, weights, parts):
    found = topology.shares(cpus, weights)
    assert [topology.listed(part) for part in found] == parts
    assert not found or sorted(cpu for part in found for cpu in part) == sorted(topology.physical(cpus))


@pytest.mark.parametrize("numbers, text", [([], ""), ([3], "3"), ([0, 1, 2, 3, 8], "0-3,8"), ([5, 1, 0, 1], "0-1,5")])
def test_lists_of_cpus_are_written_as_the_kernel_does(numbers, text):
    assert topology.listed(numbers) == text
    assert not text or topology.expanded(text) == sorted(set(numbers))


@pytest.mark.parametrize("text", ["", "all", "3-1", "1-", "-1", "1,,2", "0-9999999999", "²", "0-²"])
def test_what_is_no_list_of_cpus_is_refused(text):
    with pytest.raises(ValueError, match="no list of CPUs"):
        topology.expanded(text)


def test_a_mask_has_a_bit_for_each_cpu():
    assert topology.mask([0, 1, 2, 3, 8]) == "0x10f"


def test_the_last_level_cache_is_that_of_the_highest_level():
    text = json.dumps({"caches": [{"name": "L3", "one-size": "33554432", "all-size": "402653184", "level": 3}, {"name": "L2", "all-size": "1", "level": 2}]})
    assert topology.last_level_cache(text) == 384 << 20
    assert topology.last_level_cache("") is None and topology.last_level_cache('{"caches": [{"name": "L3", "level": 3}]}') is None


def test_this_machine_is_read():
    from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import reading
    found = reading.host()
    online = (pathlib.Path("/sys/devices/system/cpu/online").read_text(encoding="ascii")).strip()
    assert {cpu["cpu"] for cpu in found["cpus"]} <= set(topology.expanded(online)) & os.sched_getaffinity(1)
    assert found["fingerprint"]["threads"] == len(found["cpus"]) >= found["fingerprint"]["cores"] >= 1

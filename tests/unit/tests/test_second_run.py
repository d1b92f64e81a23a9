"""The rounds of a run that changes nothing become medians, and the longest tasks stand first."""
import runpy

import pytest
from support import ROOT

BENCH = runpy.run_path(str(ROOT / "tests/bench/second_run.py"))


def test_rounds_become_medians_and_the_longest_task_is_first():
    rounds = [(60.04, 95, 56, {"a: look": 1.0, "b: judge": 4.0}), (50.0, 95, 56, {"a: look": 3.0, "b: judge": 5.0}), (70.0, 95, 56, {"a: look": 2.0})]
    found = BENCH["summed"](rounds)
    assert found["seconds"] == [60.0, 50.0, 70.0] and found["median"] == 60.0 and found["tasks"] == {"done": 95, "passed over": 56}
    assert list(found["longest"].items()) == [("b: judge", 4.0), ("a: look", 2.0)] and found["in_tasks"] == 6.0


def played(monkeypatch, **given):
    class Run:
        rc, changed, failures, seconds, output = 0, set(), [], 61.5, "bunker-demo : ok=3    changed=0    unreachable=0    failed=0    skipped=2    rescued=0"

    def play(_playbook, host, _folder, *options, watch):
        assert (host, options) == ("bunker-demo", ("-e", "a=b"))
        for number, (event, role) in enumerate([("runner_on_ok", "networks"), ("runner_on_skipped", None), ("runner_on_ok", "networks"), ("verbose", None)]):
            watch({"event": event, "event_data": {"task": "Look", "role": role, "duration": number + 1.0}})
        return type("Run", (Run,), given)
    monkeypatch.setattr(BENCH["plays"], "play", play)
    return BENCH["one_round"]("bunker-demo", "folder", ["-e", "a=b"])


def test_a_round_sums_a_task_that_is_done_more_than_once(monkeypatch):
    assert played(monkeypatch) == (61.5, 3, 2, {"networks: Look": 4.0, "the play: Look": 2.0})


@pytest.mark.parametrize("given, said", [({"rc": 2, "failures": ["no room"]}, "failed: no room"), ({"changed": {"Copy"}}, "changed something: Copy")],
                         ids=["failed", "changed"])
def test_a_run_that_fails_or_changes_something_ends_it(monkeypatch, given, said):
    with pytest.raises(SystemExit, match=said):
        played(monkeypatch, **given)

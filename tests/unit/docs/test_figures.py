"""What `./bunker test --full` recorded: all of it passed, and the documents say what it measured."""
import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECORDED = json.loads((ROOT / "tests" / "results" / "contingencies.json").read_text(encoding="utf-8"))["results"]
FAULTS = sorted(name for name, found in RECORDED.items() if "sent" in found)


def test_there_are_faults():
    assert len(FAULTS) >= 9


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_stands_in_the_table_as_it_was_measured(name):
    page = (ROOT / "docs" / "contingencies.md").read_text(encoding="utf-8")
    found = RECORDED[name]
    row = "| %s | %.1f s | %.0f s | %d of %d | %d |" % (
        name, found["seconds_to_detect"], found["longest_without_the_oracle_s"], found["failed"], found["sent"], found["answered_by_the_executor"])
    assert row in page.splitlines()


def test_what_watching_costs_is_told_as_it_was_measured():
    found = RECORDED["cost_of_watching"]
    row = "%.2f %% of one core, %.0f MB, %.3f times the speed (%.3f to %.3f)" % (
        found["percent_of_a_core"], found["resident_mb"], found["speed_ratio"], *found["speed_ratio_95"])
    assert row in (ROOT / "docs" / "measured.md").read_text(encoding="utf-8")
    assert row in (ROOT / "docs" / "contingencies.md").read_text(encoding="utf-8")


def test_what_a_run_takes_that_changes_nothing_is_told_as_it_was_measured():
    found = json.loads((ROOT / "tests" / "bench" / "results" / "second_run.json").read_text(encoding="utf-8"))
    row = "| %.0f s, median of %d (%.0f to %.0f), in %d tasks done and %d passed over, `changed=0` (%s," % (
        found["median"], len(found["seconds"]), min(found["seconds"]), max(found["seconds"]), found["tasks"]["done"], found["tasks"]["passed over"],
        found["provenance"]["date"])
    assert row in (ROOT / "docs" / "measured.md").read_text(encoding="utf-8")


def test_every_longer_test_that_was_recorded_passed():
    tests = json.loads((ROOT / "tests" / "results" / "full.json").read_text(encoding="utf-8"))["tests"]
    assert len(tests) > 30
    assert {name: one["outcome"] for name, one in tests.items() if one["outcome"] != "passed"} == {}

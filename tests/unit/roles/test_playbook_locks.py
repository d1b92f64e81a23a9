"""Each playbook that changes a host takes the lock before anything else does, and cannot begin in the middle."""
import re

import pytest
import rendering
import yaml
from ansible.template import trust_as_template
from support import ROOT

CHANGE = {"backup", "bench", "contingency", "pool", "restore", "rolling", "rotate", "site", "teardown"}
LOOK = {"bundle", "init", "kubernetes", "reproduce", "sbom", "verify"}
FROM_THE_START = "{{ 'all' | protocol_omni.bunker.from_the_start }}"
# What only looks, or judges on the controller.
BEFORE = {"protocol_omni.bunker.validate_inventory", "ansible.builtin.assert"}
ORDER = {"name": "protocol_omni.bunker.pool", "tasks_from": "order.yml"}


def plays(name):
    return yaml.safe_load((ROOT / "playbooks" / (name + ".yml")).read_text(encoding="utf-8"))


def test_every_playbook_is_known():
    assert {path.stem for path in (ROOT / "playbooks").glob("*.yml")} == CHANGE | LOOK


@pytest.mark.parametrize("name", sorted(CHANGE))
def test_the_lock_comes_before_what_changes_something(name):
    tasks = [task for play in plays(name) for task in play.get("tasks", [])]
    before = next(number for number, task in enumerate(tasks) if "protocol_omni.bunker.play_lock" in task)
    assert all(set(task) & BEFORE or task.get("ansible.builtin.import_role") == ORDER for task in tasks[:before])
    hosts = [play["hosts"] for play in plays(name) if "hosts" in play]
    # A rolling change has settled their order by then.
    assert all(one.endswith("| protocol_omni.bunker.from_the_start }}") for one in hosts)
    assert all(one == FROM_THE_START for one in (hosts[:-1] if name == "rolling" else hosts))
    lock = tasks[before]
    assert lock["protocol_omni.bunker.play_lock"]["wait"] == "{{ bunker_lock_wait | default(10) }}" and lock.get("tags", ["always"]) == ["always"]
    assert "when" not in lock or name == "contingency"


def test_day_two_names_those_that_take_it():
    page = (ROOT / "docs" / "day-two.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"(?s)\n\n([^\n]*`site\.yml`[^|]*?) take one lock", page)
    assert set(re.findall(r"`(\w+)\.yml`", said)) == CHANGE


def test_a_tag_does_not_leave_the_lock_out():
    (lock,) = [task for play in plays("site") for task in play.get("tasks", []) if "protocol_omni.bunker.play_lock" in task]
    assert lock["tags"] == ["always"]


@pytest.mark.parametrize("name", sorted(LOOK))
def test_what_only_looks_takes_no_lock(name):
    assert "play_lock" not in (ROOT / "playbooks" / (name + ".yml")).read_text(encoding="utf-8")


def test_the_watchers_own_step_does_not_wait_for_a_play():
    (lock,) = [task for task in plays("contingency")[0]["tasks"] if "protocol_omni.bunker.play_lock" in task]
    when = trust_as_template(lock["when"])
    templar = rendering.templar("preflight", {"contingency_by_hand": "false"})
    assert templar.evaluate_conditional(when) is False and rendering.templar("preflight", {}).evaluate_conditional(when) is True


def test_the_wait_has_one_default():
    assert rendering.read("preflight", "defaults/main.yml")["bunker_lock_wait"] == 10
    spec = rendering.read("preflight", "meta/argument_specs.yml")["argument_specs"]["main"]["options"]["bunker_lock_wait"]
    assert (spec["type"], spec["default"]) == ("int", 10)

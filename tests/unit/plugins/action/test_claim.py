"""A claim's task looks and judges in one: what the module returned is returned and judged; a look that failed records nothing."""
import types

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.protocol_omni.bunker.plugins.action import claim


class Plain:
    """In the place of a templar."""

    @staticmethod
    def template(value):
        return value


def run(seen=None, **given):
    """What the action returns, and what it asked the host."""
    task = types.SimpleNamespace(async_val=0, check_mode=False, action="claim", args=dict({"role": "throughput"}, **given))
    action = claim.ActionModule(task, types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None)), None, None, Plain)
    asked = []
    action._execute_module = lambda module_name, module_args, task_vars: asked.append((module_name, module_args)) or dict(seen)
    return action.run(task_vars={"ansible_facts": {"bunker_claims": {"earlier": {}}}}), asked


SEEN = {"containers": ["left"], "engine": "", "measuring": False, "measured": {"services": {}}}


def test_what_was_seen_is_returned_and_judged():
    found, asked = run(SEEN, look={"throughput_info": {"path": "/fact"}}, wanted={"tolerance": 5})
    assert asked == [("throughput_info", {"path": "/fact"})] and found["containers"] == ["left"] and not found["changed"]
    rows = found["ansible_facts"]["bunker_claims"]
    assert {name: row["status"] for name, row in rows.items() if row} == {"throughput.clean": "fails", "throughput.roofline": "does not apply"}
    assert "earlier" in rows


def test_a_look_that_failed_records_nothing():
    found, _asked = run({"failed": True, "msg": "It needs root."}, look={"throughput_info": {}})
    assert found["failed"] and found["msg"] == "It needs root." and "ansible_facts" not in found


def test_where_nobody_is_asked_it_is_judged_as_skipped():
    found, asked = run(role="observability", look={}, wanted={"enabled": False})
    assert asked == [] and {row["status"] for name, row in found["ansible_facts"]["bunker_claims"].items() if row} == {"does not apply"}
    assert "skipped" not in found  # Ansible would keep no facts of it


@pytest.mark.parametrize("given", [{"look": {}}, {"look": {"observability_info": {}}}], ids=["nobody is asked", "the module skips"])
def test_a_look_that_was_skipped_is_no_task_that_was_skipped(given):
    # Of a task that says so, ansible records no facts, and so no claims.
    found, _asked = run({"skipped": True}, role="observability", wanted={"enabled": False}, **given)
    assert not found.get("skipped") and len(found["ansible_facts"]["bunker_claims"]) > 1


def test_what_was_seen_besides_is_judged_too(monkeypatch):
    monkeypatch.setattr(claim.judges, "observations", lambda wanted, judge, seen: {"throughput.clean": {
        "expected": judge, "observed": "%s %s" % (seen["host"], seen["containers"]), "holds": True}})
    found, _asked = run(SEEN, look={"throughput_info": {}}, besides={"host": "here"}, judge="deployed")
    row = found["ansible_facts"]["bunker_claims"]["throughput.clean"]
    assert (row["expected"], row["observed"]) == ("deployed", "here ['left']")


def test_either_results_or_a_look():
    with pytest.raises(AnsibleActionFail, match="one of the following is required: results, look"):
        run()
    found, asked = run(results={"throughput.clean": {"expected": "a", "observed": "a", "holds": True}})
    assert asked == [] and found["ansible_facts"]["bunker_claims"]["throughput.clean"]["status"] == "holds"


def test_a_judge_that_is_none_is_named_with_those_that_are():
    with pytest.raises(AnsibleActionFail, match="The claims of nobody are not judged here. Known: container_engine, "):
        run(SEEN, look={"throughput_info": {}}, judge="nobody")

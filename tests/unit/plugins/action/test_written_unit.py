"""A unit that check mode has not written is predicted; every other one is asked for."""
import types

import pytest

from ansible_collections.protocol_omni.bunker.plugins.action import written_unit


def run(check, **given):
    """What the action returns, and what it asked systemd_service for."""
    task = types.SimpleNamespace(async_val=0, check_mode=check, action="written_unit", args=dict({"name": "a.service"}, **given))
    action = written_unit.ActionModule(task, types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None)), None, None, None)
    asked = []
    action._execute_module = lambda module_name, module_args, task_vars: asked.append(module_args) or {"changed": False, "status": {"ActiveState": "active"}}
    return action.run(task_vars={}), asked


def test_a_unit_that_check_mode_has_not_written_is_predicted():
    found, asked = run(True, is_new=True, state="restarted")
    assert found["changed"] is True and found["msg"] == "Would start a.service" and asked == []


@pytest.mark.parametrize("check, is_new, given, reads_anew", [
    (True, False, {}, False), (False, True, {}, True), (False, False, {}, False), (False, False, {"daemon_reload": True}, True)])
def test_every_other_one_is_asked_for(check, is_new, given, reads_anew):
    found, (asked,) = run(check, is_new=is_new, state="reloaded", **given)
    assert asked == {"name": "a.service", "state": "reloaded", "enabled": True, "daemon_reload": reads_anew}
    assert found["changed"] is False and found["status"]["ActiveState"] == "active"

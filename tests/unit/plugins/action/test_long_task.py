"""A module in the background, with a stand-in for the host: what is asked of it, and what is left there."""
import types

import pytest

from ansible_collections.protocol_omni.bunker.plugins.action import long_task

JOB = "j1.2"


class OnAHost(long_task.ActionModule):
    """The host gives these answers, one a module that it is asked to run."""

    def __init__(self, answers):
        task = types.SimpleNamespace(async_val=0, check_mode=False, action="long_task", args={
            "title": "Build", "module": "ansible.builtin.command", "arguments": {"cmd": "true"}, "watch": "/var/log/build.log"})
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/a"))
        super().__init__(task, connection, None, None, None)
        self.answers, self.asked = list(answers), []

    def get_shell_option(self, option, default=None):
        return default

    def _remote_expand_user(self, path, sudoable=True, pathsep=None):
        return path.replace("~", "/root")

    def _execute_module(self, module_name=None, module_args=None, **_others):
        self.asked.append((module_name, module_args.get("mode")))
        if module_args.get("mode") == "cleanup":
            assert module_args == {"jid": JOB, "mode": "cleanup", "_async_dir": "/root/.ansible_async"}
            return {"erased": True}
        return self.answers.pop(0)


@pytest.fixture
def long_run(monkeypatch):
    """Runs with the host's answers; returns (result, modes of what was asked of the job)."""
    monkeypatch.setattr(long_task.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(long_task.display, "display", lambda _words: None)

    def run(*answers, **arguments):
        action = OnAHost(answers)
        action._task.args["arguments"].update(arguments)
        result = action.run(task_vars={"inventory_hostname": "host"})
        assert not action.answers and action._task.async_val == 0
        return result, [mode for name, mode in action.asked if name == "ansible.legacy.async_status"]
    return run


STARTED = {"ansible_job_id": JOB, "started": 1, "finished": 0}


@pytest.mark.parametrize("answer", [{"rc": 0, "changed": True}, {"rc": 2, "failed": True}], ids=["good", "failed"])
def test_a_task_that_ended_leaves_no_file_of_its_job(long_run, answer):
    result, asked = long_run(STARTED, dict(STARTED), dict(answer, ansible_job_id=JOB, started=1, finished=1, results_file="/root/.ansible_async/j1.2"))
    assert result == answer
    assert asked == ["status", "status", "cleanup"]


def test_a_question_that_fails_is_told_and_leaves_none_either(long_run):
    assert long_run(STARTED, {"failed": True, "msg": "could not find job"}) == ({"failed": True, "msg": "could not find job"}, ["status", "cleanup"])


def test_a_module_that_does_not_start_has_no_job(long_run):
    assert long_run({"failed": True, "msg": "no such module"}) == ({"failed": True, "msg": "no such module"}, [])


# What apt's module says on a host without python3-apt, for which it asks apt-get before it waits for anything.
HELD = {"rc": 100, "failed": True, "finished": 1, "msg": "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1771 (python3)"}


def test_a_lock_of_apt_that_somebody_holds_is_waited_for_as_long_as_the_module_says(long_run):
    done = {"rc": 0, "changed": True}
    assert long_run(STARTED, dict(HELD), STARTED, dict(HELD), STARTED, dict(done, finished=1), lock_timeout=300) == (done, ["status", "cleanup"] * 3)


@pytest.mark.parametrize("more, answer", [({}, HELD), ({"lock_timeout": 0}, HELD), ({"lock_timeout": 300}, dict(HELD, msg="E: Unable to fetch some archives"))],
                         ids=["a module that waits for none", "the time is over", "another fault"])
def test_what_is_no_lock_or_was_waited_for_long_enough_is_told_at_once(long_run, more, answer):
    result, asked = long_run(STARTED, dict(answer), **more)
    assert result["failed"] and result["msg"] == answer["msg"] and asked == ["status", "cleanup"]

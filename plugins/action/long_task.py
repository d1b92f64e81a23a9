# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shlex
import time

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import progress

display = Display()

LOCK_EVERY = 10  # seconds between two tries while somebody else holds apt's lock


def lock_is_held(result):
    """Whether a module failed because somebody else holds a lock of apt. The module of apt waits for most of them by itself (lock_timeout), not for that of the
    lists while it installs python3-apt for itself."""
    return bool(result.get("failed")) and "Could not get lock" in "%s %s" % (result.get("msg"), result.get("stderr"))


class ActionModule(ActionBase):
    """Runs a module in the background and shows how far it is; documented in plugins/modules/long_task.py."""

    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            argument_spec={
                "title": {"type": "str", "required": True},
                "module": {"type": "str", "required": True},
                "arguments": {"type": "dict", "required": True},
                "watch": {"type": "path", "required": True},
                "timeout": {"type": "int", "default": 14400},
                "interval": {"type": "int", "default": 15},
            })
        if self._task.check_mode:
            result.update(changed=True, msg="Would run: %s" % arguments["title"])
            return result
        began, wait = time.monotonic(), int(arguments["arguments"].get("lock_timeout", 0))
        while True:
            found = self._once(arguments, task_vars)
            if not lock_is_held(found) or time.monotonic() - began >= wait:
                break
            display.display("[%s] %s: somebody else holds apt's lock, for %d s so far" % (
                task_vars.get("inventory_hostname"), arguments["title"], time.monotonic() - began))
            time.sleep(LOCK_EVERY)
        result.update(found)
        return result

    def _once(self, arguments, task_vars):
        """What came of the module."""
        job = self._start(arguments, task_vars)
        return self._follow(job["ansible_job_id"], arguments, task_vars) if "ansible_job_id" in job else job  # without one it failed before it started

    def _start(self, arguments, task_vars):
        module, module_arguments = arguments["module"], dict(arguments["arguments"])
        if module == "ansible.builtin.shell":  # not a module: it is ansible.builtin.command, told to use a shell
            module = "ansible.builtin.command"
            module_arguments.update(_uses_shell=True, _raw_params=module_arguments.pop("cmd"))
        self._task.async_val = arguments["timeout"]
        try:
            return self._execute_module(module_name=module, module_args=module_arguments, task_vars=task_vars, wrap_async=True)
        finally:
            self._task.async_val = 0  # the executor must not poll as well

    def _status(self, job_id, mode, task_vars):
        folder = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        return self._execute_module(module_name="ansible.legacy.async_status",
                                    module_args={"jid": job_id, "mode": mode, "_async_dir": folder}, task_vars=task_vars)

    def _follow(self, job_id, arguments, task_vars):
        host, title, watch = task_vars.get("inventory_hostname"), arguments["title"], arguments["watch"]
        started = time.time()
        clock = time.strftime("%H:%M:%S", time.localtime(started))
        display.display(progress.begun(host, title, clock, watch))
        shown = started
        while True:
            status = self._status(job_id, "status", task_vars)
            if status.get("finished") or "finished" not in status:  # without it the question itself failed
                self._status(job_id, "cleanup", task_vars)
                for key in ("ansible_job_id", "finished", "started", "results_file"):
                    status.pop(key, None)
                return status
            now = time.time()
            if now - started > arguments["timeout"]:
                return {"failed": True, "msg": "%s: not finished after %d s. Its log is %s. Raise the time limit or see what it waits for."
                                               % (title, arguments["timeout"], watch)}
            if now - shown >= arguments["interval"]:
                shown = now
                display.display(progress.going(host, title, now - started, clock, self._progress(watch)))
            time.sleep(1 if now - started < 10 else 3)

    def _progress(self, watch):
        """The last line of a text log, or the size of a growing data file."""
        quoted = shlex.quote(watch)
        answer = self._low_level_execute_command(
            "case %s in *.log) tail -n 1 %s | cut -c 1-100 ;; *) echo $(( $(stat -c %%s %s 2>/dev/null || echo 0) / 1000000 )) MB ;; esac"
            % (quoted, quoted, quoted), sudoable=True)
        return (answer.get("stdout") or "").strip() or "no output yet"

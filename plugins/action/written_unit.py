# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Has a unit run that this play may have written; documented in plugins/modules/written_unit.py."""

    TRANSFERS_FILES = False  # a module makes its folder where it needs one: not with pipelining
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "restarted", "reloaded"], "default": "started"},
            "is_new": {"type": "bool", "required": True},
            "daemon_reload": {"type": "bool"},
        })
        if self._task.check_mode and arguments["is_new"]:  # it was not written, so systemd knows none of that name, or the one before
            result.update(changed=True, msg="Would start %s" % arguments["name"])
            return result
        reads_anew = arguments["is_new"] if arguments["daemon_reload"] is None else arguments["daemon_reload"]
        result.update(self._execute_module(module_name="ansible.builtin.systemd_service", task_vars=task_vars, module_args={
            "name": arguments["name"], "state": arguments["state"], "enabled": True, "daemon_reload": reads_anew}))
        return result

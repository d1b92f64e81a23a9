# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import service_definition


class ActionModule(ActionBase):
    """Completes a service's definition and reads what its host has of it; documented in plugins/modules/service_definition.py."""

    TRANSFERS_FILES = False  # a module makes its folder where it needs one: not with pipelining
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec={
            "definition": {"type": "dict", "required": True},
            "models": {"type": "list", "elements": "dict", "required": True},
            "store": {"type": "path", "required": True},
            "paths": {"type": "dict", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "rung": {"type": "int", "default": -1},
            "image": {"type": "str", "default": ""},
            "as_deployed": {"type": "bool", "default": False},
            "speculations": {"type": "dict", "default": {}},
            "placements": {"type": "dict", "default": {}},
            "refuse": {"type": "bool", "default": True},
        })
        try:
            spec = service_definition.completed(arguments["definition"])
            model = service_definition.model_of(arguments["models"], spec["model"])
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        # Hashes are not asked for: model_store has verified them.
        files = [{key: entry[key] for key in ("name", "role") if key in entry} for entry in model["files"]]
        there = self._execute_module(module_name="protocol_omni.bunker.service_inputs_info", task_vars=task_vars, module_args={
            "paths": arguments["paths"], "store": arguments["store"], "name": model["name"], "architecture": model["architecture"], "files": files})
        result.update(there, changed=False)
        if "texts" not in there:
            return result
        try:
            result.update(service_definition.resolved(spec, there, dict(arguments, check_mode=self._task.check_mode)))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        if result["damaged"]:
            result["warnings"] = result["damaged"]
        return result

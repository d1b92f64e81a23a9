# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.module_utils import card_names
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import judge, room
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.finding import ERROR, sentence
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles, validated_inventory


class ActionModule(ActionBase):
    """Reads the host and judges the inventory against it; documented in plugins/modules/judge_host.py."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    @staticmethod
    def _certificates(inventory):
        """Text of the file of bunker_ca_bundle, which is not on the host yet."""
        path = inventory["bunker_ca_bundle"]
        try:
            return pathlib.Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
        except (OSError, ValueError) as error:
            raise AnsibleActionFail("bunker_ca_bundle %s cannot be read (%s); nothing was changed. It is a PEM file on the machine that runs Ansible."
                                    % (path, error)) from error

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec={
            "hardware_root": {"type": "path", "default": "/"},
            "bandwidth": {"type": "bool", "default": False},
            "lowered": {"type": "list", "elements": "str", "default": [], "choices": list(judge.RULES)},
            "refuse": {"type": "bool", "default": True},
        })
        inventory, problems = validated_inventory.validate(task_vars, self._templar)
        if problems:
            validated_inventory.refuse(problems)
        inventory["golden_image_cuda_major"] = collection_roles.cuda_major()
        asked = room.questions(inventory)
        read = self._execute_module(module_name="protocol_omni.bunker.host_info", task_vars=task_vars, module_args=dict(
            asked, networks_record=inventory["bunker_config_path"] + "/networks.json", hardware_root=arguments["hardware_root"],
            bandwidth=arguments["bandwidth"], certificates=self._certificates(inventory) if asked["sources"] else ""))
        if "host" not in read:
            result.update(read)
            return result
        inventory["bunker_services"] = card_names.resolved_services(inventory["bunker_services"], read["host"]["gpus"])
        findings = judge.judge(inventory, read["host"], arguments["lowered"])
        lines = ["%d. %s" % (number, sentence(finding)) for number, finding in enumerate(findings, 1)]
        result.update(changed=False, host=read["host"], findings=[finding._asdict() for finding in findings], lines=lines)
        if arguments["refuse"] and any(finding.severity == ERROR for finding in findings):
            raise AnsibleActionFail("The inventory does not fit the host; nothing was changed.\n" + "\n".join(lines), result={"findings": result["findings"]})
        if lines and arguments["refuse"]:
            result["warnings"] = lines
        return result

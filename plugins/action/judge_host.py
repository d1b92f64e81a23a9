# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.module_utils import host_rules


class ActionModule(ActionBase):
    """Judges the inventory against the host, on the controller; documented in plugins/modules/judge_host.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec={
            "inventory": {"type": "dict", "required": True},
            "host": {"type": "dict", "required": True},
            "needs": {"type": "list", "elements": "dict", "default": []},
            "lowered": {"type": "list", "elements": "str", "default": [], "choices": list(host_rules.RULES)},
        })
        findings = host_rules.judge(arguments["inventory"], arguments["host"], arguments["needs"], arguments["lowered"])
        lines = ["%d. %s" % (number, host_rules.sentence(finding)) for number, finding in enumerate(findings, 1)]
        result.update(changed=False, findings=[finding._asdict() for finding in findings])
        if any(finding.severity == host_rules.ERROR for finding in findings):
            raise AnsibleActionFail("The host is refused; nothing was changed.\n" + "\n".join(lines), result={"findings": result["findings"]})
        if lines:
            result["msg"] = "\n".join(lines)
            result["warnings"] = lines
        return result

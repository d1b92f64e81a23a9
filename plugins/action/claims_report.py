# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles


class ActionModule(ActionBase):
    """Completes the recorded claims to a report; documented in plugins/modules/claims_report.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            argument_spec={
                "roles": {"type": "list", "elements": "str", "required": True},
                "services": {"type": "list", "elements": "str", "required": True},
            })
        owed = {}
        for role in arguments["roles"]:
            catalogue = {claim_id: dict(entry, role=role) for claim_id, entry in collection_roles.claim_catalogue(role).items()}
            owed.update(claims.expand(catalogue, arguments["services"]))
        rows = self._templar.template(task_vars.get("ansible_facts", {}).get("bunker_claims")) or {}
        errors = self._templar.template(task_vars.get("bunker_claim_errors")) or {}
        result.update(changed=False, ansible_facts={"bunker_claims_report": claims.complete(rows, owed, errors)})
        return result

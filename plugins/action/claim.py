# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles


class ActionModule(ActionBase):
    """Records observed claims as facts; documented in plugins/modules/claim.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            argument_spec={
                "role": {"type": "str", "required": True},
                "service": {"type": "str"},
                "results": {"type": "dict", "required": True},
            })
        role, service = arguments["role"], arguments["service"]
        catalogue = collection_roles.claim_catalogue(role)
        rows = dict(self._templar.template(task_vars.get("ansible_facts", {}).get("bunker_claims")) or {})
        for claim_id, observation in arguments["results"].items():
            if claim_id not in catalogue:
                raise AnsibleActionFail("Claim %s is not in roles/%s/vars/claims.yml. Known: %s." % (claim_id, role, ", ".join(catalogue)))
            name = claim_id.replace("SERVICE", service, 1) if service else claim_id
            try:
                rows[name] = claims.judge(name, dict(catalogue[claim_id], role=role), observation)
            except ValueError as error:
                raise AnsibleActionFail(str(error)) from error
        result.update(changed=False, ansible_facts={"bunker_claims": rows})
        return result

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles, judges


class ActionModule(ActionBase):
    """Records observed claims as facts; documented in plugins/modules/claim.py."""

    TRANSFERS_FILES = False  # a module makes its folder where it needs one: not with pipelining
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            argument_spec={
                "role": {"type": "str", "required": True},
                "service": {"type": "str"},
                "results": {"type": "dict"},
                "look": {"type": "dict"},
                "wanted": {"type": "dict", "default": {}},
                "besides": {"type": "dict", "default": {}},
                "judge": {"type": "str"},
            }, required_one_of=[("results", "look")], mutually_exclusive=[("results", "look")])
        role, service = arguments["role"], arguments["service"]
        observed = arguments["results"]
        if observed is None:
            seen = self._seen(arguments["look"], task_vars)
            # Of a task that says of itself that it was skipped Ansible keeps no facts.
            result.update({name: value for name, value in seen.items() if name != "skipped"})
            if seen.get("failed"):
                return result
            try:
                observed = judges.observations(arguments["wanted"], arguments["judge"] or role, dict(seen, **arguments["besides"]))
            except ValueError as error:
                raise AnsibleActionFail(str(error)) from error
        catalogue = collection_roles.claim_catalogue(role)
        rows = dict(self._templar.template(task_vars.get("ansible_facts", {}).get("bunker_claims")) or {})
        for claim_id, observation in observed.items():
            if claim_id not in catalogue:
                raise AnsibleActionFail("Claim %s is not in roles/%s/vars/claims.yml. Known: %s." % (claim_id, role, ", ".join(catalogue)))
            name = claim_id.replace("SERVICE", service, 1) if service else claim_id
            try:
                rows[name] = claims.judge(name, dict(catalogue[claim_id], role=role), observation)
            except ValueError as error:
                raise AnsibleActionFail(str(error)) from error
        result.update(changed=False, ansible_facts={"bunker_claims": rows})
        return result

    def _seen(self, look, task_vars):
        """What the module that looks has seen; as of a task that was skipped where there is none to be asked."""
        for module, given in look.items():
            return self._execute_module(module_name=module, module_args=given, task_vars=task_vars)
        return {"skipped": True}

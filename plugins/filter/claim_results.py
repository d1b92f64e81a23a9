# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: claim_results
short_description: Judge the claims of a role by what was seen
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns, for M(protocol_omni.bunker.claim), each claim of a role with what was expected and observed of it and whether it holds.
  - C(plugins/module_utils/claims) has one file a role; it says what is wanted and seen there.
options:
  _input:
    description: What the inventory asks for.
    type: dict
    required: true
  role:
    description: The role that makes the claims. V(deployed) are those of C(inference_service) that speak of the whole host.
    type: str
    choices: [container_engine, deployed, disk_layout, gateway, golden_image, host_driver, inference_service, model_store, networks, observability,
              pool, throughput, vram_watch]
    required: true
  seen:
    description: What was seen on the host.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is claimed of the networks
  ansible.builtin.debug:
    msg: "{{ {'networks': networks_definitions, 'digest': rules.digest, 'unit': 'protocol-omni-seal.service'}
             | protocol_omni.bunker.claim_results('networks', seen) }}"
"""

RETURN = r"""
_value:
  description: Claim id to C(expected), C(observed) and C(holds), or to C(does_not_apply) (the reason).
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import judges


def claim_results(wanted, role, seen):
    """The observations of a role's claims."""
    if role not in judges.JUDGES:
        raise AnsibleFilterError("The claims of %s are not judged here. Known: %s. See plugins/module_utils/claims." % (role, ", ".join(judges.JUDGES)))
    return judges.observations(wanted, role, seen)


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"claim_results": claim_results}

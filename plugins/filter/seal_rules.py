# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: seal_rules
short_description: Turn networks and services into the nftables rules of the seal
version_added: 0.2.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - From sealed services and internal networks nothing new leaves, neither to the outside nor to the host nor to a neighbour, except what is listed.
  - C(plugins/module_utils/seal_rules.py) explains the tables.
options:
  _input:
    description: The networks, as C(networks_definitions) of the role P(protocol_omni.bunker.networks#role) describes them.
    type: list
    elements: dict
    required: true
  services:
    description: The services, complete definitions.
    type: list
    elements: dict
    required: true
  allowances:
    description: Destinations that may be reached all the same, as C(networks_allowances) describes them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the rules
  ansible.builtin.debug:
    msg: "{{ (networks_definitions | protocol_omni.bunker.seal_rules(services=bunker_services, allowances=[])).files['owned.nft'] }}"
"""

RETURN = r"""
_value:
  description: C(digest), which the tables of the host carry as their comment, and C(files), the name of each file to its text.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.seal_rules import rules


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"seal_rules": rules}

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
  folder:
    description: Where the files are to stand on the host.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Show the rules
  ansible.builtin.debug:
    msg: "{{ (networks_definitions | protocol_omni.bunker.seal_rules(services=bunker_services, allowances=[])).files['owned.nft'] }}"
"""

RETURN = r"""
_value:
  description: >-
    C(digest), which the tables of the host carry as their comment, C(files), the name of each file to its text, and C(config_files), the same as
    M(protocol_omni.bunker.config_files) takes them.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import seal_rules

CHECK = ["nft", "--check", "--file", "%s"]
UNCHECKED = ("owned.nft",)  # an owned table is its owner's alone, even to check


def rules(networks, services, allowances, folder=""):
    """The seal's rules, and where they stand."""
    found = seal_rules.rules(networks, services, allowances)
    return dict(found, config_files=[{"path": "%s/%s" % (folder, name), "content": text, "validate": [] if name in UNCHECKED else CHECK}
                                     for name, text in found["files"].items()])


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"seal_rules": rules}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: pool_plan
short_description: Say what a host does in a pool
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns what the templates of the role pool write for a host.
options:
  _input:
    description: The role's variables without their prefix, with all defaults.
    type: dict
    required: true
  host:
    description: Name of the host in the inventory.
    type: str
    required: true
  gateway:
    description: C(address), C(port) and C(tls) of the gateway of this host.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what this host does
  ansible.builtin.debug:
    msg: "{{ pool | protocol_omni.bunker.pool_plan(inventory_hostname, {'address': '127.0.0.1', 'port': 8080, 'tls': 'none'}) }}"
"""

RETURN = r"""
_value:
  description: C(door) and C(member), each null where the host is none, C(names) and C(uses) of its certificate, and C(authority), the host that signs it.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool.plan import plan


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"pool_plan": plan}

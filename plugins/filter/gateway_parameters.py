# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_parameters
short_description: Turn what the inventory says of requests into what the gateway loads
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns what the gateway sets, presumes and strips of requests, with values as JSON, which it puts into requests as they stand.
options:
  _input:
    description: C(gateway_parameters).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what requests for the Oracle get
  ansible.builtin.debug:
    msg: "{{ [{'model': 'oracle', 'defaults': {'stop': []}}] | protocol_omni.bunker.gateway_parameters }}"
"""

RETURN = r"""
_value:
  description: Model name to C(set) and C(defaults), both a name to JSON, and C(strip), a list of names.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.gateway_routes import parameters


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"gateway_parameters": parameters}

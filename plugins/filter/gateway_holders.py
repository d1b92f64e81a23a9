# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_holders
short_description: Turn holders of keys into what the gateway loads
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns whose keys the gateway knows and which of them end, which the role gateway writes to C(gateway/routes.json).
options:
  _input:
    description: As C(gateway_keys).
    type: list
    elements: dict
    required: true
  operator:
    description: Hash of each of the operator's keys to when it ends, in seconds since 1970; 0 for one that does not end.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show who may ask
  ansible.builtin.debug:
    msg: "{{ gateway_keys | protocol_omni.bunker.gateway_holders({}) }}"
"""

RETURN = r"""
_value:
  description: C(keys), hash to holder, and C(expires), hash to seconds since 1970.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.gateway_keys import loaded


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"gateway_holders": loaded}

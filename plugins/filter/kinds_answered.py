# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: kinds_answered
short_description: Who answered as services of their kinds do
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Of requests that were made with P(protocol_omni.bunker.kind_question#filter) through the gateway, returns who answered those that were answered.
options:
  _input:
    description: Results of M(ansible.builtin.uri), whose C(item) is a service.
    type: list
    elements: dict
    required: true
  _routes:
    description: The gateway's routes, which say of which kind a service is.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show who answered
  ansible.builtin.debug:
    msg: "{{ answers.results | protocol_omni.bunker.kinds_answered(routes) }}"
"""

RETURN = r"""
_value:
  description: Names of services, in the order of the requests.
  type: list
  elements: str
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds, proof


def kinds_answered(results, routes):
    """Names of who answered."""
    return [str(found.get("x_bunker_service", "")) for found in results
            if found.get("status") == 200 and proof.answered(routes[found["item"]["name"]]["kind"] or kinds.CHAT, found.get("json"))]


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"kinds_answered": kinds_answered}

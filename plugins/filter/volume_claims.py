# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: volume_claims
short_description: Whether the volumes are mounted and have room
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Compares wanted volumes with what M(protocol_omni.bunker.volume_info) found, as results for M(protocol_omni.bunker.claim).
options:
  _input:
    description: Volumes as C(disk_layout_volumes) of the role P(protocol_omni.bunker.disk_layout#role) has them, with all defaults.
    type: list
    elements: dict
    required: true
  survey:
    description: The C(volumes) that M(protocol_omni.bunker.volume_info) returned for them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the results
  ansible.builtin.debug:
    msg: "{{ volumes | protocol_omni.bunker.volume_claims(found.volumes) }}"
"""

RETURN = r"""
_value:
  description: Results of C(volumes.mounted) and C(volumes.room).
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import volume_rules


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"volume_claims": volume_rules.claims}

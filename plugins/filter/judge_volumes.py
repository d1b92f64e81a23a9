# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: judge_volumes
short_description: What to do with each wanted volume, or why not
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Compares wanted volumes with what M(protocol_omni.bunker.volume_info) found.
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
- name: Show the problems
  ansible.builtin.debug:
    msg: "{{ (volumes | protocol_omni.bunker.judge_volumes(found.volumes)).problems }}"
"""

RETURN = r"""
_value:
  description:
    - C(problems), a numbered line each, and C(actions), one a volume with C(device), C(mount), C(filesystem), C(unit),
      C(manager), C(format), C(mount_now), C(grow), C(keeps).
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules, volume_rules


def judge_volumes(volumes, survey):
    """Actions and problems of the volumes."""
    actions, problems = volume_rules.judge(volumes, survey)
    return {"actions": actions, "problems": inventory_rules.numbered(problems)}


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"judge_volumes": judge_volumes}

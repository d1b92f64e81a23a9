#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: judge_host
short_description: Judge an inventory against the host that it is for
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Compares the validated inventory with what M(protocol_omni.bunker.host_info) read, and reports every problem in one list, worst first.
  - Errors fail the task. Warnings do not. An error whose rule stands in O(lowered) is a warning, and the report says so.
options:
  inventory:
    description: The validated inventory, as M(protocol_omni.bunker.validate_inventory) returns it.
    type: dict
    required: true
  host:
    description: The host, as M(protocol_omni.bunker.host_info) returns it.
    type: dict
    required: true
  needs:
    description: What the roles will write, each with C(what), C(path) and C(bytes).
    type: list
    elements: dict
    default: []
  lowered:
    description: Rules whose errors are warnings.
    type: list
    elements: str
    default: []
    choices: [gpu_exists, gpu_family, driver_branch, driver_open, secure_boot, nouveau, numa, threads, overlap, model_fits, room, toolkit]
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Judge the inventory against the host
  protocol_omni.bunker.judge_host:
    inventory: "{{ validated.inventory }}"
    host: "{{ bunker_host }}"
"""

RETURN = r"""
findings:
  description: Each finding with C(rule), C(severity), C(what), C(found), C(needed), C(remedy) and C(lowered), errors first.
  returned: always
  type: list
  elements: dict
"""

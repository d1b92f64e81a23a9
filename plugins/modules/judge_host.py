#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: judge_host
short_description: Read a host and judge its inventory against it
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Validates the host's inventory as M(protocol_omni.bunker.validate_inventory) does, reads the host through
    M(protocol_omni.bunker.host_info), compares the two, and reports every problem in one list, worst first.
  - Errors fail the task. Warnings do not. An error whose rule stands in O(lowered) is a warning, and the report says so.
  - The rules stand in C(plugins/module_utils/host_rules), each with the source of its figures.
options:
  hardware_root:
    description: See M(protocol_omni.bunker.host_info).
    type: path
    default: /
  bandwidth:
    description: See M(protocol_omni.bunker.host_info).
    type: bool
    default: false
  lowered:
    description: Rules whose errors are warnings.
    type: list
    elements: str
    default: []
    choices: [gpu_exists, gpu_readable, gpu_family, driver_branch, driver_open, fabric, secure_boot, engine, overlap, room, model_fits, model_context,
              model_kind, threads, toolkit, cdi, nouveau, numa]
  refuse:
    description: Fail where there are errors. Without it they are only returned.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Judge the inventory against the host
  protocol_omni.bunker.judge_host:
    lowered: [numa]
  register: judged
"""

RETURN = r"""
host:
  description: The host, as M(protocol_omni.bunker.host_info) returns it.
  returned: success
  type: dict
findings:
  description: Each finding with C(rule), C(severity), C(what), C(found), C(needed), C(remedy) and C(lowered), errors first.
  returned: always
  type: list
  elements: dict
lines:
  description: Each finding as a sentence, numbered.
  returned: success
  type: list
  elements: str
"""

#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: validate_inventory
short_description: Refuse a bad inventory before anything changes
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Validates the variables of all roles of this collection against their argument specs, at every depth, and checks
    what no single role can see - the same address and port twice, an address outside its subnet, an unknown model.
  - Refuses variables that carry a role's prefix and that no role knows.
  - Runs on the controller and needs no connection. All problems are reported at once, each with its value, the rule
    and the remedy.
options: {}
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Judge the inventory by itself
  protocol_omni.bunker.validate_inventory:
"""

RETURN = r"""
inventory:
  description: The public variables of all roles with the defaults of their specs filled in at every depth.
  returned: success
  type: dict
problems:
  description: What is wrong.
  returned: failure
  type: list
  elements: dict
  contains:
    value:
      description: What was found, and where.
      type: str
    rule:
      description: The rule it breaks.
      type: str
    remedy:
      description: What to do.
      type: str
"""

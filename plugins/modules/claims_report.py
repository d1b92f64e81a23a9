#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: claims_report
short_description: Complete the recorded claims to a report
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Takes the fact C(bunker_claims) and the catalogues of the given roles, and publishes the fact C(bunker_claims_report),
    a list with one row for every id that the catalogues owe. A claim that nobody observed fails.
options:
  roles:
    description: Roles whose claims are owed.
    type: list
    elements: str
    required: true
  services:
    description: Names of the services, for the claims that every service makes.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Complete the report
  protocol_omni.bunker.claims_report:
    roles: [golden_image, networks]
    services: [oracle, executor]
"""

RETURN = r"""
ansible_facts:
  description: The fact C(bunker_claims_report), a list of rows with id, role, sentence, status, expected, observed, reason.
  returned: success
  type: dict
"""

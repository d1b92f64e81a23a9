#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: claim
short_description: Record what was observed of a role's claims
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - A claim is one sentence that can be false. Its sentence stands in C(vars/claims.yml) of the role that makes it; this
    action records what was expected and observed, and whether it holds.
  - Rows are added to the fact C(bunker_claims), a dictionary keyed by claim id.
options:
  role:
    description: The role that makes the claims.
    type: str
    required: true
  service:
    description: The service that is meant by C(SERVICE) in the ids.
    type: str
  results:
    description:
      - Claim id to its observation, a dictionary with C(expected), C(observed) and C(holds) (a boolean), or with
        C(does_not_apply) (the reason). Either this or O(look) is given.
    type: dict
  look:
    description:
      - Name of a module that only looks to its arguments. It is run on the host, and what it returns is returned and judged. Where this is empty nothing is
        asked, and what is judged is that it was skipped.
    type: dict
  wanted:
    description: What is wanted, as the function that judges has it.
    type: dict
    default: {}
  besides:
    description: What was seen otherwise, beside what O(look) sees.
    type: dict
    default: {}
  judge:
    description: The file of C(plugins/module_utils/claims) that judges. By default that of O(role).
    type: str
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at the networks and the seal
  protocol_omni.bunker.claim:
    role: networks
    look:
      protocol_omni.bunker.networks_info: {names: [omni-network], unit: protocol-omni-seal.service, record: /etc/protocol_omni/networks.json}
    wanted: {networks: "{{ networks_definitions }}", digest: "{{ rules.digest }}", unit: protocol-omni-seal.service}
  register: seen

- name: Record the size of the image
  protocol_omni.bunker.claim:
    role: golden_image
    results:
      image.size:
        expected: under 900 MB
        observed: 812 MB
        holds: true
"""

RETURN = r"""
ansible_facts:
  description: The fact C(bunker_claims) with the new rows.
  returned: success
  type: dict
"""

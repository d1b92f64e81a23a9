#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: service_definition
short_description: Complete a service's definition by its spec, its model and its host
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Fills in the defaults of the role's spec, reads the host as M(protocol_omni.bunker.service_inputs_info) does, and tells what the service is for, at which
    rung of its ladder it shall run, with which threads, CPUs, batch and speculation, and what to go back to.
  - Refuses what its model's header contradicts, and a card by slot that no driver has shown. Changes nothing.
options:
  definition:
    description: An entry of C(bunker_services).
    type: dict
    required: true
  models:
    description: The model catalogue.
    type: list
    elements: dict
    required: true
  store:
    description: The model store on the host.
    type: path
    required: true
  paths:
    description: Files of the host - C(unit), C(resolved), C(rungs) and C(proven).
    type: dict
    required: true
  names:
    description: Names of all services of the host.
    type: list
    elements: str
    required: true
  rung:
    description: The rung that is asked for, -1 for the one that the host remembers.
    type: int
    default: -1
  image:
    description: ID of the image. Where it is empty, that of what is deployed.
    type: str
    default: ""
  as_deployed:
    description: Whether tuning and placement stay those of what is deployed.
    type: bool
    default: false
  speculations:
    description: Ways of speculative decoding, O(ignore:inference_service_speculations).
    type: dict
    default: {}
  placements:
    description: Named placements on GPUs, O(ignore:inference_service_placements).
    type: dict
    default: {}
  refuse:
    description: Fail where the service cannot be deployed. Without it that is only returned.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    details: A card by slot is refused in no check mode, as a driver that is not there yet is predicted.
"""

EXAMPLES = r"""
- name: Complete the definition
  protocol_omni.bunker.service_definition:
    definition: {name: executor, model: smollm2-135m-instruct-q4_1, device: cpu, port: 8002, networks: [{name: omni-network, address: 172.30.0.20}]}
    models: "{{ model_store_catalogue }}"
    store: /srv/models
    paths: {unit: /etc/systemd/system/protocol-omni-executor.service, resolved: /etc/protocol_omni/services/executor.json}
    names: [executor]
  register: there
"""

RETURN = r"""
spec:
  description: The complete definition, with what its kind decides of it.
  returned: success
  type: dict
kind:
  description: C(kind), C(problems) and C(definition), as P(protocol_omni.bunker.service_kind#filter) returns them.
  returned: success
  type: dict
facts:
  description: What the host remembers of rungs.
  returned: success
  type: dict
rung:
  description: The rung at which it shall run.
  returned: success
  type: int
deployed:
  description: The resolved service that is deployed, empty for none.
  returned: success
  type: dict
kept:
  description: Whether its tuning and placement are kept.
  returned: success
  type: bool
tuning:
  description: As P(protocol_omni.bunker.tune_service#filter) returns it.
  returned: success
  type: dict
damaged:
  description: Of each of O(paths) that is not what was written there, a sentence with what is lost and the remedy. One of C(rungs) is an error where O(refuse).
  returned: success
  type: list
  elements: str
proven:
  description: What answered last, with C(unit), C(resolved) and C(rung); empty for none.
  returned: success
  type: dict
previous:
  description: What to go back to, with the same; empty for none.
  returned: success
  type: dict
texts:
  description: As M(protocol_omni.bunker.service_inputs_info) returns it.
  returned: success
  type: dict
header:
  description: As there.
  returned: success
  type: dict
host:
  description: As there.
  returned: success
  type: dict
"""

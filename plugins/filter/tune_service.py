# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: tune_service
short_description: Choose threads, CPUs, batch and speculative decoding of a service
version_added: 0.5.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - What the inventory fixes stands; what it leaves at V(auto) is what was measured on the host, where that still counts, else a rule.
options:
  _input:
    description: The complete definition of the service.
    type: dict
    required: true
  names:
    description: Names of all services of the host.
    type: list
    elements: str
    required: true
  host:
    description: What M(protocol_omni.bunker.throughput_info) returned.
    type: dict
    required: true
  image:
    description: ID of the image.
    type: str
    required: true
  model:
    description: The model's entry of the catalogue.
    type: dict
    required: true
  speculations:
    description: Ways of speculative decoding, O(ignore:inference_service_speculations).
    type: dict
    default: {}
  placements:
    description: Named placements on GPUs, O(ignore:inference_service_placements).
    type: dict
    default: {}
  models:
    description: The model catalogue, for its draft model.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show what a service would run with
  ansible.builtin.debug:
    msg: "{{ definition | protocol_omni.bunker.tune_service(names=['oracle', 'executor'], host=throughput, image=bunker_image.id, model=model) }}"
"""

RETURN = r"""
_value:
  description: C(threads), C(cpuset), C(mems), C(batch), C(speculation), C(arguments), where it is from (C(origin)) and C(evidence).
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import service_definition


def tune(service, names, host, image, model, speculations=None, models=(), placements=None):
    """The choice and its evidence."""
    try:
        return service_definition.tuned(service, model, models, host, image, {"names": names, "speculations": speculations, "placements": placements})
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"tune_service": tune}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: bench_plan
short_description: Say of services what a measurement of them has to know
version_added: 0.5.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns, for the role throughput, each service with its model's files and with what the inventory fixes of threads, CPUs and batch.
options:
  _input:
    description: Complete definitions of services.
    type: list
    elements: dict
    required: true
  names:
    description: The services to take.
    type: list
    elements: str
    required: true
  models:
    description: The model catalogue.
    type: list
    elements: dict
    required: true
  store:
    description: Folder on the host that holds one folder a model.
    type: path
    required: true
  speculations:
    description: Ways of speculative decoding, O(ignore:inference_service_speculations).
    type: dict
    default: {}
  placements:
    description: Named placements on GPUs, O(ignore:inference_service_placements).
    type: dict
    default: {}
  free:
    description: GiB to keep free on each card where a placement is planned.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: Show what would be measured
  ansible.builtin.debug:
    msg: "{{ definitions | protocol_omni.bunker.bench_plan(names=['executor'], models=model_store_catalogue, store='/srv/models') }}"
"""

RETURN = r"""
_value:
  description: For each service C(name), C(model), C(folder), C(files), C(hash), where it computes, and C(fixed).
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import tuning


def plan(services, names, models, store, speculations=None, placements=None, free=0):
    """What is to be known of each service."""
    by_name = {model["name"]: model for model in models}
    try:
        return [tuning.bench_service(service, by_name[service["model"]], store, speculations, by_name.get(service["draft_model"]), placements, free)
                for service in services if service["name"] in names]
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"bench_plan": plan}

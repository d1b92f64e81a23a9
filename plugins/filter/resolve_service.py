# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: resolve_service
short_description: Turn a service's definition into container and server arguments
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns the resolved service, which the role inference_service writes to C(/etc/protocol_omni/services/NAME.json).
options:
  _input:
    description: The complete definition of the service.
    type: dict
    required: true
  model:
    description: Its entry of the model catalogue.
    type: dict
    required: true
  tuning:
    description: Its threads, CPUs and batch, as P(protocol_omni.bunker.tune_service#filter) chose them.
    type: dict
    required: true
  models_path:
    description: Folder on the host that holds one folder a model.
    type: path
    required: true
  image:
    description: The image, with its C(id) and C(tag).
    type: dict
    required: true
  cdi_kind:
    description: CDI kind of the GPUs.
    type: str
    required: true
  cuda_cache_path:
    description: Folder on the host for CUDA's kernel cache, empty for none.
    type: str
    default: ""
  plans:
    description: C(inference_service_plans), name to plan; the service's C(ladder) names some.
    type: dict
    default: {}
  metadata:
    description: Scalar metadata of the model's GGUF file, as M(protocol_omni.bunker.model_info) returns them.
    type: dict
    default: {}
  rung:
    description: The rung of the ladder at which it shall run; 0 is the definition as it is.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Show what would run
  ansible.builtin.debug:
    msg: "{{ definition | protocol_omni.bunker.resolve_service(model=model, tuning=tuning, models_path='/srv/models',
             image=bunker_image, cdi_kind='nvidia.com/gpu') }}"
"""

RETURN = r"""
_value:
  description: The definition with C(image), C(image_tag), C(architecture), C(container_arguments), C(server_arguments), C(ladder) and C(rung).
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.protocol_omni.bunker.plugins.module_utils import service_plan


def resolve(service, **world):
    """The resolved service."""
    try:
        return service_plan.resolve(service, **world)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"resolve_service": resolve}

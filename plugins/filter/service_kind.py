# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: service_kind
short_description: Tell what a service is for
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - The kind that the definition names, else the one that its extra arguments ask for, else the one that the model's header tells.
options:
  _input:
    description: The complete definition of the service.
    type: dict
    required: true
  model:
    description: The model's entry of the catalogue.
    type: dict
    required: true
  facts:
    description: What the header says, as M(protocol_omni.bunker.model_info) returns it. Empty where nobody has read it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what a service is for
  ansible.builtin.debug:
    msg: "{{ (definition | protocol_omni.bunker.service_kind(model=model, facts=header.facts)).kind }}"
"""

RETURN = r"""
_value:
  description: >-
    C(kind), and C(problems), the lines in which definition and header contradict each other; C(definition) has what the kind decides of the service's, C(kind),
    C(ladder), which is empty for a service that generates nothing, and C(context), which is then at most what the model was trained for.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import service_definition


def kind_of(service, model, facts=None):
    """The kind, what contradicts it, and what of the definition it decides."""
    return service_definition.kind_of(service, model, facts)


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"service_kind": kind_of}

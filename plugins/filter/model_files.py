# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: model_files
short_description: The files of a model that have a role
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns the entries of a model's files that have a role; those that name none are its weights.
options:
  _input:
    description: C(files) of an entry of the model catalogue.
    type: list
    elements: dict
    required: true
  _role:
    description: V(weights), V(projector), V(chat_template) or V(adapter).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the shards
  ansible.builtin.debug:
    msg: "{{ model.files | protocol_omni.bunker.model_files('weights') | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description: The entries, in their order.
  type: list
  elements: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import model_files


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"model_files": model_files.of_role}

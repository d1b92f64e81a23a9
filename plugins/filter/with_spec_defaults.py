# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: with_spec_defaults
short_description: Fill in the nested defaults of a role's argument spec
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Validates a value against one option of a role of this collection and returns it with the defaults of nested options,
    which ansible-core itself does not hand to the role.
options:
  _input:
    description: The value of the option.
    type: raw
    required: true
  role:
    description: A role of this collection.
    type: str
    required: true
  option:
    description: The role's option.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Complete a service's definition
  ansible.builtin.set_fact:
    service: "{{ definition | protocol_omni.bunker.with_spec_defaults('inference_service', 'inference_service_definition') }}"
"""

RETURN = r"""
_value:
  description: The completed value.
  type: raw
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles


def with_spec_defaults(value, role, option):
    """Validate a value against a role's option and fill in nested defaults."""
    try:
        return collection_roles.completed(role, option, value)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"with_spec_defaults": with_spec_defaults}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: removable_device_code
short_description: Architectures whose device code no card of a list can run
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Names every SM architecture whose machine code, and every target whose PTX, none of the given cards runs. What is not known is left out.
options:
  _input:
    description: Compute capabilities, such as C(12.0).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say what an image for 12.0 alone does not need
  ansible.builtin.debug:
    msg: "{{ ['12.0'] | protocol_omni.bunker.removable_device_code }}"
"""

RETURN = r"""
_value:
  description: Names such as V(sm_90a) and V(compute_121), sorted.
  type: list
  elements: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.protocol_omni.bunker.plugins.module_utils import removable_device_code as rules


def removable_device_code(capabilities):
    """Names of architectures; an error where nothing can be told."""
    try:
        return rules.names(capabilities)
    except ValueError as error:
        raise AnsibleFilterError("golden_image_prune: %s." % error) from error


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"removable_device_code": removable_device_code}

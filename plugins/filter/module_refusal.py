# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: module_refusal
short_description: Why a host must not reboot before the driver's module is built
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Judges what C(modinfo) says of the module V(nvidia) for each kernel that may boot next, and which certificates are enrolled.
options:
  _input:
    description: >-
      Lines C(kernel RELEASE) with what C(modinfo -k RELEASE) prints of the module behind each, C(dkms absent), C(key PATH enrolled),
      C(key PATH absent), C(pin RELEASE) where the boot loader was told to boot that kernel.
    type: list
    elements: str
    required: true
  version:
    description: Version of the driver's libraries.
    type: str
    required: true
  needs_open:
    description: Whether a card is driven by the open modules only.
    type: bool
    required: true
  secure_boot:
    description: Whether the kernel takes signed modules only.
    type: bool
    required: true
"""

EXAMPLES = r"""
- name: Refuse a reboot
  ansible.builtin.assert:
    that: (look.stdout_lines | protocol_omni.bunker.module_refusal('580.95.05', true, false)) == ''
"""

RETURN = r"""
_value:
  description: What is found, what is needed and what to do; empty where the host may reboot.
  type: str
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import kernel_modules


def module_refusal(lines, version, needs_open, secure_boot):
    """As kernel_modules.refusal."""
    return kernel_modules.refusal(lines, version, bool(needs_open), bool(secure_boot))


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"module_refusal": module_refusal}

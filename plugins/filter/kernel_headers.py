# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: kernel_headers
short_description: Packages with the headers of the running kernel and of the next one
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Chooses the packages that a kernel module is compiled against, by the kernel that runs and the packages that are installed.
options:
  _input:
    description: Names of the packages that are installed.
    type: list
    elements: str
    required: true
  running:
    description: Release of the kernel that runs.
    type: str
    required: true
  otherwise:
    description: The system's own headers, for a host without a kernel of its own.
    type: str
    required: true
  own_kernel:
    description: Whether the modules of the running kernel are on the host.
    type: bool
    default: true
  has_headers:
    description: Whether its headers are there without any package.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Choose the headers
  ansible.builtin.debug:
    msg: "{{ (installed | protocol_omni.bunker.kernel_headers('6.8.0-45-generic', 'linux-headers-generic')).packages }}"
"""

RETURN = r"""
_value:
  description: >-
    C(packages), a list of names, C(refusal), why there are none, empty otherwise, and C(boots), a list of releases of the kernels that may boot next.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import kernel_headers as rules


def kernel_headers(installed, running, otherwise, own_kernel=True, has_headers=False):
    """Packages, or why there are none."""
    boots = rules.boots(running, installed, own_kernel)
    try:
        return {"packages": rules.packages(running, installed, otherwise, own_kernel, has_headers), "refusal": "", "boots": boots}
    except rules.Refused as refused:
        return {"packages": [], "refusal": str(refused), "boots": boots}


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"kernel_headers": kernel_headers}

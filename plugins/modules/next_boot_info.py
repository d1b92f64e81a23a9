#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is built of NVIDIA's module for the kernels that may boot next."""
from __future__ import annotations

DOCUMENTATION = r"""
module: next_boot_info
short_description: Read whether NVIDIA's module is built for the kernels that may boot next
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - dkms goes on where it cannot build for one of the kernels. The host would come back without its cards.
  - Reads which kernel proxmox-boot-tool, GRUB or systemd-boot was told to boot, what modinfo says of NVIDIA's module for each kernel, and which certificates
    for Secure Boot are enrolled.
  - Changes nothing.
options:
  kernels:
    description: Releases of the kernels that may boot next. A kernel that the boot loader was told to boot is looked at besides.
    type: list
    elements: str
    default: []
  certificates:
    description: Paths of certificates that modules of this host are signed by.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: See whether the module is built for what may boot next
  protocol_omni.bunker.next_boot_info:
    kernels: [6.8.0-50-generic]
    certificates: [/var/lib/shim-signed/mok/MOK.der]
  register: next_boot
"""

RETURN = r"""
pinned:
  description: Release of the kernel that the boot loader was told to boot, empty where it boots the newest.
  returned: success
  type: str
lines:
  description:
    - What was seen, as the filter module_refusal takes it. C(pin RELEASE), C(kernel RELEASE) with modinfo's lines behind it, C(dkms absent),
      C(key PATH enrolled) and C(key PATH absent).
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import next_boot_survey  # noqa: E402


def main():
    module = AnsibleModule(argument_spec={
        "kernels": {"type": "list", "elements": "str", "default": []},
        "certificates": {"type": "list", "elements": "str", "default": [], "no_log": False}}, supports_check_mode=True)
    pinned, lines = next_boot_survey.seen(module, module.params["kernels"], module.params["certificates"])
    module.exit_json(changed=False, pinned=pinned, lines=lines)


if __name__ == "__main__":
    main()

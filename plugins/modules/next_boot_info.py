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

import os  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, next_boot, small_file  # noqa: E402


def text(path):
    """The text of a file, "" where it is not there or not to be read."""
    return small_file.seen(path) or ""


def names(folder):
    """The names in a folder, sorted; none where it is not there or not to be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def built(module, releases):
    """Lines of each kernel, with what modinfo says of the module that modprobe would load."""
    modules = next_boot.module_names(commands.output(module, "modprobe", "--showconfig"))
    lines = []
    for release in releases:
        lines.append("kernel %s" % release)
        for name in modules:
            status, said, error = commands.answer(module, "modinfo", "-k", release, name)
            if status == 0:
                break
        lines += (said + error).splitlines()
    return lines


def main():
    module = AnsibleModule(argument_spec={
        "kernels": {"type": "list", "elements": "str", "default": []},
        "certificates": {"type": "list", "elements": "str", "default": [], "no_log": False}}, supports_check_mode=True)
    pinned = next_boot.pinned(text, names)
    kernels = module.params["kernels"]
    lines = (["pin %s" % pinned] if pinned else []) + built(module, kernels + [pinned] * (pinned not in ["", *kernels]))
    if commands.answer(module, "dkms", "--version")[0] == commands.ABSENT:
        lines.append("dkms absent")
    for path in module.params["certificates"]:
        known = next_boot.enrolled("".join(commands.answer(module, "mokutil", "--test-key", path)[1:]))
        if known is not None:
            lines.append("key %s %s" % (path, "enrolled" if known else "absent"))
    module.exit_json(changed=False, pinned=pinned, lines=lines)


if __name__ == "__main__":
    main()

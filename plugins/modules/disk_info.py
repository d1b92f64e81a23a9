#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's disks, by names that stay."""
from __future__ import annotations

DOCUMENTATION = r"""
module: disk_info
short_description: List the disks of a host
version_added: 0.2.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Lists whole disks that stay in the host, each by a name below C(/dev/disk) that is the same after a boot. What is on them
    M(protocol_omni.bunker.volume_info) tells.
  - Writes nothing and opens no device.
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: List the disks
  protocol_omni.bunker.disk_info:
"""

RETURN = r"""
disks:
  description: >-
    Each disk with C(name) (of the kernel), C(device) (a path below C(/dev/disk), null where udev has made none) and C(links) (all such paths).
  returned: success
  type: list
  elements: dict
"""

import os  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import disk_names, small_file  # noqa: E402

FOLDERS = ("/dev/disk/by-id", "/dev/disk/by-path")


def links():
    """Real path of a device to the links that lead to it."""
    found = {}
    for folder in FOLDERS:
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            found.setdefault(os.path.realpath(path), []).append(path)
    return found


def main():
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    known = links()
    names = [name for name in sorted(os.listdir("/sys/block")) if disk_names.is_disk(name, small_file.text("/sys/block/%s/removable" % name))]
    disks = [{"name": name, "links": known.get("/dev/" + name, [])} for name in names]
    module.exit_json(changed=False, disks=[dict(disk, device=disk_names.stable_name(disk["links"])) for disk in disks])


if __name__ == "__main__":
    main()

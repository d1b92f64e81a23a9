#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices and the places where they shall be mounted, read without writing."""
from __future__ import annotations

DOCUMENTATION = r"""
module: volume_info
short_description: Read what stands on block devices and where they are mounted
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads signatures, partitions, holders, file system and mounts of block devices, and what is at the mount points that they are meant for.
  - Writes nothing, and needs nothing but C(wipefs) of util-linux.
options:
  volumes:
    description: The volumes, each with C(device) and C(mount).
    type: list
    elements: dict
    required: true
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at a disk
  protocol_omni.bunker.volume_info:
    volumes:
      - {device: /dev/disk/by-id/nvme-EXAMPLE, mount: /nvme}
"""

RETURN = r"""
volumes:
  description: The volumes in the order given. Sizes are bytes.
  returned: success
  type: list
  elements: dict
  contains:
    device: {description: The path given., type: str}
    mount: {description: The mount point given., type: str}
    kind: {description: "V(missing), V(block), or V(other) for what is no block device.", type: str}
    real: {description: The device's path without links., type: str}
    number: {description: "The kernel's number of the device, such as V(259:1).", type: str}
    size: {description: Size of the device., type: int}
    read_only: {description: Whether the device refuses writes., type: bool}
    signatures: {description: "Each signature with C(type), C(offset), C(uuid), C(label).", type: list}
    partitions: {description: Names of the device's partitions., type: list}
    holders: {description: Names of the devices that are built on this one., type: list}
    blank: {description: Whether its first MiB is blank., type: bool}
    file_system: {description: "C(type), C(size) and C(complete) of the file system; null where there is no signature of one alone.", type: dict}
    mounted_at: {description: Where the device is mounted., type: list}
    at_mount: {description: "What is mounted at the mount point: C(device), C(type), C(number), C(root) (its folder); null for nothing.", type: dict}
    place: {description: "The mount point itself: V(absent), V(folder), V(link) (a link on the way to it), or V(other).", type: str}
    hidden: {description: "Entries of the folder at the mount point that a mount would hide, five at most.", type: list}
    fstab: {description: "Entries of /etc/fstab for the mount point or the device, each with C(same_device).", type: list}
    use: {description: Percent of the file system in use where the volume is mounted; null elsewhere., type: int}
root_use:
  description: Percent of the root file system in use.
  returned: success
  type: int
"""

import fcntl  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import stat  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import host_survey, small_file, volume_survey  # noqa: E402


def use(path):
    """Percent in use, as df says it."""
    found = os.statvfs(path)
    used = found.f_blocks - found.f_bfree
    return math.ceil(100 * used / (used + found.f_bavail)) if used + found.f_bavail else 100


def place(mount):
    """What is at a mount point, and the entries of its folder."""
    if os.path.realpath(mount) != mount:
        return "link", []
    if not os.path.lexists(mount):
        return "absent", []
    return ("folder", sorted(os.listdir(mount))) if os.path.isdir(mount) else ("other", [])


class Survey:
    """Reads volumes one by one."""

    def __init__(self, module, seen=small_file.seen):
        """:param seen: function that returns a file's text."""
        self.module = module
        self.mounts = host_survey.mounts_of_mountinfo(seen("/proc/self/mountinfo"))
        self.every_mount = host_survey.every_mount(seen("/proc/self/mountinfo"))  # a mount that another hides uses its device as well
        self.fstab = volume_survey.fstab(seen("/etc/fstab"))

    def real(self, path):
        """Where a path leads to."""
        return os.path.realpath(path)

    def place(self, mount):
        """What is at a mount point: kind and names in it."""
        return place(mount)

    def volume(self, device, mount):
        """One volume, as it is asked for, and what there is of it."""
        at_mount = [entry for entry in self.mounts if entry["path"] == mount]
        where, entries = self.place(mount)
        found = {"device": device, "mount": mount, "kind": "missing", "real": self.real(device), "number": None, "size": 0, "read_only": False,
                 "signatures": [], "partitions": [], "holders": [], "blank": None, "file_system": None, "mounted_at": [],
                 "at_mount": {key: at_mount[0][key] for key in ("device", "type", "number", "root")} if at_mount else None,
                 "place": where, "hidden": [] if at_mount else entries[:5], "fstab": [], "use": None}
        self.look(found)
        same_device = [(entry, volume_survey.fstab_names_device(entry, found, self.real)) for entry in self.fstab]
        found["fstab"] = [dict(entry, same_device=same) for entry, same in same_device if same or entry["mount"] == mount]
        return found

    def look(self, found):
        """Adds what the device is, if it is there."""
        if os.path.exists(found["device"]):
            status = os.stat(found["device"])
            found["kind"] = "block" if stat.S_ISBLK(status.st_mode) else "other"
            if found["kind"] == "block":
                found["number"] = "%d:%d" % (os.major(status.st_rdev), os.minor(status.st_rdev))
                self.block(found)

    def block(self, found):
        folder = "/sys/dev/block/" + found["number"]
        found["size"] = int(small_file.text(folder + "/size") or 0) * 512  # sysfs counts sectors of 512 bytes, whatever the device's own are
        found["read_only"] = small_file.text(folder + "/ro").strip() == "1"
        found["holders"] = sorted(os.listdir(folder + "/holders")) if os.path.isdir(folder + "/holders") else []
        found["partitions"] = sorted(name for name in os.listdir(folder) if os.path.exists(os.path.join(folder, name, "partition")))
        found["mounted_at"] = [entry["path"] for entry in self.every_mount if entry["number"] == found["number"]]
        if not found["size"]:
            return
        wipefs = self.module.get_bin_path("wipefs", required=True)
        _code, out, _error = self.module.run_command([wipefs, "--no-act", "--json", found["real"]], check_rc=True, environ_update={"LC_ALL": "C"})
        found["signatures"] = volume_survey.signatures(out)
        kinds = {signature["type"] for signature in found["signatures"]}
        with open(found["real"], "rb", buffering=0) as stream:
            def read_at(offset, length):
                return os.pread(stream.fileno(), length, offset)
            found["blank"] = volume_survey.is_blank(read_at(0, volume_survey.BLANK_BYTES))
            if len(kinds) == 1:
                found["file_system"] = volume_survey.file_system(kinds.pop(), read_at)
        if found["at_mount"] and found["at_mount"]["number"] == found["number"]:
            self.mounted(found)

    def mounted(self, found):
        """A mounted file system is asked itself."""
        found["use"] = use(found["mount"])
        found["file_system"] = dict(found["file_system"] or {"size": None}, type=found["at_mount"]["type"], complete=True)
        if found["at_mount"]["type"] == "xfs":
            folder = os.open(found["mount"], os.O_RDONLY)
            try:
                geometry = fcntl.ioctl(folder, volume_survey.XFS_FSGEOMETRY, bytes(volume_survey.XFS_FSGEOMETRY_BYTES))
            finally:
                os.close(folder)
            found["file_system"]["size"] = volume_survey.xfs_size(geometry)


def main():
    module = AnsibleModule(argument_spec={"volumes": {"type": "list", "elements": "dict", "required": True}}, supports_check_mode=True)
    survey = Survey(module)
    try:
        volumes = [survey.volume(volume["device"], volume["mount"]) for volume in module.params["volumes"]]
    except (OSError, volume_survey.Unreadable) as error:
        module.fail_json(msg="A volume cannot be read: %s. See: dmesg" % error)
    module.exit_json(changed=False, volumes=volumes, root_use=use("/"))


if __name__ == "__main__":
    main()

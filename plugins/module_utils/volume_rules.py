# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges wanted volumes against what stands on their devices. Pure functions.

Nothing but an empty device is formatted: no signature, no partition, no holder, no mount, a blank start. What carries the wanted
file system keeps it with its data.
"""
from __future__ import annotations

import collections

from . import volume_survey
from .inventory_rules import Problem

# Smaller differences are what mkfs leaves free at the end of a device.
GROW_MINIMUM = 16 << 20
PARTITION_TABLES = ("dos", "gpt", "PMBR", "mac", "sgi", "sun", "bsd")
# libblkid's names, in words.
WORDS = {"LVM2_member": "an LVM physical volume", "LVM1_member": "an LVM physical volume", "linux_raid_member": "a member of a RAID (md)",
         "crypto_LUKS": "an encrypted volume (LUKS)", "swap": "swap space", "zfs_member": "a member of a ZFS pool",
         "bcache": "a bcache device", "ceph_bluestore": "a Ceph OSD"}
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "glusterfs", "9p", "virtiofs")  # file systems that another machine has


def describe(signature):
    """A signature in words."""
    kind = signature["type"]
    words = "a partition table (%s)" % kind if kind in PARTITION_TABLES else WORDS.get(kind, "the file system or signature %s" % kind)
    return "%s at byte %d%s" % (words, signature["offset"], ", UUID %s" % signature["uuid"] if signature.get("uuid") else "")


def is_mounted(found):
    """Whether the wanted device is what is mounted at the mount point, and not a folder of it."""
    at_mount = found["at_mount"]
    return bool(at_mount) and found["number"] is not None and at_mount["number"] == found["number"] and at_mount.get("root", "/") == "/"


def is_empty(found):
    """Whether nothing at all is on a device and nothing uses it: the only ones that are formatted."""
    in_use = found["signatures"] or found["partitions"] or found["holders"] or found["mounted_at"]
    return found["kind"] == "block" and found["size"] > 0 and found["blank"] is True and not in_use


def _look_and_erase(device):
    return ("Look: wipefs --no-act %s; lsblk %s. Only when you are sure that nothing on it is wanted, erase it yourself: wipefs --all %s "
            "&& dd if=/dev/zero of=%s bs=1M count=1. Or name another device." % ((device,) * 4))


def _device_problems(where, wanted, found):
    """Problems of the device itself."""
    device = wanted["device"]
    if found["kind"] == "missing":
        yield Problem(where, "the device is not there", "Connect the disk, or correct disk_layout_volumes from: ls -l /dev/disk/by-id/")
    elif found["kind"] == "other":
        yield Problem(where, "it is not a block device", "Correct disk_layout_volumes from: ls -l /dev/disk/by-id/")
    elif not found["size"]:
        yield Problem(where, "the device has no capacity (no medium, or a failed disk)", "See: dmesg; lsblk %s" % device)
    elif is_mounted(found):
        yield from _mounted_problems(where, wanted, found)
    else:
        yield from _unused_problems(where, found)
        yield from _content_problems(where, wanted, found)


def _mounted_problems(where, wanted, found):
    kind = found["at_mount"]["type"]
    if kind != wanted["filesystem"]:
        yield Problem(where, "it is mounted with %s, the inventory wants %s; nothing is converted or formatted over" % (kind, wanted["filesystem"]),
                      "Set filesystem: %s." % kind)


def _unused_problems(where, found):
    """A device that is not mounted where it is wanted must not be in use otherwise."""
    if found["mounted_at"]:
        yield Problem(where, "it is mounted at %s" % ", ".join(found["mounted_at"]),
                      "Set mount: %s, or unmount it yourself: umount %s" % (found["mounted_at"][0], found["mounted_at"][0]))
    if found["holders"]:
        yield Problem(where, "it is in use by %s (LVM, RAID, encryption or another layer)" % ", ".join(found["holders"]),
                      "See: lsblk %s. Name that layer's device, or take it apart yourself." % found["device"])
    if found["partitions"]:
        yield Problem(where, "it has partitions: %s" % ", ".join(found["partitions"]),
                      "Name a partition (a path that ends in -partN), or: %s" % _look_and_erase(found["device"]))
    if found["read_only"]:
        yield Problem(where, "the device is read-only", "See: blockdev --getro %s; dmesg" % found["device"])


def _content_problems(where, wanted, found):
    kinds = {signature["type"] for signature in found["signatures"]}
    if found["partitions"] or found["holders"] or found["mounted_at"]:
        return  # named already, and their signatures follow from it
    if kinds and kinds != {wanted["filesystem"]}:
        yield Problem(where, "it carries %s; a device that carries anything but the wanted file system (%s) is never formatted" % (
            "; ".join(describe(signature) for signature in found["signatures"]), wanted["filesystem"]), _look_and_erase(found["device"]))
    elif not kinds and not found["blank"]:
        yield Problem(where, "its first MiB is not blank though it carries no known signature; that may be data", _look_and_erase(found["device"]))
    elif kinds:
        system = found["file_system"]
        if system["size"] > found["size"]:
            yield Problem(where, "its %s has %d bytes, the device only %d; shrinking is refused" % (system["type"], system["size"], found["size"]),
                          "Give the device its former size back: what lies behind its end is cut off.")
        elif not system["complete"]:
            yield Problem(where, "its %s is incomplete: a superblock without what mkfs writes behind it" % system["type"],
                          "It was interrupted while it was formatted, or its start was overwritten. %s" % _look_and_erase(found["device"]))


def _other_mount(where, mount, other):
    """The problem of a mount point where something else is mounted, by what that is."""
    root, named = other.get("root", "/"), "%s (%s)" % (other["device"], other["type"])
    remedy = "Unmount it yourself (umount %s), or choose another mount point." % mount
    if other["type"] == "zfs":
        remedy = "A dataset is given another place by ZFS itself (zfs set mountpoint=none %s); or choose another mount point." % other["device"]
    if other["type"] == "btrfs" and root != "/":
        return Problem(where, "the subvolume %s of %s is mounted at %s" % (root, named, mount), remedy)
    if root != "/":
        return Problem(where, "the folder %s of %s is bound to %s" % (root, named, mount), remedy)
    return Problem(where, "%s is mounted at %s" % (named, mount), remedy)


def _is_bound(entry):
    return bool({"bind", "rbind"} & set(entry["options"]))


def _entry_in_words(entry):
    """(what an entry of fstab does, what its device is), as it is: a folder that is bound, a dataset of ZFS, a share of another machine, a device."""
    device, mount = entry["device"], entry["mount"]
    if _is_bound(entry):
        return "/etc/fstab binds the folder %s to %s" % (device, mount), "no device of its own"
    if entry["type"] == "zfs":
        return "/etc/fstab mounts the ZFS dataset %s at %s" % (device, mount), "another place for data"
    if entry["type"] in REMOTE:
        return "/etc/fstab mounts the %s share %s at %s" % (entry["type"], device, mount), "another machine's"
    return "/etc/fstab mounts %s at %s" % (device, mount), "another device"


def _place_problems(where, found):
    """Problems of the mount point."""
    mount, other = found["mount"], found["at_mount"]
    if other and not is_mounted(found):
        yield _other_mount(where, mount, other)
    if found["place"] == "link":
        yield Problem(where, "the way to %s goes through a symbolic link, which systemd does not mount on" % mount,
                      "Name the real path: realpath --canonicalize-missing %s" % mount)
    if found["place"] == "other":
        yield Problem(where, "%s is not a folder" % mount, "Move it away, or choose another mount point.")
    if found["hidden"]:
        yield Problem(where, "%s is not empty (%s); a mount would hide what is in it" % (mount, ", ".join(found["hidden"])),
                      "Move its content away, for example: mv %s %s.before" % (mount, mount))
    for entry in found["fstab"]:
        text, other = _entry_in_words(entry)
        if entry["mount"] == mount and entry["device"] == mount and _is_bound(entry):
            continue  # a folder that is bound to itself stays what it is
        if entry["mount"] == mount and not entry["same_device"]:
            yield Problem(where, "%s, which is %s" % (text, other), "Remove that line from /etc/fstab, or choose another mount point.")
        elif entry["mount"] != mount and entry["mount"].startswith("/"):
            yield Problem(where, text, "Remove that line from /etc/fstab, or set mount: %s." % entry["mount"])


def _shared_problems(wanted, survey):
    """Two volumes on one device or at one mount point."""
    for key, words in (("real", "device"), ("mount", "mount point")):
        users = collections.defaultdict(list)
        for volume, found in zip(wanted, survey):
            if key == "mount" or found["kind"] == "block":
                users[found[key]].append(volume)
        for value, volumes in users.items():
            if len(volumes) > 1:
                other = "mount" if key == "real" else "device"
                yield Problem("volumes %s" % " and ".join(volume[other] for volume in volumes), "both name the %s %s" % (words, value),
                              "A volume has a device and a mount point of its own: correct disk_layout_volumes.")


def judge(wanted, survey):
    """What to do with each volume, and every problem.

    :param wanted: the volumes of the inventory, with defaults filled in.
    :param survey: what volume_info returned for them, in the same order.
    :returns: tuple of a list of actions and a list of :class:`Problem`. An action is a dict of device, mount, filesystem, unit, manager
        (``unit`` or ``fstab``), and the booleans format, mount_now, grow and keeps (there is a file system whose data stay).
        Actions mean something only where there is no problem.
    """
    problems = list(_shared_problems(wanted, survey))
    actions = []
    for volume, found in zip(wanted, survey):
        where = "volume %s on %s" % (volume["mount"], volume["device"])
        problems += _device_problems(where, volume, found)
        problems += _place_problems(where, found)
        system = found["file_system"]
        actions.append({
            "device": volume["device"], "mount": volume["mount"], "filesystem": volume["filesystem"],
            "unit": volume_survey.unit_name(volume["mount"]),
            "manager": "fstab" if any(entry["same_device"] and entry["mount"] == volume["mount"] for entry in found["fstab"]) else "unit",
            "format": is_empty(found),
            "mount_now": not is_mounted(found),
            "keeps": bool(found["signatures"]) or is_mounted(found),
            "grow": bool(system) and system["size"] is not None and found["size"] - system["size"] >= GROW_MINIMUM,
        })
    return actions, problems


def claims(wanted, survey):
    """Results of the claims volumes.mounted and volumes.room, as module claim takes them."""
    if not wanted:
        reason = {"does_not_apply": "the inventory names no volumes (disk_layout_volumes)"}
        return {"volumes.mounted": reason, "volumes.room": reason}
    pairs = list(zip(wanted, survey))
    expected = ["%s: %s %s" % (volume["mount"], volume["device"], volume["filesystem"]) for volume in wanted]
    observed = []
    for volume, found in pairs:
        at_mount = found["at_mount"]
        device = volume["device"] if is_mounted(found) else at_mount and at_mount["device"]
        observed.append("%s: %s" % (volume["mount"], "%s %s" % (device, at_mount["type"]) if at_mount else "not mounted"))
    return {
        "volumes.mounted": {"expected": "; ".join(expected), "observed": "; ".join(observed), "holds": expected == observed},
        "volumes.room": {
            "expected": "; ".join("%s at most %d %%" % (volume["mount"], volume["fill_limit"]) for volume in wanted),
            "observed": "; ".join("%s %s" % (found["mount"], "not mounted" if found["use"] is None else "%d %%" % found["use"]) for found in survey),
            "holds": all(found["use"] is not None and found["use"] <= volume["fill_limit"] for volume, found in pairs),
        },
    }

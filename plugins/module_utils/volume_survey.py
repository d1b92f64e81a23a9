# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on block devices, from the texts and bytes that the host gives. Pure functions; sizes are bytes.

modules/volume_info.py collects the texts. The kernel's own numbers of a device ("7:0") tell devices apart: names and links can move.
"""
from __future__ import annotations

import json
import re
import struct

# As much of a device's start must be blank before it counts as empty: data without a signature that libblkid knows is data too.
BLANK_BYTES = 1 << 20
# Names of partitions, which are not on the device itself but in the table before it, and udev's names of disks (fstab(5)).
LINKS = {"PARTUUID": "/dev/disk/by-partuuid/", "PARTLABEL": "/dev/disk/by-partlabel/", "ID": "/dev/disk/by-id/"}
MOST_LOG_SIZE = 6  # of ext4's blocks, 64 KiB
XFS_FSGEOMETRY = 0x80705864  # ioctl XFS_IOC_FSGEOMETRY_V1: _IOR('X', 100, 112 bytes)
XFS_FSGEOMETRY_BYTES = 112


class Unreadable(Exception):
    """What a tool said of a device makes no sense: then nobody knows whether it is empty."""


def signatures(text):
    """Signatures from ``wipefs --no-act --json``: list of dict of type, offset, uuid, label.

    :raises Unreadable: it says something else than signatures; a device is never taken for empty then.
    """
    try:
        found = (json.loads(text) if text.strip() else {}).get("signatures") or []
        named = [{"type": entry["type"], "offset": int(entry["offset"], 16), "uuid": entry.get("uuid"), "label": entry.get("label")} for entry in found]
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise Unreadable("wipefs says what is no list of signatures (%s): %s" % (error, text.strip()[:80])) from error
    if not all(isinstance(entry["type"], str) and isinstance(entry["uuid"], (str, type(None))) and isinstance(entry["label"], (str, type(None)))
               for entry in named):
        raise Unreadable("wipefs names a signature by no text: %s" % text.strip()[:80])
    return named


def is_blank(start):
    """Whether the bytes at the start of a device are all 0x00 or all 0xff (what an erased device reads as)."""
    return start == bytes(len(start)) or start == b"\xff" * len(start)


def file_system(kind, read):
    """Size and completeness of a file system on a device.

    :param kind: type of its signature.
    :param read: function of (offset, length) that returns bytes of the device, fewer behind its end.
    :returns: dict of type, size (None where this function cannot tell) and complete (False where parts that mkfs writes are missing).
    """
    def at(offset, length):
        return read(offset, length) if offset < 1 << 63 else b""  # behind the end of every device
    readers = {"xfs": _xfs, "ext4": _ext4}
    if kind not in readers:
        return {"type": kind, "size": None, "complete": None}
    try:
        return dict(readers[kind](at), type=kind)
    except (struct.error, IndexError):  # its superblock is cut off
        return {"type": kind, "size": None, "complete": False}


def _xfs(read):
    """XFS superblock, big-endian (xfs_format.h, struct xfs_dsb), and the headers of the first and last allocation group."""
    block = read(0, 512)
    block_size, blocks = struct.unpack_from(">IQ", block, 4)
    group_blocks, groups = struct.unpack_from(">II", block, 84)
    sector, = struct.unpack_from(">H", block, 102)
    in_progress = block[126]
    if not groups:
        return {"size": None, "complete": False}
    complete = (not in_progress and read(sector, 4) == b"XAGF" and read(2 * sector, 4) == b"XAGI"
                and read((groups - 1) * group_blocks * block_size, 4) == b"XFSB")
    return {"size": blocks * block_size, "complete": complete}


def xfs_size(geometry):
    """Bytes of a mounted XFS from its ioctl XFS_FSGEOMETRY: what is on the device may be older than what is in the log."""
    block_size, = struct.unpack_from("=I", geometry, 0)
    blocks, = struct.unpack_from("=Q", geometry, 32)
    return block_size * blocks


def _ext4(read):
    """ext4 superblock, little-endian (kernel documentation, ext4/super), and the root directory's inode."""
    block = read(1024, 1024)
    low, = struct.unpack_from("<I", block, 4)
    first_block, log_size = struct.unpack_from("<II", block, 20)
    inode_size, = struct.unpack_from("<H", block, 88)
    incompatible, = struct.unpack_from("<I", block, 96)
    high, = struct.unpack_from("<I", block, 0x150)
    if log_size > MOST_LOG_SIZE:
        return {"size": None, "complete": False}
    block_size = 1024 << log_size
    blocks = low | (high << 32 if incompatible & 0x80 else 0)  # 0x80: INCOMPAT_64BIT
    table = read((first_block + 1) * block_size + 8, 4)
    mode = b""
    if len(table) == 4:
        mode = read(struct.unpack("<I", table)[0] * block_size + inode_size, 2)  # inode 2, the second one of the table
    complete = len(mode) == 2 and struct.unpack("<H", mode)[0] & 0xF000 == 0x4000
    return {"size": blocks * block_size, "complete": complete}


def fstab(text):
    """Entries of /etc/fstab: list of dict of device, mount, type, options. Blanks and tabs part its fields; any other space is a part of a name."""
    entries = []
    for line in text.split("\n"):
        fields = re.split(r"[ \t]+", line.strip(" \t\r"))
        if len(fields) >= 3 and not fields[0].startswith("#"):
            device, mount = (re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field) for field in fields[:2])
            entries.append({"device": device, "mount": re.sub("/+", "/", mount).rstrip("/") or "/", "type": fields[2],
                            "options": fields[3].split(",") if len(fields) > 3 else []})
    return entries


def udev_escaped(name):
    """A name as udev writes it into a link under /dev/disk."""
    return "".join(character if re.match(r"[A-Za-z0-9#+.:=@_/-]", character) or ord(character) > 127
                   else "\\x%02x" % ord(character) for character in name)


def fstab_names_device(entry, found, real_path):
    """Whether an entry of fstab means this device.

    :param found: the device's signatures.
    :param real_path: function that resolves a path's links.
    :param entry: dict as :func:`fstab` makes them; ``found`` has the device's own real path in ``real``.
    """
    name, _equals, value = entry["device"].partition("=")
    value = value[1:-1] if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1 else value  # libmount takes both
    if name in LINKS and value:
        return real_path(LINKS[name] + (value.lower() if name == "PARTUUID" else udev_escaped(value))) == found["real"]
    if value:
        key = {"UUID": "uuid", "LABEL": "label"}.get(name)
        return key is not None and any((signature[key] or "").lower() == value.lower() if key == "uuid" else signature[key] == value
                                       for signature in found["signatures"])
    return entry["device"].startswith("/") and real_path(entry["device"]) == found["real"]


def unit_name(mount):
    """The name of the systemd unit of a mount point, as ``systemd-escape --path --suffix=mount`` makes it."""
    path = "/".join(part for part in mount.split("/") if part)
    if not path:
        return "-.mount"
    escaped = "".join(
        "-" if character == "/" else character if re.match(r"[A-Za-z0-9:_.]", character) and not (character == "." and position == 0)
        else "".join("\\x%02x" % byte for byte in character.encode("utf-8"))
        for position, character in enumerate(path))
    return escaped + ".mount"

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where data go: volumes on empty disks that a person gave, else what is mounted already."""
from __future__ import annotations

import re

from .. import volume_rules
from ..host_rules.room import BUILD_BYTES, FILE_SYSTEM_SHARE, IMAGE_BYTES
from ..host_survey import inside
from ..inventory_rules import PATH, Problem

LISTING = "ls -l /dev/disk/by-id/"
BASE = "/srv/bunker"
# Another file system is preferred to the root one for models where it has so much more room.
MORE = 2
LOCAL = ("ext4", "xfs", "btrfs", "zfs")
# Where people's own files, removable media, the system's state or other engines' data are; and where single files are mounted in containers.
OTHERS = ("/boot", "/efi", "/etc", "/home", "/media", "/run", "/snap", "/tmp", "/usr", "/var/lib", "/var/log", "/var/snap", "/var/tmp")
OWN = re.compile("^%s(/models|/disk[0-9]+)?$" % re.escape(BASE))  # mount points of :func:`variables`
IMAGE = 2 * IMAGE_BYTES + BUILD_BYTES  # image, its archive and its build, which lie beside the models where there is one file system
LEAST = 32 * 10 ** 9  # bytes; smaller devices are no disks for models


def empty(survey):
    """The disks that may be offered for formatting: nothing at all is on them, largest first."""
    found = [disk for disk in survey if volume_rules.is_empty(disk) and disk["size"] >= LEAST and not disk["read_only"]]
    return sorted(found, key=lambda disk: -disk["size"])


def lost(device, reason):
    """A disk that cannot be read, in the shape of volume_info; reason: what the module said."""
    return {"device": device, "real": device, "kind": "block", "size": 0, "read_only": False, "signatures": [], "partitions": [], "holders": [],
            "mounted_at": [], "blank": None, "unreadable": reason}


def what_is_on(disk):
    """Why a disk is not empty, in words."""
    if disk.get("unreadable"):
        return "it cannot be read: %s" % disk["unreadable"].rstrip(".")
    said = [volume_rules.describe(signature) for signature in disk["signatures"]]
    said += ["partitions %s" % ", ".join(disk["partitions"])] if disk["partitions"] else []
    said += ["in use by %s" % ", ".join(disk["holders"])] if disk["holders"] else []
    said += ["mounted at %s" % ", ".join(disk["mounted_at"])] if disk["mounted_at"] else []
    return "; ".join(said) or ("it has no capacity" if not disk["size"] else "its first MiB is not blank")


def _own(disk):
    """Where a disk is mounted that an inventory of init formatted before; None for another one."""
    return next(filter(OWN.match, disk["mounted_at"]), None)


def chosen(wanted, survey):
    """The disks of the inventory: those that it formatted before, and those that a person gave to be formatted.

    :param wanted: paths, any name of the device.
    :param survey: the disks as volume_info returns them, each with its other names in links.
    :returns: tuple of the disks and a list of :class:`Problem`.
    """
    found, problems = [disk for disk in survey if _own(disk)], []
    for path in dict.fromkeys(wanted):
        disk = next((disk for disk in survey if path in (disk["device"], disk["real"], *disk.get("links", []))), None)
        offered = ", ".join("%s (%.0f GB)" % (one["device"], one["size"] / 1e9) for one in empty(survey)) or "none"
        if disk is None:
            problems.append(Problem("--format-disk %s" % path, "it is a disk of the host", "Empty disks: %s. See on the host: %s" % (offered, LISTING)))
        elif disk in found:
            continue
        elif not volume_rules.is_empty(disk):
            problems.append(Problem("--format-disk %s" % path, "only an empty disk is formatted, and this one is not (%s)" % what_is_on(disk),
                                    "Empty disks: %s. See on the host: wipefs --no-act %s" % (offered, disk["device"])))
        elif disk["read_only"]:
            problems.append(Problem("--format-disk %s" % path, "the disk takes writes, and this one is read-only",
                                    "Empty disks: %s. See on the host: dmesg" % offered))
        else:
            found.append(disk)
    return sorted(found, key=lambda disk: (not _own(disk), disk["size"])), problems


def _mounts(disks):
    """Where each disk is mounted: those that are stay; of new ones the largest takes the models where there are several and no older one has them."""
    there = [_own(disk) for disk in disks if _own(disk)]
    new = [BASE + "/models"] if len(disks) > 1 and not there else []
    names = iter([mount for mount in [BASE] + ["%s/disk%d" % (BASE, number) for number in range(2, 2 * len(disks) + 2)] if mount not in there])
    new = [next(names) for _disk in range(len(disks) - len(there) - len(new))] + new
    return there + new


def variables(disks, host):
    """What the inventory says of places.

    :param disks: of :func:`chosen`.
    :param host: what host_info returned. Data of an engine that is there stay where they are.
    :returns: dict of variable to value.
    """
    if not disks:
        place = _roomiest(host)
        return {} if place is None else {"model_store_path": place.rstrip("/") + "/bunker/models", "bunker_cache_path": place.rstrip("/") + "/bunker/cache"}
    mounts = _mounts(disks)
    found = {
        "disk_layout_volumes": [_volume(disk, mount) for disk, mount in zip(disks, mounts)],
        "disk_layout_directories": [{"path": BASE + "/cache"}] + ([] if BASE + "/models" in mounts else [{"path": BASE + "/models"}]),
        "bunker_cache_path": BASE + "/cache", "model_store_path": BASE + "/models", "observability_data_path": BASE + "/prometheus"}
    if not host["engine"] or host.get("engine_root") == BASE + "/docker":
        found["disk_layout_directories"] += [{"path": BASE + "/docker", "mode": "0710"}, {"path": BASE + "/containerd", "mode": "0711"}]
        found.update(container_engine_data_root=BASE + "/docker", container_engine_containerd_root=BASE + "/containerd")
    return found


def _volume(disk, mount):
    kinds = {signature["type"] for signature in disk["signatures"]}
    return dict({"device": disk["device"], "mount": mount}, **({"filesystem": "ext4"} if kinds == {"ext4"} else {}))


def _roomiest(host):
    """Mount point of a local file system with much more room than the root one; None where the root one will do."""
    mounts = [mount for mount in host["mounts"] if mount["free"] and "rw" in mount["options"] and (mount["type"] in LOCAL or mount["path"] == "/")]
    mounts = [mount for mount in mounts if mount["path"] == "/" or PATH.match(mount["path"]) and not any(inside(mount["path"], one) for one in OTHERS)]
    root = next((mount["free"] for mount in mounts if mount["path"] == "/"), 0)
    best = max(mounts, key=lambda mount: mount["free"], default=None)
    return best["path"] if best and best["path"] != "/" and best["free"] > MORE * root else None


def room_for_models(disks, host):
    """Bytes that models may take where they will lie; None where nobody says. Of little, all: preflight says what is missing."""
    if disks:
        places = dict(zip(_mounts(disks), disks))
        alone = places.get(BASE + "/models")
        free = int((alone or places.get(BASE) or disks[-1])["size"] * FILE_SYSTEM_SHARE)
    else:
        alone, place = None, _roomiest(host) or "/"
        free = next((mount["free"] for mount in host["mounts"] if mount["path"] == place), None)
    return free if alone or free is None or free <= IMAGE else free - IMAGE

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where data go: volumes on empty disks that a person gave, else what is mounted already."""
from __future__ import annotations

from .. import volume_rules
from ..inventory_rules import Problem

LISTING = "ls -l /dev/disk/by-id/"
BASE = "/srv/bunker"
# Another file system is preferred to the root one for models where it has so much more room.
MORE = 2
LOCAL = ("ext4", "xfs", "btrfs", "zfs")
LEAST = 32 * 10 ** 9  # bytes; smaller devices are no disks for models


def empty(survey):
    """The disks that may be offered for formatting: nothing at all is on them, largest first."""
    found = [disk for disk in survey if volume_rules.is_empty(disk) and disk["size"] >= LEAST and not disk["read_only"]]
    return sorted(found, key=lambda disk: -disk["size"])


def what_is_on(disk):
    """Why a disk is not empty, in words."""
    said = [volume_rules.describe(signature) for signature in disk["signatures"]]
    said += ["partitions %s" % ", ".join(disk["partitions"])] if disk["partitions"] else []
    said += ["in use by %s" % ", ".join(disk["holders"])] if disk["holders"] else []
    said += ["mounted at %s" % ", ".join(disk["mounted_at"])] if disk["mounted_at"] else []
    return "; ".join(said) or ("it has no capacity" if not disk["size"] else "its first MiB is not blank")


def chosen(wanted, survey):
    """The disks that a person gave to be formatted.

    :param wanted: paths, any name of the device.
    :param survey: the disks as volume_info returns them.
    :returns: tuple of the disks and a list of :class:`Problem`.
    """
    found, problems = [], []
    for path in dict.fromkeys(wanted):
        disk = next((disk for disk in survey if path in (disk["device"], disk["real"])), None)
        offered = ", ".join("%s (%.0f GB)" % (one["device"], one["size"] / 1e9) for one in empty(survey)) or "none"
        if disk is None:
            problems.append(Problem("--format-disk %s" % path, "it is a disk of the host", "Empty disks: %s. See on the host: %s" % (offered, LISTING)))
        elif not volume_rules.is_empty(disk):
            problems.append(Problem("--format-disk %s" % path, "only an empty disk is formatted, and this one is not (%s)" % what_is_on(disk),
                                    "Empty disks: %s. See on the host: wipefs --no-act %s" % (offered, disk["device"])))
        elif disk not in found:
            found.append(disk)
    return sorted(found, key=lambda disk: disk["size"]), problems


def variables(disks, host):
    """What the inventory says of places.

    :param disks: of :func:`chosen`; the largest takes the models.
    :param host: what host_info returned. Data of an engine that is there stay where they are.
    :returns: dict of variable to value.
    """
    if not disks:
        place = _roomiest(host)
        return {} if place is None else {"model_store_path": place.rstrip("/") + "/bunker/models", "bunker_cache_path": place.rstrip("/") + "/bunker/cache"}
    mounts = [BASE] + ["%s/disk%d" % (BASE, number) for number in range(2, len(disks))] + ([BASE + "/models"] if len(disks) > 1 else [])
    found = {
        "disk_layout_volumes": [{"device": disk["device"], "mount": mount} for disk, mount in zip(disks, mounts)],
        "disk_layout_directories": [{"path": BASE + "/cache"}] + ([] if len(disks) > 1 else [{"path": BASE + "/models"}]),
        "bunker_cache_path": BASE + "/cache", "model_store_path": BASE + "/models", "observability_data_path": BASE + "/prometheus"}
    if not host["engine"]:
        found["disk_layout_directories"] += [{"path": BASE + "/docker", "mode": "0710"}, {"path": BASE + "/containerd", "mode": "0711"}]
        found.update(container_engine_data_root=BASE + "/docker", container_engine_containerd_root=BASE + "/containerd")
    return found


def _roomiest(host):
    """Mount point of a local file system with much more room than the root one; None where the root one will do."""
    mounts = [mount for mount in host["mounts"] if mount["free"] and "rw" in mount["options"] and (mount["type"] in LOCAL or mount["path"] == "/")]
    mounts = [mount for mount in mounts if mount["path"] == "/" or not mount["path"].startswith(("/boot", "/var/lib/docker", "/snap", "/home"))]
    root = next((mount["free"] for mount in mounts if mount["path"] == "/"), 0)
    best = max(mounts, key=lambda mount: mount["free"], default=None)
    return best["path"] if best and best["path"] != "/" and best["free"] > MORE * root else None


def room_for_models(disks, host):
    """Bytes that are free where the models will lie; None where nobody says."""
    if disks:
        return int(disks[-1]["size"] * 0.97)
    place = _roomiest(host) or "/"
    return next((mount["free"] for mount in host["mounts"] if mount["path"] == place), None)

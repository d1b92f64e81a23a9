# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule of room on file systems, and what the host is asked for it. Arguments as in judge.py."""
from __future__ import annotations

import collections

from ..host_survey import inside
from . import sizes
from .finding import ERROR, GIB, WARNING, Finding, version

# From this version on a new engine keeps images in containerd's store (Docker Engine 29 release notes).
ENGINE_WITH_CONTAINERD_STORE = (29, 0)
DATA_ROOT, CONTAINERD_ROOT = "/var/lib/docker", "/var/lib/containerd"
# Measured (docs/measured.md): the image has 772 MB, and after a full build the engine's data root held 5.4 GB. Asked for is half as much again
# and twice as much: other inputs make other images, and a build holds more in the middle than at its end.
IMAGE_BYTES = 772_000_000 * 3 // 2
BUILD_BYTES = 5_400_000_000 * 2
# What a file system keeps of a device for itself, about.
FILE_SYSTEM_SHARE = 0.97


def _roots(inventory):
    return inventory.get("container_engine_data_root") or DATA_ROOT, inventory.get("container_engine_containerd_root") or CONTAINERD_ROOT


def questions(inventory, ask=True):
    """What host_info is to read for this inventory: its options paths, devices, models and sources.

    :param ask: whether servers may be asked for sizes of files that the inventory does not say.
    """
    return {
        "paths": sorted({*_roots(inventory), inventory["bunker_cache_path"], inventory["model_store_path"]}),
        "devices": sorted(volume["device"] for volume in inventory.get("disk_layout_volumes") or []),
        **sizes.questions(inventory, ask),
    }


def landings(inventory, host):
    """What the roles will still write: list of (what, path, bytes)."""
    found = []
    data_root, containerd_root = _roots(inventory)
    store = host.get("engine_store") or ("containerd" if version(host["engine"]) >= ENGINE_WITH_CONTAINERD_STORE else "docker")
    images = containerd_root if store == "containerd" else data_root
    if inventory["golden_image_name"] not in {name.rpartition(":")[0] for name in host["images"]}:
        found += [("the image", images, IMAGE_BYTES), ("its build", data_root, BUILD_BYTES)]
        if inventory["golden_image_keep_archive"]:
            found.append(("the image's archive", inventory["bunker_cache_path"], IMAGE_BYTES))
    return found + [("model %s" % name, inventory["model_store_path"], model.missing)
                    for name, model in sorted(sizes.models(inventory, host).items()) if model.missing]


def _place(path, inventory, host):
    """(mount, free bytes or None) of the file system that a path will lie on, disk_layout's volumes counted as mounted."""
    mount = host["places"].get(path)
    for volume in sorted(inventory.get("disk_layout_volumes") or [], key=lambda volume: -len(volume["mount"])):
        if inside(path, volume["mount"]):
            if mount is None or len(mount) < len(volume["mount"]):  # not mounted yet: an empty device of that size
                size = host["devices"].get(volume["device"])
                return volume["mount"], size and int(size * FILE_SYSTEM_SHARE)
            break
    return mount, next((found["free"] for found in host["mounts"] if found["path"] == mount), None)


def room(inventory, host):
    """Each file system has room for what will land on it."""
    lands = collections.defaultdict(list)
    for what, path, size in landings(inventory, host):
        lands[_place(path, inventory, host)].append((what, path, size))
    for (mount, free), landing in sorted(lands.items(), key=str):
        needed = sum(size for _what, _path, size in landing)
        locked = next((found for found in host["mounts"] if found["path"] == mount and "ro" in found["options"]), None)
        if locked:
            yield Finding("room", ERROR, "file system %s" % mount, "read-only (%s, %s)" % (locked["device"], locked["type"]),
                          "one that can be written, for %s" % ", ".join("%s (%s)" % (what, path) for what, path, _size in landing),
                          "See why: dmesg, findmnt %s. An error makes ext4 read-only; check it (fsck) before it is mounted anew." % mount)
        elif free is None:
            yield Finding("room", WARNING, "file system %s" % (mount or "of " + landing[0][1]), "no size that could be read",
                          "%.1f GiB free, which nobody has looked at" % (needed / GIB), "See that the device of disk_layout_volumes is there, or look with df.")
        elif free < needed:
            yield Finding("room", ERROR, "file system %s" % mount, "%.1f GiB free" % (free / GIB),
                          "%.1f GiB: %s" % (needed / GIB, ", ".join("%.1f for %s (%s)" % (size / GIB, what, path) for what, path, size in landing)),
                          "Free some, or move one of them: disk_layout_volumes, container_engine_data_root, model_store_path, bunker_cache_path.")

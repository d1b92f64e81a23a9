# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine's data lie, where they shall lie, and what is to be done about it. Pure functions.

There are two roots, ``docker`` and ``containerd``; each is named in a configuration file of its own. Which copy of a root is
the living one is read there (or asked of the running engine), never in the journal: a root that its configuration still calls
by the old name is copied from there once more, one that goes by the new name is never copied over again. So a move may be
interrupted anywhere. The journal only says what an unfinished or finished move was, and which units ran before it.
"""
from __future__ import annotations

import collections
import json
import re

from .host_survey import inside
from .inventory_rules import Problem

OWN_ROOTS = {"docker": "/var/lib/docker", "containerd": "/var/lib/containerd"}
VARIABLES = {"docker": "container_engine_data_root", "containerd": "container_engine_containerd_root"}
# What would be missed, as patterns below a root. All else a new engine makes by itself: databases, empty folders, its own id.
DATA = {
    "docker": {
        "images": "image/*/imagedb/content/sha256/*",
        "containers": "containers/*",
        "volumes": "volumes/*/_data",
        "layers": "overlay2/*/diff",
        "plugins": "plugins/*/config.json",
        "swarm": "swarm/docker-state.json",
    },
    "containerd": {
        "blobs": "io.containerd.content.v1.content/blobs/*/*",
        "snapshots": "io.containerd.snapshotter.v1.*/snapshots/*",
    },
}
# Storage drivers whose data are subvolumes or block devices, which no copy of files can carry.
UNMOVABLE = {"docker": ("btrfs", "zfs", "devicemapper"),
             "containerd": ("io.containerd.snapshotter.v1.btrfs/snapshots/*", "io.containerd.snapshotter.v1.devmapper/*")}
# Mounts that a running engine makes below its own root.
OWN_MOUNTS = ("overlay", "fuse.fuse-overlayfs", "tmpfs", "nsfs", "proc")
# What a running containerd keeps open.
CONTAINERD_DATABASE = "/io.containerd.metadata.v1.bolt/meta.db"
# A new file system's own folder.
NO_DATA = ("lost+found",)


def root_of_containerd(text):
    """The top-level ``root`` of containerd's configuration, or an empty string."""
    for line in _top_level(text):
        found = re.match(r"""\s*root\s*=\s*["']([^"']*)["']""", line)
        if found:
            return found.group(1)
    return ""


def root_of_daemon(text):
    """The ``data-root`` of daemon.json, or an empty string. A file that is no JSON object is refused by daemon_config.py."""
    try:
        root = json.loads(text).get("data-root")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return root if isinstance(root, str) else ""


def journal_of(text):
    """What a journal notes, None of an empty one.

    :raises ValueError: it is none.
    """
    found = json.loads(text or "null")
    if found is None:
        return None
    roots = found.get("roots") if isinstance(found, dict) else None
    sound = isinstance(roots, list) and found.get("state") in ("copying", "switched") and isinstance(found.get("units"), list)
    if not sound or not all(isinstance(root, dict) and root.get("name") in OWN_ROOTS and all(isinstance(root.get(key), str) for key in ("old", "new"))
                            for root in roots):
        raise ValueError("it lacks the state, the roots or the units of a move")
    return found


def _top_level(text):
    lines = text.splitlines()
    tables = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
    return lines[:tables[0]] if tables else lines


def with_containerd_root(text, root):
    """containerd's configuration with its top-level ``root`` set; every other line stays as it is."""
    wanted = 'root = "%s"' % root
    head, lines = _top_level(text), text.splitlines()
    places = [number for number, line in enumerate(head) if re.match(r"\s*root\s*=", line)]
    if places:
        lines[places[0]] = wanted
    else:  # behind the version, which some write first, and before the first table
        versions = [number for number, line in enumerate(head) if re.match(r"\s*version\s*=", line)]
        if not text.strip():
            lines = ["version = 2"]
            versions = [0]
        lines.insert(versions[0] + 1 if versions else 0, wanted)
    return "\n".join(lines) + "\n"


def sizes(data):
    """"2 images, 1 containers" of counts; empty where nothing would be missed."""
    return ", ".join("%d %s" % (count, name) for name, count in data.items() if count)


def gigabytes(size):
    """A size for a person."""
    return "%.1f GB" % (size / 1e9)


def _volume_problems(request, targets):
    for name, target in targets.items():
        wanted = request["roots"][name]
        volume = max((volume["mount"] for volume in request["volumes"] if inside(wanted, volume["mount"])), key=len, default="")
        if volume and request["ready"] and not inside(target["mount"], volume):
            yield Problem("%s %s lies on %s" % (VARIABLES[name], wanted, target["mount"]),
                          "what belongs on the volume %s is never written under its mount point" % volume,
                          "Mount it: systemctl start \"$(systemd-escape --path --suffix=mount %s)\"; and see why it is not there." % volume)


def _target_problems(roots, found):
    """A first copy goes into an empty folder, apart from the old one, and only what files can carry is copied."""
    for root in roots:
        name, old, new = root["name"], root["old"], root["new"]
        where = "%s %s" % (VARIABLES[name], new)
        if inside(new, old) or inside(old, new):
            yield Problem(where, "the new place and the old one, %s, are apart" % old, "Choose another.")
        entries = [entry for entry in found["targets"][name]["entries"] if entry not in NO_DATA]
        if entries:
            yield Problem("%s holds %s" % (where, ", ".join(entries[:5])), "what is there was not put there by this role, and is not overwritten",
                          "Empty it, or choose another place.")


def _source_problems(roots, found):
    for root in roots:
        source = found["sources"][root["name"]]
        if source["unmovable"]:
            yield Problem("%s holds %s" % (root["old"], ", ".join(source["unmovable"])), "only data that are plain files can be copied (overlay2, vfs)",
                          "Save the images and volumes, and start with an empty root.")
        if source["submounts"]:
            yield Problem("%s is mounted below %s" % (", ".join(source["submounts"]), root["old"]), "a root is moved as one file system",
                          "Move that mount first, or unmount it.")


def _room_problems(roots, found):
    needed, free = collections.Counter(), {}
    for root in roots:
        source, target = found["sources"][root["name"]], found["targets"][root["name"]]
        needed[target["mount"]] += max(0, source["bytes"] * 21 // 20 - target["bytes"])
        free[target["mount"]] = target["free"]
    for mount, size in needed.items():
        if size > free[mount]:
            yield Problem("%s free on %s" % (gigabytes(free[mount]), mount), "the copy needs %s" % gigabytes(size), "Make room there, or choose another place.")


def _unfinished(roots, pending, request, journal):
    """Problems of going on with a move that did not end."""
    path = request["journal"]
    noted = "; ".join("%s to %s" % (root["old"], root["new"]) for root in journal["roots"])
    if roots != pending:
        yield Problem("a move is unfinished (%s)" % path, "it goes on as it was begun: %s" % noted,
                      "Set the roots as they were and let it end; or remove %s and what was copied, and start again." % path)
    elif pending and not request["move"]:
        living = ", ".join(root["old"] if root in pending else root["new"] for root in journal["roots"])
        stay = "" if pending != journal["roots"] else " Or stay: leave %s empty, and remove %s and what was copied." % (
            " and ".join(VARIABLES[root["name"]] for root in pending), path)
        yield Problem("a move is unfinished (%s): %s" % (path, noted), "it ends only on request; in use are %s" % living,
                      "Set container_engine_move_data: true, and it goes on where it was." + stay)


def decide(request, found):
    """What is to be done.

    :param request: dict of ``roots`` (name to wanted path, empty where the engine's own stays), ``move`` and ``discard``
        (bool), ``volumes`` (list of dict with ``mount``), ``ready`` (whether volumes must be mounted by now), ``journal`` (its path).
    :param found: dict of ``sources`` (name to ``root``, the present one, ``data`` (counts), ``bytes``, ``submounts``, ``unmovable``),
        ``targets`` (the wanted ones: name to ``root``, ``entries``, ``bytes``, ``mount``, ``free``), ``journal`` (dict or None),
        ``left`` (old roots of the journal that still hold something), ``answers`` (whether the engine does).
    :returns: dict of ``action``: ``none``, ``switch`` (nothing to copy), ``copy``, ``finish`` (everything is switched, only the journal does
        not say so yet); ``roots`` it concerns; ``problems``; ``discard``: folders to empty; ``kept``: old data that wait for it.
    """
    journal = found["journal"]
    if journal and journal["state"] == "switched":  # until nothing old is left, or somebody went back to it
        returned = [root for root in journal["roots"] if found["sources"][root["name"]]["root"] == root["old"]]
        journal = journal if found["left"] and not returned else None
    roots = [{"name": name, "old": found["sources"][name]["root"], "new": found["targets"][name]["root"]} for name in found["targets"]
             if found["targets"][name]["root"] != found["sources"][name]["root"]]
    plan = {"action": "none", "roots": roots, "discard": [], "kept": [], "resumed": bool(journal and journal["state"] == "copying")}
    problems = list(_volume_problems(request, found["targets"]))
    if journal and journal["state"] == "copying":
        pending = [root for root in journal["roots"] if found["sources"][root["name"]]["root"] != root["new"]]
        problems += _unfinished(roots, pending, request, journal)
        plan["action"] = "copy" if pending else "finish"
    elif roots:
        data = [(root["old"], sizes(found["sources"][root["name"]]["data"]), found["sources"][root["name"]]["bytes"]) for root in roots]
        plan["action"] = "copy" if any(text for _old, text, _size in data) else "switch"
        if journal:
            problems.append(Problem("old data in %s" % ", ".join(found["left"]), "a second move starts when the first is confirmed",
                                    "Set container_engine_discard_moved_data: true to remove them, with the roots as they are now."))
        else:
            problems += _target_problems(roots, found)
        if plan["action"] == "copy" and not request["move"]:
            text = "; ".join("%s holds %s (%s)" % (old, text or "no data", gigabytes(size)) for old, text, size in data)
            problems.append(Problem(text, "existing data are moved only on request, and would be out of sight at %s" % ", ".join(root["new"] for root in roots),
                                    "Set container_engine_move_data: true to move them (the engine stands still while they are copied, the old copy stays); "
                                    "or leave %s empty." % " and ".join(VARIABLES[root["name"]] for root in roots)))
    elif journal:
        living = [root for root in journal["roots"] if found["sources"][root["name"]]["root"] != root["new"]]
        confirmed = request["discard"] and found["answers"] and not living
        plan["discard" if confirmed else "kept"] = found["left"]
    if plan["action"] == "copy":
        problems += _source_problems(roots, found)
        if request["ready"]:
            problems += _room_problems(roots, found)
    plan["problems"] = ["%s: %s. %s" % problem for problem in problems]
    return plan

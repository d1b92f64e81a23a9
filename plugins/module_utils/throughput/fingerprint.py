# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement was made on: what of it has changed makes its result stale. Pure functions."""
from __future__ import annotations

import hashlib

# Keys of a host's fingerprint, and how a difference is told. What is None on either side, nobody knew, and it makes nothing stale.
HOST = {"cpu": "the processor", "sockets": "the number of sockets", "cores": "the number of physical cores", "threads": "the number of CPUs",
        "nodes": "the number of NUMA nodes", "memory_speed": "the speed of the memory"}


def model_hash(files):
    """One hash for a model: its file's SHA-256, of a split model a hash of all of them; "" where one has none."""
    hashes = [entry.get("sha256") or "" for entry in files]
    if not all(hashes):
        return ""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def host(model, cpus, memory_speed=None):
    """A host's fingerprint.

    :param model: name of the processor, or None.
    :param cpus: of topology.parse().
    :param memory_speed: as the firmware tells it, such as "6400 MT/s", or None.
    """
    return {"cpu": model, "sockets": len({cpu["socket"] for cpu in cpus}), "cores": len({(cpu["socket"], cpu["core"]) for cpu in cpus}),
            "threads": len(cpus), "nodes": len({cpu["node"] for cpu in cpus}), "memory_speed": memory_speed}


def _short(value):
    return str(value).replace("sha256:", "", 1)[:12]


def differences(then, now):
    """What has changed since a measurement, in words; [] where its result still counts.

    :param then: dict of ``host``, ``image`` (ID) and ``model`` (hash) as they were.
    :param now: the same as they are.
    """
    words = []
    for key, name in HOST.items():
        was, is_now = then.get("host", {}).get(key), now.get("host", {}).get(key)
        if was is not None and is_now is not None and was != is_now:
            words.append("%s was %s and is %s" % (name, was, is_now))
    for key in ("image", "model"):
        if then.get(key) != now.get(key):
            words.append("the %s was %s and is %s" % (key, _short(then.get(key)) or "unknown", _short(now.get(key)) or "unknown"))
    return words

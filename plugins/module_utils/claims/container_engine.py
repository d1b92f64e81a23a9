# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role container_engine, judged. Pure functions.

Their sentences stand in roles/container_engine/vars/claims.yml; the module container_engine_info looks.
"""
from __future__ import annotations

import json
import re

from ansible.module_utils.common.text.formatters import human_to_bytes

from .rows import row

# buildx writes the bound in units of 1000 or of 1024, by its version: 20GB, 20GiB and 21.47GB are one.
UNITS = 1.08


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``minimum`` (a version), ``options`` (container_engine_daemon_options) and ``volumes`` (whether the inventory declares any, or
        a root for the data).
    :param seen: what container_engine_info returned.
    :returns: dict of claim id to observation, as module claim takes them.
    :raises ValueError: the options bound the build cache with what is no size.
    """
    roots, options = seen["roots"], seen["options"]
    return {
        "engine.version": row("%s or newer" % wanted["minimum"], seen["version"] or seen["engine"] or "no engine",
                              bool(seen["version"]) and _numbers(seen["version"]) >= _numbers(wanted["minimum"])),
        "engine.buildkit": row("buildx", seen["buildx"] or "none", "buildx" in seen["buildx"]),
        "engine.options": row(json.dumps(wanted["options"]), seen["refused"] or json.dumps(options),
                              not seen["refused"] and _contains(options, wanted["options"])),
        "engine.data_root": row(_of_roots(roots, "wanted"), _of_roots(roots, "running"),
                                all(roots[name]["running"] == roots[name]["wanted"] for name in roots)),
        "engine.off_root": _off_root(wanted["volumes"], roots), "engine.bounded": _bounded(wanted["options"], seen["cache_bounds"])}


def _numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _contains(options, some):
    """Whether merging these into the options would change nothing."""
    return all(name in options and (_contains(options[name], value) if isinstance(value, dict) and isinstance(options[name], dict)
                                    else options[name] == value) for name, value in some.items())


def _of_roots(roots, what):
    return ", ".join("%s %s" % (name, roots[name][what]) for name in sorted(roots, reverse=True))


def _off_root(volumes, roots):
    if not volumes:
        return {"does_not_apply": "the inventory declares no volumes and no data root"}
    mounts = ["%(root)s on %(mount)s" % roots[name] for name in sorted(roots, reverse=True)]
    return row("neither on /", ", ".join(mounts), all(root["mount"] != "/" for root in roots.values()))


def _bounded(options, bounds):
    bound = ((options.get("builder") or {}).get("gc") or {}).get("defaultKeepStorage")
    if not bound:
        return {"does_not_apply": "container_engine_daemon_options bounds no build cache"}
    last = bounds[-1] if bounds else ""  # the last rule is for everything that is in the cache
    return row("at most %s" % bound, last or "no policy", bool(last) and human_to_bytes(last) <= human_to_bytes(bound) * UNITS)

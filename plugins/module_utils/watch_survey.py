# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of the watcher on its host: its unit, its metrics, what containers mount. Pure functions. Standard library only."""
from __future__ import annotations

import re

from .deployed import own_name


def environment(unit):
    """What the watcher runs with, by the text of its unit.

    :returns: its Python and the folder of its collections, "" for what the unit does not say.
    """
    found = (re.search(pattern, unit, re.MULTILINE) for pattern in (r"^ExecStart=(\S+)", r"^Environment=PYTHONPATH=(\S+)"))
    python, collections = (match.group(1) if match else "" for match in found)
    return python, collections


def series(metrics):
    """How many series of ours there are in what ``/metrics`` answered."""
    return sum(line.startswith("bunker_") for line in metrics.splitlines())


def mounts(listed):
    """What of the host each container has.

    :param listed: the engine's ``/containers/json?all=1``.
    :returns: list of dict of ``name`` and ``sources`` (paths on the host; a volume has none there).
    """
    return [{"name": own_name(found), "sources": [mount["Source"] for mount in found.get("Mounts") or [] if mount.get("Source")]} for found in listed]


def last_line(text):
    """The last line that says something, "" for none."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")

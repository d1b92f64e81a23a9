# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a door says of a member whose turn it is in a rolling change. Pure functions of what HAProxy answers to ``show stat``. Standard library only."""
from __future__ import annotations

import csv

from .survey import LOCAL

OWN = "gateway"  # the backend of a member's own gateway: it is none of the pool's


def _backends(text):
    """Backend to server to its row, but for a member's own gateway."""
    found = {}
    for row in csv.DictReader(text.lstrip("# ").splitlines()):
        if row["svname"] not in LOCAL and row["pxname"] != OWN:
            found.setdefault(row["pxname"], {})[row["svname"]] = row
    return found


def _rows(text, member):
    return {backend: servers[member] for backend, servers in sorted(_backends(text).items()) if member in servers}


def _up(row):
    return row["status"].startswith("UP")


def states(text, member):
    """What the door thinks of a member: str, "model_oracle DRAIN (agent), any UP"; "" where it knows no such member, or did not answer."""
    return ", ".join("%s %s" % (backend, row["status"]) for backend, row in _rows(text, member).items())


def alone(text, member):
    """Backends that nobody would answer for once this member is held back, though others could: dict of backend to what is thought of those.

    Where it is the only one in the inventory, or answers no more itself, there is nothing that waiting would change.
    """
    found = {}
    for backend, servers in sorted(_backends(text).items()):
        others = {name: row for name, row in servers.items() if name != member}
        if member in servers and _up(servers[member]) and others and not any(map(_up, others.values())):
            found[backend] = ", ".join("%s %s" % (name, row["status"]) for name, row in sorted(others.items()))
    return found


def sole(text, member):
    """Backends that have no other server: list of str. Their requests are refused while it is this member's turn."""
    return [backend for backend, servers in sorted(_backends(text).items()) if list(servers) == [member]]


def held(text, member):
    """Whether the door sends it nobody new. A member that the door does not know is none of its."""
    return not any(_up(row) for row in _rows(text, member).values())


def answering(text, member):
    """Whether the door sends it requests of each of its models again."""
    rows = _rows(text, member)
    return bool(rows) and all(map(_up, rows.values()))


def running(text, member):
    """How many requests the door has there now: int."""
    return sum(int(row["scur"] or 0) for row in _rows(text, member).values())

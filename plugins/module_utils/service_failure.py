# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a service did not start, in one sentence that comes first: its log is long, and tells the cause in its middle. Pure functions."""
from __future__ import annotations

import re

# By whom a line is: the unit's own checks and the engine say it best; llama.cpp says what it met, and goes on to say that it ends.
CAUSES = tuple(re.compile(pattern, re.IGNORECASE) for pattern in (
    r" does not start: | is not served: ", r"^docker: ", r"out of memory|cudaMalloc failed", r"\berror\b[^:]*: ", r"failed to load .*: |GGML_ASSERT"))


def cause(lines):
    """The line that says why, "" where none does.

    :param lines: of the log of one start, as ``journalctl --output cat`` prints them.
    """
    for pattern in CAUSES:
        for line in lines:
            if pattern.search(line):
                return line.strip()
    return ""


def holders(name, places, containers):
    """Who holds the addresses of a service, each with the command that frees it.

    :param name: the service's, which its container has too.
    :param places: its ``networks``, list of dict with ``name`` and ``address``.
    :param containers: as module deployed_info returns them.
    :returns: list of sentences without their ends.
    """
    found = []
    for place in places:
        for container in containers:
            if container["name"] == name or not container["running"] or not place["address"]:
                continue
            if container["networks"].get(place["name"]) == place["address"]:
                held = "its address %s on %s is held by the " % (place["address"], place["name"])
                found.append(held + (
                    "service %s. Give one of them another in bunker_services; or stop it: systemctl stop protocol-omni-%s" if container["ours"] else
                    "container %s, which is none of ours. Take it away: docker network disconnect " + place["name"] + " %s") % ((container["name"],) * 2))
    return found

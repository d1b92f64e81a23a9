# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on a host, by what ss prints. Pure functions. Standard library only."""
from __future__ import annotations

import re

COMMAND = ("ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric", "--processes")
_LINE = re.compile(r"(tcp|udp)\s+\S+\s+\d+\s+\d+\s+(\S+)\s+\S+(.*)")
_PROGRAM = re.compile(r'"([^"]+)",pid=(\d+)')


def parsed(text):
    """Every listening socket of TCP and UDP, in the order of the text.

    :param text: what :data:`COMMAND` prints.
    :returns: list of dict of ``protocol``, ``address`` (with its port), ``programs``, the names of the processes that have it, which the kernel cuts
        to 15 characters, and ``pids``, their numbers (int).
    """
    found = []
    for match in filter(None, map(_LINE.match, text.splitlines())):
        holders = _PROGRAM.findall(match.group(3))
        found.append({"protocol": match.group(1), "address": match.group(2), "programs": [name for name, _pid in holders],
                      "pids": [int(pid) for _name, pid in holders]})
    return found

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a long task says how far it is, and how a screen reads that."""
from __future__ import annotations

import re

BEGUN = "[%s] %s: since %s, follow it in %s"
GOING = "[%s] %s: %d:%02d since %s, %s"
READ = re.compile(r"^\[(?P<host>[^\]]+)\] (?P<title>.+?): (?:since (?P<clock>[\d:]{8}), follow it in (?P<log>\S+)|\d+:\d\d since [\d:]{8}, (?P<line>.*))$")


def begun(host, title, clock, log):
    """The first line: what runs, since when, and where its log is."""
    return BEGUN % (host, title, clock, log)


def going(host, title, seconds, clock, line):
    """A later line: for how long, and the last line of the log."""
    return GOING % (host, title, seconds // 60, seconds % 60, clock, line)


def read(text):
    """What such a line says: dict with ``host``, ``title``, ``log`` and ``line`` (None where the line has none). None for another line."""
    found = READ.match(text)
    return {key: found.group(key) for key in ("host", "title", "log", "line")} if found else None

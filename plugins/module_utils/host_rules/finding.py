# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule finds, and what several rules share."""
from __future__ import annotations

import collections
import re

ERROR, WARNING = "error", "warning"
# what: of which setting or part of the host; found and needed: the two values; lowered: an error that the inventory made a warning.
Finding = collections.namedtuple("Finding", ["rule", "severity", "what", "found", "needed", "remedy", "lowered"], defaults=[False])

GIB = float(1 << 30)


def version(text):
    """"1.17.8-1" as (1, 17, 8); () for None."""
    return tuple(int(number) for number in re.findall(r"[0-9]{1,9}", text or "")[:3])


def sentence(finding):
    """A finding as a line for people."""
    lowered = ", lowered by preflight_lowered" if finding.lowered else ""
    return "%s (%s%s): %s: found %s; needed %s. %s" % (
        finding.severity, finding.rule, lowered, finding.what, finding.found, finding.needed, finding.remedy)

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys the gateway knows, and until when: pure functions."""
from __future__ import annotations

import calendar
import re
import time

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def seconds(text):
    """A time of the inventory as seconds since 1970 (UTC).

    :param text: str such as 2026-12-31T18:00:00Z.
    :raises ValueError: it is none; the message repeats it.
    """
    try:
        if not TIME.fullmatch(text):
            raise ValueError(text)
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        raise ValueError("%s is no time as 2026-12-31T18:00:00Z, in UTC" % text) from None


def loaded(holders, operator):
    """What the gateway loads: whose keys there are, and which of them end.

    :param holders: gateway_keys, complete entries.
    :param operator: hash of each of the operator's keys to when it ends, in seconds since 1970; 0 for one that does not.
    :returns: dict with keys (hash to holder) and expires (hash to seconds since 1970, of those that end).
    """
    keys, expires = dict.fromkeys(operator, "operator"), {sha256: until for sha256, until in operator.items() if until}
    for holder in holders:
        keys[holder["sha256"]] = holder["name"]
        if holder.get("previous_sha256"):
            keys[holder["previous_sha256"]] = holder["name"]
            expires[holder["previous_sha256"]] = seconds(holder["previous_until"])
    return {"keys": keys, "expires": expires}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a host against a second play: one file, held by whoever renews it. Runs on the host by itself, without Ansible.

The action plugin play_lock sends this text and a request as JSON on standard input; the answer is JSON on standard output. The lock lies in /run, so that a
start of the host ends it, and its times are of CLOCK_BOOTTIME, which nobody sets.
"""
from __future__ import annotations

import fcntl
import json
import os
import sys
import time


def present(path):
    """What the lock says; None where nobody holds it. One that cannot be read is nobody's: it is written whole or not at all."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        return found if isinstance(found["token"], str) and found["renewed"] + found["lease"] is not None else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path, holder, now):
    part = path + ".new"
    with open(part, "w", encoding="utf-8") as stream:
        json.dump(dict(holder, renewed=now), stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)


def take(path, holder, dead, now):
    """Takes the lock where it is free, ours already, expired, or held by a process that is known to be dead.

    :param holder: dict with token, lease (seconds) and who it is.
    :param dead: token of a holder that is no more; "" for none.
    :returns: dict: taken; fresh, whether it was not ours before; former, whose it was where it was taken over or is held, with silent (seconds).
    """
    found = present(path)
    silent = now - found["renewed"] if found else 0
    if found:
        found["silent"] = int(silent)
    ours = bool(found) and found["token"] == holder["token"]
    if found and not ours and found["token"] != dead and silent < found["lease"]:
        return {"taken": False, "fresh": False, "former": found}
    write(path, holder, now)
    return {"taken": True, "fresh": not ours, "former": None if ours else found}


def renew(path, holder, now):
    """Says that the holder lives; also where a start of the host has ended the lock meanwhile. Not where it is another's by now."""
    found = present(path)
    if found and found["token"] != holder["token"]:
        return {"taken": False, "former": found}
    write(path, holder, now)
    return {"taken": True, "former": None}


def release(path, holder):
    """Ends the lock where it is the holder's."""
    found = present(path)
    ours = bool(found) and found["token"] == holder["token"]
    if ours:
        os.unlink(path)
    return {"released": ours}


def look(path, now):
    """Who holds the lock."""
    found = present(path)
    if found:
        found["silent"] = int(now - found["renewed"])
    return {"former": found if found and found["silent"] < found["lease"] else None}


def answer(request):
    """What the host says to a request; one at a time."""
    path, holder = request["path"], request.get("holder")
    try:
        with open(path + ".guard", "w", encoding="ascii") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            if request["do"] == "look":
                return look(path, now)
            if request["do"] == "take":
                return take(path, holder, request.get("dead", ""), now)
            return renew(path, holder, now) if request["do"] == "renew" else release(path, holder)
    except OSError as error:
        return {"failed": "The lock %s: %s." % (path, error)}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role pool, judged. Pure functions.

Their sentences stand in roles/pool/vars/claims.yml; the module pool_info looks.
"""
from __future__ import annotations

from .rows import not_applying, row

OFF = "pool_enabled is false"


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``enabled`` (bool; where it is false, nothing else counts), ``member`` (bool) and ``servers`` (list of str, "BACKEND/NAME" of each
        server that this host asks as a door; empty where it is none), ``address`` (the pool's, where this host may have it, else "").
    :param seen: what pool_info returned.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    if not wanted["enabled"]:
        return dict.fromkeys(("pool.certificate", "pool.doors_alone", "pool.address", "pool.members"), not_applying(OFF))
    return {"pool.certificate": row("a certificate that will do", seen["due"] or "a certificate that will do", seen["due"] == ""),
            "pool.doors_alone": _doors_alone(wanted, seen), "pool.address": _address(wanted, seen), "pool.members": _members(wanted, seen)}


def _doors_alone(wanted, seen):
    if not wanted["member"]:
        return not_applying("this host is no member of the pool")
    return row("refused", seen["stranger"], seen["stranger"] == "refused")


def _address(wanted, seen):
    if not wanted["address"]:
        return not_applying("the pool has no address of its own, or this host is no door of it")
    found = seen["address"]
    answer = "does not answer: " + found["why"] if found["why"] else "answers, on %s door" % ("this" if found["here"] else "the other")
    return row("keepalived is active, %s answers" % wanted["address"], "keepalived is %s, %s %s" % (found["state"] or "unknown", wanted["address"], answer),
               found["state"] == "active" and not found["why"])


def _members(wanted, seen):
    if not wanted["servers"]:
        return not_applying("this host is no door of the pool")
    states = {"%s/%s" % (server["backend"], server["name"]): server["state"] for server in seen["servers"]}
    wrong = ["%s %s" % (name, states.get(name, "is not there")) for name in wanted["servers"] if not states.get(name, "").startswith(("UP", "DRAIN"))]
    wrong += ["%s is not of the inventory" % name for name in sorted(set(states) - set(wanted["servers"]))]
    return row("%d servers up or drained" % len(wanted["servers"]), ", ".join(wrong) or "%d servers up or drained" % len(states), not wrong)

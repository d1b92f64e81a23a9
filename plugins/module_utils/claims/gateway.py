# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role gateway, judged. Pure functions.

Their sentences stand in roles/gateway/vars/claims.yml; the module gateway_info looks.
"""
from __future__ import annotations

import json
import re

from .rows import row, unseen

NO_SERVICE = {"expected": "no service", "observed": "not looked at", "does_not_apply": "the inventory has no service"}
SHUT = ("/slots", "/props", "/metrics")
_ROOTS = ["operator.key root 600", "routes.json root 640"]


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``listen`` (addresses with ports of the gateway itself), ``services`` (complete definitions), ``holders`` (names of whom the
        inventory gives a key), ``routes`` (names to which the gateway is to lead) and ``user`` (the gateway's).
    :param seen: what gateway_info returned.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    asked = {(door["path"], door["key"]): door for door in seen["doors"]}
    return {
        "gateway.door": _door(wanted, seen), "gateway.keys": _keys(wanted["holders"], seen, asked), "gateway.routes": _routes(wanted, seen),
        "gateway.narrow": _narrow([asked[path, "operator"] for path in SHUT]), "gateway.secrets": _secrets(wanted["user"], seen["files"]),
        "gateway.control": _control(seen["control"]), "gateway.contexts": _contexts(wanted["services"], seen["control"])}


def _door(wanted, seen):
    served = ["%s:%d" % (service["address"], int(service["port"])) for service in wanted["services"] if service["address"]]
    expected = sorted(wanted["listen"] + served)
    if seen["ss"]:
        return unseen(", ".join(expected), seen["ss"])
    return row(", ".join(expected), ", ".join(seen["listening"]) or "nothing listens", sorted(seen["listening"]) == expected)


def _statuses(asked):
    return ", ".join("no answer (%s)" % door["why"] if door["status"] is None else str(door["status"]) for door in asked)


def _why(rows):
    """Why none of some requests was answered; "" where one was."""
    return rows[0]["why"] if rows and all(row["status"] is None for row in rows) else ""


def _keys(holders, seen, asked):
    expected = "refused (401) without a key and with a wrong one; keys of %s, loaded" % ", ".join(sorted(holders))
    refused, plan = [asked["/v1/models", whose] for whose in ("none", "wrong")], seen["plan"]
    if _why(refused) or plan["why"]:
        return unseen(expected, _why(refused) or plan["why"])
    loaded = plan["digest"] != "" and plan["digest"] == seen["loaded"]
    return row(expected, "%s; keys of %s, %s" % (_statuses(refused), ", ".join(plan["holders"]) or "nobody", "loaded" if loaded else "not loaded"),
               [door["status"] for door in refused] == [401, 401] and plan["holders"] == sorted(holders) and loaded)


def _routes(wanted, seen):
    names, leads, plan = [service["name"] for service in wanted["services"]], sorted(wanted["routes"]), seen["plan"]
    if not names:
        return NO_SERVICE
    expected = "%s; routes to %s, and to nobody else" % (", ".join(names), ", ".join(leads) or "nobody")
    if _why(seen["answers"]) or plan["why"]:
        return unseen(expected, _why(seen["answers"]) or plan["why"])
    answered = [answer["by"] for answer in seen["answers"] if answer["answered"]]
    return row(expected, "%s; routes to %s" % (", ".join(answered) or "none answered", ", ".join(plan["routes"]) or "nobody"),
               answered == names and plan["routes"] == leads)


def _narrow(asked):
    expected = "/slots, /props and /metrics refused (404)"
    return unseen(expected, _why(asked)) if _why(asked) else row(expected, _statuses(asked), [door["status"] for door in asked] == [404, 404, 404])


def _secrets(user, files):
    found = ["%(name)s %(owner)s %(mode)s" % file if file["mode"] else "%s is not there" % file["name"] for file in files]
    others = re.compile(r".* (?:%s|root) [46]00" % re.escape(user), re.DOTALL)
    return row("operator.key root 600, routes.json root 640 (hashes), others of %s 600" % user, ", ".join(found) or "no file",
               found[:2] == _ROOTS and all(map(others.fullmatch, found[2:])))


def _control(control):
    return row("root: yes, others: no", "root: %(root)s, others: %(others)s" % control, control["root"] == "yes" and control["others"] == "no")


def _contexts(services, control):
    says, thinks = control["says"], control["thinks"]
    if not services:
        return NO_SERVICE
    expected, silent = json.dumps(says, sort_keys=True), sorted(name for name, context in says.items() if context is None)
    if control["root"] != "yes":
        return unseen(expected, control["root"])
    return row(expected, json.dumps(thinks, sort_keys=True) + ("; %s did not tell its own" % ", ".join(silent) if silent else ""),
               says and thinks == says and not silent)

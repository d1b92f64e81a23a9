# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role observability, judged. Pure functions.

Their sentences stand in roles/observability/vars/claims.yml; the module observability_info looks.
"""
from __future__ import annotations

OFF = {"expected": "nothing of it on the host", "observed": "not looked at", "does_not_apply": "observability_enabled is false"}


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``enabled`` (bool; where it is false, nothing else counts), ``ports`` (list of int), ``targets`` (_observability_targets),
        ``groups`` (of the role's rules.yml) and ``digest`` (of the configuration that the inventory asks for).
    :param seen: what observability_info returned.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    if not wanted["enabled"]:
        return dict.fromkeys(("observability.local", "observability.targets", "observability.rules"), OFF)
    return {"observability.local": _local(wanted["ports"], seen["listening"]), "observability.targets": _targets(wanted["targets"], seen["targets"]),
            "observability.rules": _rules(wanted, seen)}


def _local(ports, listening):
    expected = sorted("127.0.0.1:%d" % port for port in ports)
    return {"expected": ", ".join(expected), "observed": ", ".join(listening) or "nothing listens", "holds": sorted(listening) == expected}


def _targets(wanted, found):
    expected = sorted(_words(target["job"], target.get("service"), target["address"], "up") for target in wanted)
    observed = sorted(_words(target["job"], target["service"], target["address"], target["health"]) for target in found)
    return {"expected": ", ".join(expected) or "targets", "observed": ", ".join(observed) or "Prometheus does not answer",
            "holds": observed == expected and bool(expected)}


def _words(*words):
    return " ".join(word for word in words if word)


def _rules(wanted, seen):
    written = [(rule["alert"], rule["expr"], rule.get("for") or "0s", rule["labels"]["severity"], *_texts(rule["annotations"]))
               for group in wanted["groups"] for rule in group["rules"]]
    loaded = [(rule["name"], rule["query"], rule["duration"], rule["severity"], *_texts(rule)) for rule in seen["rules"]]
    expected, observed = [_bare(rule) for rule in written], [_bare(rule) for rule in loaded]
    others = [rule[0] for rule in observed if rule not in expected]
    idle = [rule["name"] for rule in seen["rules"] if rule["health"] != "ok"]
    # A configuration whose rules were refused would show up too, so the reload must have gone well.
    current = wanted["digest"] in seen["configuration"] and seen["reloaded"]
    return {
        "expected": "%d rules of the role, all evaluated, configuration %s loaded" % (len(expected), wanted["digest"][:16]),
        "observed": "%d rules, of another text: %s, not evaluated: %s, %s configuration loaded" % (
            len(observed), ", ".join(others) or "none", ", ".join(idle) or "none", "that" if current else "another"),
        "holds": bool(expected) and observed == expected and not idle and current}


def _texts(annotations):
    return annotations["summary"], annotations["description"]


def _bare(rule):
    """A rule without blanks: Prometheus writes expressions in its own way."""
    return tuple("".join(text.split()) for text in rule)

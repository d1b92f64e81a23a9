# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-checks of the contingency ladder and of what watches it. Pure functions over the validated variables, as in inventory_rules."""
from __future__ import annotations

from .inventory_rules import Problem
from .service_plan import PLAN_KEYS


def check_plans(plans):
    """What inference_service_plans may hold."""
    for name, plan in plans.items():
        where = "inference_service_plans: %s" % name
        if not isinstance(plan, dict) or not plan:
            yield Problem("%s: %s" % (where, plan), "a plan says what it changes", "Give it some of: %s." % ", ".join(PLAN_KEYS))
            continue
        for key, value in plan.items():
            if key not in PLAN_KEYS:
                yield Problem("%s: %s" % (where, key), "a plan's keys are %s" % ", ".join(PLAN_KEYS), "Remove it.")
            elif key == "kv_cache":
                if value not in ("gpu", "ram"):
                    yield Problem("%s: kv_cache %s" % (where, value), "the KV cache is in gpu or ram", "Write one of the two.")
            elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
                yield Problem("%s: %s %s" % (where, key, value), "it is a positive number", "Raise it, or remove it.")


def check_ladders(services, plans):
    """Each service's ladder against the plans."""
    for service in services:
        for name in service["ladder"]:
            where = "service %s: ladder: %s" % (service["name"], name)
            if name not in plans:
                yield Problem(where, "a rung is a plan of inference_service_plans", "Known: %s." % ", ".join(sorted(plans)))
        if len(set(service["ladder"])) != len(service["ladder"]):
            yield Problem("service %s: ladder %s" % (service["name"], ", ".join(service["ladder"])), "a rung stands once in a ladder", "Remove the other.")


def check_rung(rung, services):
    """-e bunker_rung against the ladders."""
    for service in services:
        if not -1 <= rung <= len(service["ladder"]):
            yield Problem("bunker_rung %d" % rung, "the ladder of service %s has the rungs 0 to %d; -1 changes nothing" % (
                service["name"], len(service["ladder"])), "Choose one of them.")


def check_watch(inventory, services):
    """The figures of vram_watch."""
    watched, names = inventory["vram_watch_service"], [service["name"] for service in services]
    if watched not in ["auto", "none"] + names:
        yield Problem("vram_watch_service %s" % watched, "it is auto, none or a service of bunker_services", "Known: %s." % ", ".join(names))
    if inventory["vram_watch_act"] >= inventory["vram_watch_warn"]:
        yield Problem("vram_watch_act %g and vram_watch_warn %g" % (inventory["vram_watch_act"], inventory["vram_watch_warn"]),
                      "the warning comes before the act", "Lower vram_watch_act or raise vram_watch_warn.")
    for name in ("interval", "warn", "act", "samples", "window", "lead", "steps_per_hour", "failures", "step_timeout"):
        if inventory["vram_watch_" + name] <= 0:
            yield Problem("vram_watch_%s %g" % (name, inventory["vram_watch_" + name]), "it is a positive number", "Raise it.")
    for name in ("cooldown", "quiet", "margin", "drain"):
        if inventory["vram_watch_" + name] < 0:
            yield Problem("vram_watch_%s %g" % (name, inventory["vram_watch_" + name]), "it is no negative number", "Raise it.")
    slowest = max([service["start_timeout"] for service in services if service["name"] == watched or watched == "auto" and service["device"] == "gpu"] or [0])
    least = 2 * slowest + inventory["vram_watch_drain"] + 60  # drained, loaded, asked, and back where that fails
    if slowest and inventory["vram_watch_step_timeout"] < least:
        yield Problem("vram_watch_step_timeout %d" % inventory["vram_watch_step_timeout"],
                      "a step may take twice the start_timeout of the service (%d s), the drain and a minute" % slowest, "Raise it to %d." % least)
    if not 1 <= inventory["vram_watch_metrics_port"] <= 65535:
        yield Problem("vram_watch_metrics_port %d" % inventory["vram_watch_metrics_port"], "a port is between 1 and 65535", "Choose another.")


def check(inventory):
    """All of them.

    :param inventory: as of inventory_rules.check().
    :returns: list of :class:`Problem`.
    """
    services, plans = inventory["bunker_services"], inventory["inference_service_plans"]
    return (list(check_plans(plans)) + list(check_ladders(services, plans)) + list(check_rung(inventory["bunker_rung"], services))
            + list(check_watch(inventory, services)))

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-checks of what keys may ask and of what requests get. Pure functions, as inventory_rules."""
from __future__ import annotations

import difflib
import json

from .inventory_rules import ALIAS, Problem

OPERATOR = "operator"  # the name of the host's own key
# What a request is about, and how it is answered: nobody else may say that for a client.
CLIENTS_OWN = ("model", "messages", "prompt", "input", "input_prefix", "input_suffix", "query", "documents", "system", "instructions", "stream")


def _unknown(where, name, known, rule):
    near = difflib.get_close_matches(str(name), known, n=1)
    return Problem(where, rule, "Did you mean %s?" % near[0] if near else "Known: %s." % ", ".join(known))


def _names(inventory):
    """Names of services, and those of enabled providers besides."""
    services = [service["name"] for service in inventory["bunker_services"]]
    return services, services + [provider["name"] for provider in inventory["gateway_providers"] if provider["enabled"]]


def check_keys(inventory):
    """What a key may ask, how much, and under which names."""
    services, known = _names(inventory)
    for key in inventory["gateway_keys"]:
        where = "gateway_keys: %s" % key["name"]
        models, aliases, tokens = key.get("models") or [], key.get("aliases") or {}, key.get("tokens_per_day") or 0
        if tokens < 0:
            yield Problem("%s: tokens_per_day %d" % (where, tokens), "a limit is a number of tokens, 0 for none", "Write for example 1000000.")
        if key["name"] == OPERATOR and (models or aliases or tokens):
            yield Problem("%s: limits" % where, "that is the name of the host's own key, which has none", "Give this key another name.")
        for name in models:
            # A run without any service, before the driver is there, leaves what is said of them as it is.
            if services and name not in known:
                yield _unknown("%s: models: %s" % (where, name), name, known, "a key may ask services and providers that are enabled, by their own names")
        for alias, service in aliases.items():
            place = "%s: aliases: %s: %s" % (where, alias, service)
            if not isinstance(alias, str) or not ALIAS.fullmatch(alias) or len(alias) > 128:
                yield Problem(place, "an alias is a model's name: letters, digits and . _ : @ + - /, at most 128, a string", "Rename it; quote a number.")
            elif alias in known:
                yield Problem(place, "an alias is a name that no service or provider has", "Remove it, or rename the service or provider of that name.")
            elif services and service not in services:
                yield _unknown(place, service, services, "an alias leads to a service")
            elif models and service not in models:
                yield Problem(place, "an alias leads to what the key may ask", "Add %s to its models, or remove the alias." % service)


def check_parameters(inventory):
    """What requests get."""
    services, known = _names(inventory)
    seen = set()
    for entry in inventory.get("gateway_parameters", []):
        where = "gateway_parameters: %s" % entry["model"]
        if entry["model"] in seen:
            yield Problem("%s twice" % where, "a model has one entry", "Put them together.")
        seen.add(entry["model"])
        if services and entry["model"] not in known:
            yield _unknown(where, entry["model"], known, "parameters are those of a service or of a provider that is enabled")
        parts = {part: list(entry.get(part) or []) for part in ("defaults", "set", "strip")}
        for name in sorted({str(name) for names in parts.values() for name in names}):
            within = [part for part, names in parts.items() if name in map(str, names)]
            if len(within) > 1:
                yield Problem("%s: %s" % (where, name), "it stands in %s" % " and ".join(within), "Leave it in one of them.")
            if name in CLIENTS_OWN:
                yield Problem("%s: %s: %s" % (where, within[0], name), "what a request is about its client says alone", "Remove it.")
        for part in ("defaults", "set"):
            for name, value in (entry.get(part) or {}).items():
                if not _is_json(value) or not isinstance(name, str) or not name:
                    yield Problem("%s: %s: %s" % (where, part, name), "a member of a request is a name and a value that JSON can say",
                                  "Write numbers, texts, lists and mappings; quote dates.")


def check_failsafes(inventory):
    """Which providers stand in for services."""
    services, _known = _names(inventory)
    providers = {provider["name"]: provider["enabled"] for provider in inventory["gateway_providers"]}
    for service, other in inventory.get("gateway_failsafes", {}).items():
        where, name = "gateway_failsafes: %s: %s" % (service, other), other if isinstance(other, str) else str(other)
        # A run without any service, before the driver is there, leaves what is said of them as it is.
        if services and service not in services:
            yield _unknown(where, service, services, "a failsafe is one of a service")
        elif name in services:
            yield Problem(where, "a failsafe is a provider, which has the prompts then", "A service stands in by gateway_fallbacks.")
        elif not isinstance(other, str) or name not in providers:
            near = difflib.get_close_matches(name, list(providers), n=1, cutoff=0.5)
            yield Problem(where, "a failsafe is a provider, by its name alone",
                          "Did you mean %s?" % near[0] if near else "Known: %s." % (", ".join(providers) or "none; add it to gateway_providers"))
        elif not providers[name]:
            yield Problem(where, "a provider that is not enabled is asked for nothing", "Set enabled: true of it, or remove the failsafe.")


def _is_json(value):
    try:
        json.dumps(value, allow_nan=False)
        return True
    except (TypeError, ValueError):
        return False


def check(inventory):
    """All of them, given as to inventory_rules.check(): list of :class:`Problem`."""
    return list(check_keys(inventory)) + list(check_parameters(inventory)) + list(check_failsafes(inventory))

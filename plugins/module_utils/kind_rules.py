# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-checks of kinds of services and of the files of models. Pure functions, as inventory_rules."""
from __future__ import annotations

from . import model_files
from .inventory_rules import Problem
from .llama import kinds

# What the spec gives every service; it is not what somebody wrote (tests hold the two together).
DEFAULT_LADDER = ["kv_to_ram", "context_4096", "long_contexts_to_executor"]
MOST_TOKENS = 1 << 20


def check_files(models):
    """What stands in a list of files besides weights."""
    for model in models:
        where = "model_store_catalogue: %s" % model["name"]
        if model["files"] and not model_files.weights(model["files"]):
            yield Problem("%s has no weights" % where, "a model has a file of its weights, or its shards", "Add it, without a role.")
        for role in model_files.SINGLE:
            named = [entry["name"] for entry in model_files.of_role(model["files"], role)]
            if len(named) > 1:
                yield Problem("%s: %s %s" % (where, role, ", ".join(named)), "a model has one %s at most" % role,
                              "Remove the others, or make a model for each.")
        for entry in model["files"]:
            if entry.get("scale", 1) != 1 and model_files.role_of(entry) != model_files.ADAPTER:
                yield Problem("%s: file %s: scale %g" % (where, entry["name"], entry["scale"]), "adapters alone have a scale",
                              "Remove it, or write role: adapter.")
            # Words of one option: llama.cpp parts them at commas and colons, and names have neither.
            if model_files.role_of(entry) == model_files.ADAPTER and not -100 <= entry.get("scale", 1) <= 100:
                yield Problem("%s: file %s: scale %g" % (where, entry["name"], entry["scale"]), "the scale of an adapter is a number near 1",
                              "Write for example 1.")


def unfit(service, kind, files=()):
    """What a definition says that its kind cannot have.

    :param service: complete definition.
    :param kind: one of kinds.KINDS.
    :param files: ``files`` of its model.
    """
    where, projectors = "service %s: kind %s" % (service["name"], kind), [entry["name"] for entry in model_files.of_role(files, model_files.PROJECTOR)]
    if kind == kinds.VISION and not projectors:
        yield Problem(where, "what sees has a projector, and %s names none" % service["model"], "Add it to the model's files, with role: projector.")
    if projectors and kind not in (kinds.VISION, kinds.CHAT):
        yield Problem("%s: projector %s" % (where, projectors[0]), "a projector is for a service that sees or hears",
                      "Serve an entry of the catalogue that has none.")
    if kind in kinds.TEXT:
        return
    why = "it generates nothing"
    if service.get("draft_model"):
        yield Problem("%s: draft_model %s" % (where, service["draft_model"]), "%s that could be drafted" % why, "Remove it.")
    if service.get("speculation", "auto") not in ("auto", "none"):
        yield Problem("%s: speculation" % where, "%s that could be speculated on" % why, "Remove it.")
    if (service.get("ladder") or []) not in ([], DEFAULT_LADDER):
        yield Problem("%s: ladder %s" % (where, ", ".join(service["ladder"])), "%s, so it keeps no KV cache from text to text, and has no ladder" % why,
                      "Remove it.")
    if (service.get("expected") or {}).get("generation_speed"):
        yield Problem("%s: expected generation_speed %g" % (where, service["expected"]["generation_speed"]), why, "Remove it; prompt_speed is measured.")


def check_services(services, models):
    """What the inventory alone says of each kind; what only a header tells is judged when it is read (host_rules, filter service_kind)."""
    files = {model["name"]: model["files"] for model in models}
    for service in services:
        name, written, asked = service["name"], service.get("kind") or kinds.AUTO, kinds.asked_for(service["extra_arguments"])
        of_model = files.get(service["model"], [])
        if written not in (kinds.AUTO, asked) and asked:
            yield Problem("service %s: kind %s with extra arguments that make it %s" % (name, written, asked), "a service is of one kind",
                          "Remove one of the two.")
        elif written == kinds.CHAT and model_files.of_role(of_model, model_files.PROJECTOR):
            yield Problem("service %s: kind chat with a projector" % name, "what a projector is for, its header alone tells",
                          "Leave kind out. Where the projector is for sound the service chats as before, and hears; where it is for pictures it is vision. "
                          "For text alone serve an entry of the catalogue without the projector.")
        elif kinds.named(service):
            yield from unfit(service, kinds.named(service), of_model)
        if not 0 <= service.get("thinking_tokens", 0) <= MOST_TOKENS:
            yield Problem("service %s: thinking_tokens %d" % (name, service["thinking_tokens"]),
                          "it is a number of tokens, 0 for none", "Write for example 1024.")


def of_header(service, facts, files=()):
    """Everything that a service's definition and its model's header make impossible together: list of :class:`Problem`.

    :param facts: of kinds.facts_of(); {} for a header that cannot be read yet.
    """
    found = [Problem(*words) for words in kinds.contradictions(service, facts)]
    return found + (list(unfit(service, kinds.of_service(service, facts), files)) if facts and not kinds.named(service) else [])


def check_fallbacks(services, fallbacks):
    """Who stands in for whom: of both it must be known."""
    of = {service["name"]: kinds.named(service) for service in services}
    for service, other in fallbacks.items():
        pair = of.get(service, ""), of.get(other, "")
        if all(pair) and pair[0] != pair[1] and not set(pair) <= set(kinds.TEXT):
            yield Problem("gateway_fallbacks: %s: %s" % (service, other), "who stands in for a service is of its kind (%s, %s)" % pair,
                          "Choose another, or none.")


def check_failsafes(services, failsafes):
    """Vectors and ranks of another model mean nothing beside those of the service, so no provider stands in for it."""
    for service in services:
        kind = kinds.named(service)
        if service["name"] in failsafes and kind and kind not in kinds.TEXT:
            yield Problem("gateway_failsafes: %s: %s" % (service["name"], failsafes[service["name"]]),
                          "the answers of a service of kind %s cannot be mixed with those of another model" % kind, "Remove it.")


def check(inventory):
    """All of them, given as to inventory_rules.check(): list of :class:`Problem`."""
    models, services = inventory["model_store_catalogue"] + inventory["model_store_extra_models"], inventory["bunker_services"]
    return list(check_files(models)) + list(check_services(services, models)) + list(check_fallbacks(services, inventory["gateway_fallbacks"])) + list(
        check_failsafes(services, inventory.get("gateway_failsafes", {})))

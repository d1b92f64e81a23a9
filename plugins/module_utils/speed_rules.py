# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-checks of what an inventory says of speed: placements, speculative decoding, the gate, the bench. Pure functions, as inventory_rules."""
from __future__ import annotations

import re

from . import placement
from .inventory_rules import Problem
from .llama import options
from .throughput import speculation

PLACEMENT_KEYS = ("cards", "gpu_layers", "tensor_split", "tensor_overrides", "split_mode", "load_mode", "others")
LOAD_MODES = ("", "auto", "none", "mmap", "mlock", "mmap+mlock", "dio")
WAY_KEYS = ("arguments", "needs")
NEEDS = ("", "mtp", "draft_model")


def check_definitions(placements, ways):
    """The named placements and ways themselves."""
    for variable, entries, keys in (("inference_service_placements", placements, PLACEMENT_KEYS), ("inference_service_speculations", ways, WAY_KEYS)):
        for name, entry in entries.items():
            unknown = sorted(set(entry) - set(keys)) if isinstance(entry, dict) else [str(entry)]
            if unknown:
                yield Problem("%s: %s: %s" % (variable, name, ", ".join(unknown)), "it has some of %s" % ", ".join(keys), "Remove it.")
            else:
                yield from check_entry("%s: %s" % (variable, name), entry)
    for name in sorted({placement.AS_DEFINED, "auto"} & set(placements)):
        yield Problem("inference_service_placements: %s" % name, "that name has a meaning of its own", "Rename it.")
    for name in sorted({speculation.OFF, "auto"} & set(ways)):
        yield Problem("inference_service_speculations: %s" % name, "that name has a meaning of its own", "Rename it.")
    for name, way in ways.items():
        if isinstance(way, dict) and (way.get("needs", "") not in NEEDS or not way.get("arguments")):
            yield Problem("inference_service_speculations: %s" % name, "it has arguments, and needs mtp, draft_model or nothing", "Add them.")
        for word in _words(way):
            if not isinstance(word, str):
                continue  # check_entry names it
            option = options.of_word(word)
            field = options.field_of(option)
            if field not in (None, "speculation") or (field is None and options.harm_of(option)):
                yield Problem("inference_service_speculations: %s: %s" % (name, option), "it says how to speculate and nothing else", "Remove it.")
            elif option and not options.is_alone(word):
                yield Problem("inference_service_speculations: %s: %s" % (name, word), "llama.cpp takes an option and its value as two words",
                              "Write them as two entries of the list.")


def _words(way):
    return way["arguments"] if isinstance(way, dict) and isinstance(way.get("arguments"), list) else []


def check_entry(where, entry):
    """The values of one of them."""
    for key in ("tensor_overrides", "arguments"):
        if key in entry and (not isinstance(entry[key], list) or not all(isinstance(word, str) for word in entry[key])):
            yield Problem("%s: %s %s" % (where, key, entry[key]), "it is a list of words", "Write it as a list.")
    if entry.get("load_mode", "") not in LOAD_MODES:
        yield Problem("%s: load_mode %s" % (where, entry["load_mode"]), "it is one of llama.cpp's (%s)" % ", ".join(LOAD_MODES[1:]), "Write for example none.")
    if entry.get("others", "") not in ("", "experts"):
        yield Problem("%s: others %s" % (where, entry["others"]), "other cards hold experts alone, or what is planned for all",
                      "Write experts, or leave it out.")
    elif entry.get("others") and {"gpu_layers", "tensor_split", "split_mode"} & set(entry):
        yield Problem("%s: others with gpu_layers, tensor_split or split_mode" % where, "it is planned, for the first card", "Remove one of the two.")
    cards = entry.get("cards", 1)
    if isinstance(cards, bool) or not isinstance(cards, int) or cards < 1:
        yield Problem("%s: cards %s" % (where, cards), "it is a number of cards, 1 at least", "Raise it, or leave it out for all.")
    if not re.match(r"^(auto|[0-9]+)$", str(entry.get("gpu_layers", "auto"))):
        yield Problem("%s: gpu_layers %s" % (where, entry["gpu_layers"]), "it is a number, or auto where it is to be planned", "Write a number.")
    elif str(entry.get("gpu_layers", "auto")) == "auto" and (entry.get("tensor_split") or entry.get("split_mode", "") not in ("", "none", "layer")):
        yield Problem("%s: without gpu_layers" % where, "what llama-fit-params plans has its own tensor_split, and no split_mode but none or layer",
                      "Give gpu_layers a number, or remove the other.")


def check_service(service, placements, ways, models):
    """What a service chooses of them."""
    name, way = service["name"], service["speculation"]
    if service["draft_model"] and service["draft_model"] not in models:
        yield Problem("service %s: draft_model %s" % (name, service["draft_model"]), "a model stands in model_store_catalogue or model_store_extra_models",
                      "Known: %s." % ", ".join(sorted(models)))
    if way not in ("auto", speculation.OFF) and way not in ways:
        yield Problem("service %s: speculation %s" % (name, way), "it is auto, none or one of inference_service_speculations",
                      "Known: %s." % ", ".join(sorted(ways)))
    elif way in ways and ways[way].get("needs") == "draft_model" and not service["draft_model"]:
        yield Problem("service %s: speculation %s without draft_model" % (name, way), "it drafts with a second model", "Name one.")
    if service["device"] == "cpu":
        return
    if service["placement"] not in ("auto", placement.AS_DEFINED) and service["gpu_layers"] != "auto":
        yield Problem("service %s: placement %s with gpu_layers %s" % (name, service["placement"], service["gpu_layers"]),
                      "either a placement says how many layers are on the GPUs or the service does", "Remove one of the two.")
    if service["gpu_layers"] == "auto" and any(service[key] for key in ("tensor_split", "tensor_overrides", "split_mode", "load_mode")):
        yield Problem("service %s: tensor_split '%s', tensor_overrides %s, split_mode '%s', load_mode '%s' without gpu_layers" % (
            name, service["tensor_split"], service["tensor_overrides"], service["split_mode"], service["load_mode"]),
            "they belong to a placement that says how many layers are on the GPUs", "Give gpu_layers a number, or name them in inference_service_placements.")
    wanted = [service["placement"]] if service["placement"] != "auto" else []
    if not service["placements"]:
        yield Problem("service %s: placements is empty" % name, "there is at least one to choose", "Write for example planned.")
    else:
        try:
            wanted = placement.suitable(service, placements) + wanted
        except ValueError as error:
            yield Problem(str(error), "there is at least one to choose", "Name one for fewer cards, such as planned.")
    for one in dict.fromkeys(wanted):
        try:
            placement.named(service, placements, one)
        except ValueError as error:
            yield Problem(str(error), "a placement is one of inference_service_placements, on the cards that the service has",
                          "See inference_service_placements and gpus.")


def check_gate(inventory):
    """The gate after a deployment."""
    bound, seconds, free = (inventory["inference_service_" + name] for name in ("speed_bound", "speed_seconds", "vram_free"))
    if not 0 <= free <= 1024:
        yield Problem("inference_service_vram_free %g" % free, "it is GiB to keep free on each card", "Write for example 7.")
    if not 0 <= bound <= 100:
        yield Problem("inference_service_speed_bound %d" % bound, "it is percent of the last good speed, 0 for no gate", "Write for example 85.")
    if not 0 < seconds <= 600:
        yield Problem("inference_service_speed_seconds %g" % seconds, "it is more than 0 and at most 600", "Write for example 5.")


def check_throughput(inventory, services):
    """What bench.yml is told."""
    names = [service["name"] for service in services]
    for name in inventory["throughput_services"]:
        if name not in names:
            yield Problem("throughput_services: %s" % name, "it names services of bunker_services", "Known: %s." % ", ".join(names))
    for name, least in (("budget", 30), ("repetitions", 2), ("prompt", 1), ("generate", 1)):
        if inventory["throughput_" + name] < least:
            yield Problem("throughput_%s %d" % (name, inventory["throughput_" + name]), "it is %d at least" % least, "Raise it.")


def check(inventory):
    """All cross-checks, given as to inventory_rules.check()."""
    placements, ways, services = (inventory[name] for name in ("inference_service_placements", "inference_service_speculations", "bunker_services"))
    models = [model["name"] for model in inventory["model_store_catalogue"] + inventory["model_store_extra_models"]]
    problems = list(check_definitions(placements, ways))
    if not problems:
        problems = [problem for service in services for problem in check_service(service, placements, ways, models)]
    problems += list(check_gate(inventory)) + list(check_throughput(inventory, services))
    return [problem for problem in problems if "REPLACE with" not in problem.value]

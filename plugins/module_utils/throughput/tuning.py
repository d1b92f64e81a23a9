# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service is deployed with: what the inventory fixes, else what was measured on this host, else the rule. Pure functions."""
from __future__ import annotations

from .. import model_files, placement
from . import fingerprint, rule, speculation, topology

PLACED = ("threads", "cpuset", "batch")


def tune(service, names, host, cpus, image, model, fact, speculations=None, draft_file="", placements=None):
    """Threads, CPUs, batch and way of speculation of a service, and why.

    :param service: complete service definition; ``threads``, ``batch``, ``cpuset`` and ``speculation`` may be "auto".
    :param names: names of all services of the host, in their order.
    :param host: the host's fingerprint as it is (fingerprint.host()).
    :param cpus: of topology.parse().
    :param image: ID of the image that will run.
    :param model: hash of its model (fingerprint.model_hash()).
    :param fact: what was measured (the local fact protocol_omni_throughput), {} for nothing.
    :param speculations: inference_service_speculations.
    :param draft_file: first file of its draft model, "" for none.
    :param placements: inference_service_placements.
    :returns: dict of ``threads``, ``cpuset``, ``mems``, ``batch``, ``speculation``, ``arguments`` (further words for llama-server), ``placement`` (its
        name, "" on the CPU), ``plan`` (as it was measured, with what it was made for; {} for none), ``origin`` (inventory, measured or rule) and
        ``evidence`` (a sentence).
    :raises ValueError: its way of speculation is none of those, or wants a draft model that it has not; its cards suffice for none of its placements.
    """
    speculations = speculations or {}
    found = fact.get("services", {}).get(service["name"])
    stale = fingerprint.differences({"host": fact.get("host", {}), "image": fact.get("image"), "model": found["model"]},
                                    {"host": host, "image": image, "model": model}) if found else []
    settings = found["settings"] if found and not stale else {}
    fixed = {key: service[key] for key in (*PLACED, "speculation") if str(service[key]) != "auto"}
    contradicted = [key for key in ("threads", "cpuset") if key in fixed and settings and str(settings[key]) != str(fixed[key])]
    placed = settings if not contradicted else {}
    by_rule = rule.settings(cpus, names, service["name"])
    if placed:
        threads, cpuset = placed["threads"], placed["cpuset"]
    elif fixed.get("cpuset"):
        inside = set(topology.expanded(fixed["cpuset"]))
        threads, cpuset = len(inside & set(topology.physical(cpus))) or len(inside), fixed["cpuset"]
        by_rule["sentence"] = "one thread a physical core of those that the inventory names: %d" % threads
    else:
        threads, cpuset = by_rule["threads"], fixed.get("cpuset", by_rule["cpuset"])
        if fixed.get("cpuset") == "":
            threads = len(topology.physical(cpus))
            by_rule["sentence"] = "one thread a physical core: %d" % threads
    threads = int(fixed.get("threads", threads))
    if not placed and "cpuset" not in fixed and cpuset and threads > len(topology.expanded(cpuset)):
        cpuset = ""  # more threads than its part of the cores holds: somebody wants them to be anywhere
    batch = int(fixed.get("batch", settings.get("batch", rule.BATCH)))
    way = fixed.get("speculation", settings.get("speculation", speculation.OFF))
    if "speculation" not in fixed and way not in speculations:
        way = speculation.OFF  # measured once, and no longer in the inventory
    _check(service, way, speculations, draft_file)
    result = {"threads": threads, "cpuset": cpuset, "mems": placed.get("mems", ""), "batch": batch, "speculation": way,
              **_weights(service, placements or {}, settings), "arguments": _arguments(placed) + speculation.words(speculations, way, draft_file)}
    if set(PLACED) <= set(fixed) and way == fixed.get("speculation", speculation.OFF):
        return dict(result, origin="inventory", evidence="the inventory fixes threads, cpuset and batch")
    if placed:
        return dict(result, origin="measured", evidence=found["evidence"])
    if not found:
        why = "nothing was measured on this host"
    elif stale:
        why = "what was measured is stale: " + "; ".join(stale)
    else:
        why = "measured with other values than the inventory's (%s)" % ", ".join("%s %s" % (key, settings[key] or "all") for key in contradicted)
    return dict(result, origin="rule", evidence="%s; the rule: %s" % (why, by_rule["sentence"]))


def _weights(service, placements, settings):
    """Where its weights lie, by name, and the plan that was measured under that name."""
    if service["device"] == "cpu":
        return {"placement": "", "plan": {}}
    name = placement.chosen_name(service, placements, settings.get("placement", ""))
    return {"placement": name, "plan": settings.get("plan", {}) if name == settings.get("placement") else {}}


def _check(service, way, speculations, draft_file):
    if way != speculation.OFF and way not in speculations:
        raise ValueError("service %s: speculation %s is neither auto nor none nor in inference_service_speculations (%s)" % (
            service["name"], way, ", ".join(sorted(speculations))))
    if way != speculation.OFF and speculations[way].get("needs") == "draft_model" and not draft_file:
        raise ValueError("service %s: speculation %s wants a draft_model" % (service["name"], way))


def _arguments(settings):
    """Words of llama-server besides threads and batch that a placement needs."""
    words = []
    if settings.get("strict"):
        words += ["--cpu-mask", topology.mask(strict_cpus(settings)), "--cpu-strict", "1"]
    if settings.get("numa"):
        words += ["--numa", settings["numa"]]
    return words


def strict_cpus(settings):
    """The CPUs that threads take one by one: those of the set, or the first ones where it is all."""
    return topology.expanded(settings["cpuset"]) if settings["cpuset"] else list(range(settings["threads"]))


def server_words(settings):
    """What llama-server is told of settings, but for the way of speculation."""
    return ["--threads", str(settings["threads"]), "--batch-size", str(settings["batch"])] + _arguments(settings)


def bench_words(settings, work, repetitions):
    """What llama-bench is told of settings and work (llama.cpp, tools/llama-bench)."""
    words = ["--threads", str(settings["threads"]), "--batch-size", str(settings["batch"]), "--ubatch-size", str(settings["micro_batch"]),
             "--flash-attn", settings["flash_attn"], "--cache-type-k", settings["kv_type"], "--cache-type-v", settings["kv_type"],
             "--n-prompt", str(work["prompt"]), "--n-gen", str(work["generate"]), "--n-depth", str(work["depth"]), "--repetitions", str(repetitions)]
    return words + _arguments(settings)


def bench_service(service, model, store, speculations=None, draft=None, placements=None, free=0):
    """What the program that measures is told of a service.

    :param service: complete service definition.
    :param model: its catalogue entry.
    :param store: folder of the models.
    :param speculations: inference_service_speculations.
    :param draft: catalogue entry of its draft model, None for none.
    :param placements: inference_service_placements.
    :param free: GiB to keep free on each card.
    :raises ValueError: it names a placement that is none.
    """
    fixed = {key: int(service[key]) for key in ("threads", "batch") if service[key] != "auto"}
    if service["cpuset"] != "auto":
        fixed["cpuset"] = service["cpuset"]
    if service["speculation"] != "auto":
        fixed["speculation"] = service["speculation"]
    return {"name": service["name"], "model": model["name"], "folder": "%s/%s" % (store, model["name"]),
            "files": [entry["name"] for entry in model_files.weights(model["files"])],
            "kind": service.get("kind", "auto"),
            "besides": {role: [entry["name"] for entry in model_files.of_role(model["files"], role)] for role in (model_files.PROJECTOR, model_files.ADAPTER)},
            "weights": fingerprint.model_hash(model["files"]),
            "hash": fingerprint.model_hash(model["files"] + (draft["files"] if draft else [])),
            "device": service["device"], "gpus": service["gpus"], "free": float(free),
            "placements": _places(service, placements or {}), "micro_batch": service["micro_batch"], "fixed": fixed,
            "context": service["context"], "split_mode": service["split_mode"], "extra_arguments": service["extra_arguments"],
            "sample_prompts": service["sample_prompts"], "speculations": speculations or {},
            "draft_folder": "%s/%s" % (store, draft["name"]) if draft else "", "draft_file": model_files.weights(draft["files"])[0]["name"] if draft else ""}


def _places(service, placements):
    """Name to placement of those that are to be compared: all that the inventory leaves open, or the one that it decides."""
    if service["device"] == "cpu":
        return {}
    decided = service["placement"] != "auto" or service["gpu_layers"] != "auto"
    names = [placement.chosen_name(service, placements)] if decided else placement.suitable(service, placements)
    return {name: placement.named(service, placements, name) for name in names}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of models and memory. Arguments as in judge.py."""
from __future__ import annotations

from .. import card_names, kind_rules
from ..llama import kinds, kv_cache
from . import sizes as model_sizes
from .finding import ERROR, GIB, WARNING, Finding


def model_context(inventory, host):
    """No service asks for more context than its model was trained for; of one that generates nothing it is an upper bound."""
    for service in inventory["bunker_services"]:
        model = host["models"].get(service["model"]) or {}
        most = model.get("context_length")
        if most and service["context"] > most and kinds.of_service(service, model.get("facts") or {}) in kinds.TEXT:
            yield Finding("model_context", ERROR, "service %s: context" % service["name"], str(service["context"]),
                          "at most %d, what %s was trained for" % (most, service["model"]), "Lower the service's context.")


def model_kind(inventory, host):
    """No service is asked for what the header of its model's file says that it cannot do."""
    files = {model["name"]: model["files"] for model in inventory["model_store_catalogue"] + inventory["model_store_extra_models"]}
    for service in inventory["bunker_services"]:
        facts = (host["models"].get(service["model"]) or {}).get("facts") or {}
        for problem in kind_rules.of_header(service, facts, files.get(service["model"], ())):
            yield Finding("model_kind", ERROR, problem.value, "a file that says otherwise", problem.rule, problem.remedy)
        draft = (host["models"].get(service["draft_model"]) or {}).get("facts") or {}
        if not kinds.generates(draft):
            yield Finding("model_kind", ERROR, "service %s: draft_model %s" % (service["name"], service["draft_model"]), "a file that says otherwise",
                          "the header of %s (%s) says that it generates no text, and what drafts generates" % (service["draft_model"], kinds.told(draft)),
                          "Name a small model that chats, of the same vocabulary, or none.")


def _cache_bytes(host, service, model, arguments):
    """Bytes of the KV cache of a service's model, or of its draft model, which looks back as far; 0 where the files are not there or do not say."""
    cache = kv_cache.of_json((host["models"].get(model) or {}).get("kv_cache"))
    return kv_cache.size(cache, kv_cache.use_of(service["context"], service["micro_batch"], arguments)) if cache else 0


def model_fits(inventory, host):
    """Weights and KV cache fit into memory: a CPU service's into RAM, a GPU service's into its cards and RAM, and all services' together."""
    models, ram = model_sizes.models(inventory, host), host["memory"]["total"]
    sizes = {name: model.total for name, model in models.items()}
    memory = {gpu["uuid"]: gpu["memory"] for gpu in host["gpus"] + host["slices"] if gpu["uuid"]}
    room = {part["uuid"]: part["room"] for part in host["slices"]}  # slices that share their memory have it once

    def of_cards(uuids):
        return sum({room.get(uuid, uuid): memory.get(uuid, 0) for uuid in uuids}.values())

    together, unknown, refused = 0, False, False
    for name, model in sorted(models.items()):
        if model.unknown:
            yield Finding("model_fits", WARNING, "model %s" % name, model_sizes.unsaid(model),
                          "one, or nobody knows whether memory and file system hold it", "Give each of its files its size in bytes.")
    if ram is None:
        yield Finding("model_fits", WARNING, "memory of the host", "no size that could be read", "MemTotal, or nobody knows what fits",
                      "See: head -3 /proc/meminfo.")
        return
    for service in inventory["bunker_services"]:
        weights = sizes.get(service["model"], 0) + sizes.get(service["draft_model"], 0)
        kv = _cache_bytes(host, service, service["model"], service["extra_arguments"]) + _cache_bytes(host, service, service["draft_model"], ())
        if any(memory.get(uuid, None if card_names.PCI_NAME.match(uuid) else 0) is None for uuid in service["gpus"]):
            unknown = True  # gpu_readable names the card, or gpu_exists says that no driver shows it yet
            continue
        vram, projector = of_cards(service["gpus"]), models[service["model"]].projector if service["model"] in models else 0
        together += weights + kv
        first = of_cards(service["gpus"][:1])
        if projector and first and projector > first:
            yield Finding("model_fits", ERROR, "service %s: projector of %s" % (service["name"], service["model"]), "%.1f GiB" % (projector / GIB),
                          "at most %.1f GiB, what its first card has: llama-server loads it there" % (first / GIB),
                          "Choose a smaller one, or another first card.")
        if weights and weights + kv > ram + vram:
            yield Finding("model_fits", ERROR, "service %s: model %s" % (service["name"], service["model"]),
                          "%.1f GiB of weights and %.1f GiB of KV cache for %d tokens" % (weights / GIB, kv / GIB, service["context"]),
                          "at most %.1f GiB: %.1f of RAM and %.1f of its cards" % ((ram + vram) / GIB, ram / GIB, vram / GIB),
                          "Choose a smaller quantization or a smaller context.")
            refused = True
    if unknown or refused:
        return
    everything = ram + of_cards({uuid for service in inventory["bunker_services"] for uuid in service["gpus"]})
    if together > everything:
        yield Finding("model_fits", ERROR, "all services together", "%.1f GiB of weights and KV cache" % (together / GIB),
                      "at most %.1f GiB of RAM and cards" % (everything / GIB), "Run fewer services, smaller models or smaller contexts.")

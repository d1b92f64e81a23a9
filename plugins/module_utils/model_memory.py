# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a model takes, from its GGUF header. Pure functions; sizes are bytes."""
from __future__ import annotations

import re

from . import gguf
from .llama import kv_cache
from .llama.kv_cache import MOST
from .service_plan import expert_layers, first_gpu_layer

EXPERTS = re.compile(r"^blk\.(\d+)\.ffn_(gate|up|down|gate_up)_exps\.")


def expert_matrices(tensors):
    """Bytes of each matrix of experts: of a layer all up, gate or down projections together.

    :param tensors: dict of tensor name to bytes, of all files of the model.
    :returns: dict of (layer number, "gate", "up", "down" or "gate_up") to bytes.
    """
    found = ((EXPERTS.match(name), size) for name, size in tensors.items())
    return {(int(match.group(1)), match.group(2)): size for match, size in found if match}


def expert_bytes(tensors):
    """Bytes of the experts of each layer that has some.

    :param tensors: as of :func:`expert_matrices`.
    :returns: dict of layer number to bytes.
    """
    found = {}
    for (layer, _part), size in expert_matrices(tensors).items():
        found[layer] = found.get(layer, 0) + size
    return found


def rung_relief(service, plan, metadata, tensors):
    """Bytes of VRAM that a rung's plan frees against the definition, all cards together.

    What llama.cpp allocates for computing is not told by the header. Two parts of it are counted: the logits of a micro-batch, so a smaller one frees
    more than is predicted, and :func:`room_for_prompts`.

    :param service: complete service definition.
    :param plan: the rung's plan (module_utils/service_plan.py).
    :param metadata: scalar metadata of the model's first file.
    :param tensors: dict of tensor name to bytes, of all its files.
    :returns: bytes; None where the header does not say.
    """
    cache, layers = kv_cache.of(metadata), gguf.whole(metadata, ".block_count", MOST)
    if cache is None or not layers:
        return None
    first = first_gpu_layer(service, layers)
    freed = kv_cache.size(cache, _use(service, {}), first) - (0 if plan.get("kv_cache") == "ram" else kv_cache.size(cache, _use(service, plan), first))
    freed += moved_experts(service, plan, metadata, tensors) - room_for_prompts(service, plan, metadata, tensors)
    return freed + (service["micro_batch"] - _use(service, plan).micro_batch) * vocabulary(metadata) * 4


def _use(service, plan):
    """How a service uses its KV cache at a rung: a plan never gives more than the definition."""
    context, micro_batch = (min(service[key], plan.get(key) or service[key]) for key in ("context", "micro_batch"))
    return kv_cache.use_of(context, micro_batch, service["extra_arguments"])


def ram_need(service, plan, metadata, tensors):
    """Bytes of RAM that a rung's plan takes besides: the KV cache and the experts that it moves."""
    cache = kv_cache.of(metadata) if plan.get("kv_cache") == "ram" else None
    return (kv_cache.size(cache, _use(service, plan)) if cache else 0) + moved_experts(service, plan, metadata, tensors)


def moved_experts(service, plan, metadata, tensors):
    """Bytes of the experts that a rung's plan moves to RAM: those of the first layers on a GPU, so of the first card."""
    sizes = expert_bytes(tensors)
    return sum(sizes.get(layer, 0) for layer in expert_layers(service, metadata)[:plan.get("expert_layers_in_ram") or 0])


def room_for_prompts(service, plan, metadata, tensors):
    """Bytes of VRAM that a rung's plan takes besides, because experts come to RAM and none were there before: llama.cpp computes prompts of 32 tokens and
    more on the card all the same (its op offload), and keeps room there for the largest tensor that it copies."""
    if not plan.get("expert_layers_in_ram") or not set(expert_bytes(tensors)) <= set(expert_layers(service, metadata)):
        return 0
    moved = expert_layers(service, metadata)[:plan["expert_layers_in_ram"]]
    found = ((EXPERTS.match(name), size) for name, size in tensors.items())
    return max((size for match, size in found if match and int(match.group(1)) in moved), default=0)


def vocabulary(metadata):
    """Entries of the vocabulary; 0 where the header says nothing of them."""
    return gguf.whole(metadata, ".vocab_size", 1 << 31) or 0

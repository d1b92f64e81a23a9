# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How close to the limit a service generates: each token reads the model's weights once, and memory gives only so many bytes a second. Pure functions."""
from __future__ import annotations

import re

from .. import gguf
from ..llama import kv_cache
from ..model_memory import EXPERTS, MOST

# A model that is smaller than so many times the last-level cache is partly read from there, and the memory's bandwidth is not its limit.
TIMES_CACHE = 4
LAYER = re.compile(r"^blk\.(\d+)\.")


def bytes_per_token(metadata, tensors, depth=0):
    """Bytes that are read from memory for each generated token.

    All weights, with these exceptions: of a layer's experts only those that a token uses; of the embeddings one row, unless they are the output too;
    none of the layers for multi-token prediction, which plain generation does not compute.

    :param metadata: scalar metadata of the model's first file (module_utils/gguf.py).
    :param tensors: dict of tensor name to bytes, of all its files.
    :param depth: tokens of context that are there already: their keys and values are read too.
    :returns: bytes; None where a tensor's type is not known, or the header does not say how many experts are used.
    """
    def value(key):
        return gguf.whole(metadata, "." + key, MOST) or 0

    if not tensors or not all(tensors.values()):
        return None
    experts, used, total = value("expert_count"), value("expert_used_count"), 0.0
    layers = value("block_count") - value("nextn_predict_layers")
    for name, size in tensors.items():
        layer = LAYER.match(name)
        if layer and layers > 0 and int(layer.group(1)) >= layers:
            continue
        if name == "token_embd.weight" and "output.weight" in tensors:
            continue
        if EXPERTS.match(name):
            if not experts or not used:
                return None
            size = size * used / experts
        total += size
    cache = kv_cache.of(metadata)
    return int(total + (kv_cache.read_bytes(cache, depth) if cache else 0))


def placed(speed, per_token, bandwidth, model_bytes, cache):
    """Where a speed stands against the roofline.

    :param speed: tokens per second.
    :param per_token: of :func:`bytes_per_token`, or None.
    :param bandwidth: bytes a second that were measured, or None.
    :param model_bytes: bytes of all tensors.
    :param cache: bytes of all last-level caches, None where the host does not say.
    :returns: dict of ``limit`` (tokens per second) and ``percent`` (of the bandwidth), both None where ``reason`` says why there are none.
    """
    reason = ""
    if not bandwidth:
        reason = "the memory bandwidth was not measured"
    elif not per_token:
        reason = "the model's header does not say how many bytes a token reads"
    elif not cache:
        reason = "the host does not say how large its caches are"
    elif model_bytes < TIMES_CACHE * cache:
        reason = "the model (%.1f MB) is smaller than %d times the last-level cache (%.1f MB), so the memory is not its limit" % (
            model_bytes / 1e6, TIMES_CACHE, cache / 1e6)
    if reason:
        return {"limit": None, "percent": None, "reason": reason}
    return {"limit": bandwidth / per_token, "percent": 100.0 * speed * per_token / bandwidth, "reason": ""}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a model takes, from its GGUF header. Pure functions; sizes are bytes."""
from __future__ import annotations

# Bytes of one value of the KV cache, llama.cpp's default type (f16).
KV_VALUE = 2


def kv_bytes_per_token(metadata):
    """Bytes that the KV cache takes for each token of context, all layers together; None where the header does not say.

    Keys are those of the GGUF specification (docs/gguf.md of ggml). With multi-head latent attention llama.cpp keeps
    one compressed vector and the rotary part for each layer (llama-kv-cache.cpp), otherwise keys and values of each head.

    :param metadata: dict of module_utils/gguf.py's read_metadata().
    """
    def value(key):
        found = metadata.get("%s.%s" % (metadata.get("general.architecture"), key))
        return found if isinstance(found, int) else None

    layers = value("block_count")
    if layers is None:
        return None
    rank = value("attention.kv_lora_rank")
    if rank and value("rope.dimension_count"):
        return layers * (rank + value("rope.dimension_count")) * KV_VALUE
    heads, heads_kv, width = value("attention.head_count"), value("attention.head_count_kv"), value("embedding_length")
    if not heads or (width is None and value("attention.key_length") is None):
        return None
    key = value("attention.key_length") or width // heads
    return layers * (heads_kv or heads) * (key + (value("attention.value_length") or key)) * KV_VALUE

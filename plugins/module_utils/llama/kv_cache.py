# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large llama.cpp makes the KV cache of a model, from its GGUF header and llama-server's arguments. Pure functions; sizes are bytes.

Source: llama_model::create_memory, llama-hparams.cpp, llama-kv-cache*.cpp and models/*.cpp of llama.cpp, as shipped with llama_cpp_python 0.3.36. Its
llama-server's own words about models of these shapes are tests/captures/cache_shapes.json. What recurrent layers keep, a state of one size, is not counted.
"""
from __future__ import annotations

import collections
import re

from .. import gguf
from . import options

# Layers, heads and widths beyond this are no model's: llama.cpp has at most 512 layers, and no width reaches a million.
MOST = 1 << 20
# Bytes of 32 values of a cache type (ggml's type_traits); rows come in blocks of so many.
CACHE_TYPES = {"f32": 128, "f16": 64, "bf16": 64, "q8_0": 34, "q5_1": 24, "q5_0": 22, "q4_1": 20, "q4_0": 18, "iq4_nl": 18}
PADDING = 256  # tokens; what a sequence and a window keep comes in multiples of it
SEQUENCES = 4  # llama-server's own --parallel; these share one cache
MOST_SEQUENCES = 256  # LLAMA_MAX_SEQ

Cache = collections.namedtuple("Cache", ["layers", "window"])
"""layers: a :data:`Layer` for each cache of a layer. window: tokens that layers with a window look back, 0 where the model has none. Where attention is not
computed by flash attention (``--flash-attn off``), layers whose values are of other widths take more than is counted."""
Layer = collections.namedtuple("Layer", ["number", "key", "value", "windowed"])
"""number: of the layer, from 0. key, value: values that a token takes of the cache of each. windowed: whether it keeps a window, and not the whole context."""
Use = collections.namedtuple("Use", ["context", "micro_batch", "sequences", "shared", "key_type", "value_type", "full_windows"])
"""context, micro_batch: tokens. sequences: that are computed at once; shared: whether they share one cache. key_type, value_type: keys of
:data:`CACHE_TYPES`. full_windows: whether windows are as long as the context."""

# No cache, for they are no decoders, or keep a state of one size.
WITHOUT = frozenset((
    "bert", "jina-bert-v2", "jina-bert-v3", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert", "modern-bert", "gemma-embedding", "wavtokenizer-dec",
    "dream", "llada", "llada-moe", "rnd1", "mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"))
# Caches of a kind of their own, which is not known here.
UNKNOWN = frozenset(("deepseek4", "dflash", "dots3note", "gemma4-assistant", "glm5-next", "graniteswitch", "hy_v4", "minimax-m3", "nanbeige", "qwen4exp", "t5",
                     "t5encoder"))
# One of so many layers has attention, where the header does not list them; the others are recurrent.
INTERVAL = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "minimax-01": 8}
# Hybrid models whose draft layers llama.cpp gives a cache like any other's.
KEEPS_DRAFT_LAYERS = frozenset(("jamba", "falcon-h1", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe", "kimi-linear",
                                "bailingmoe3", "kimi-k3"))
INDEXED = frozenset(("deepseek32", "glm-dsa"))  # a second cache, with the keys of the indexer

Windows = collections.namedtuple("Windows", ["period", "dense_first", "size"])
"""period: one layer of so many keeps the whole context, 0 where the header lists them, 1 where none does. size: tokens where the header gives none, 0 where
such a model has no windows then."""
WINDOWS = {
    "afmoe": Windows(4, False, 0), "cohere2": Windows(4, False, 0), "cohere2moe": Windows(4, True, 0), "exaone-moe": Windows(4, False, 128),
    "exaone4": Windows(4, False, 4096), "gemma2": Windows(2, False, 4096), "gemma3": Windows(6, False, 0), "gemma3n": Windows(5, False, 0),
    "gemma4": Windows(0, False, 0), "gpt-oss": Windows(2, False, 0), "granite_swa": Windows(0, False, 0), "laguna": Windows(4, True, 0),
    "lfm2": Windows(1, False, 0), "llama4": Windows(4, False, 8192), "maple": Windows(0, False, 0), "mellum": Windows(4, False, 0),
    "mimo2": Windows(0, False, 0), "muse-glimmer": Windows(4, False, 0), "olmo2": Windows(4, False, 0), "plamo3": Windows(8, False, 0),
    "smallthinker": Windows(4, True, 0), "spark2_5": Windows(0, False, 0), "step35": Windows(0, False, 0),
}
FIXED_SIZE = {"llama4": 8192, "smallthinker": 4096}  # whatever the header says, unless that is 0
# A window of 0 in the header means none. With the others it is one of no tokens, beside the micro-batch.
NONE_AT_ZERO = frozenset(("afmoe", "gemma3", "laguna", "lfm2", "llama4", "mellum", "olmo2", "plamo3", "smallthinker"))


def _by_layer(metadata, key, count):
    """A number for each layer: the header has one for all, or a list. None where it has neither, or a list that does not suffice."""
    listed = metadata.get("%s.%s" % (metadata.get("general.architecture"), key))
    if isinstance(listed, list):
        fits = len(listed) >= count and all(isinstance(number, int) and 0 <= number <= MOST for number in listed)
        return [int(number) for number in listed[:count]] if fits else None
    number = gguf.whole(metadata, "." + key, MOST)
    return None if number is None else [number] * count


def _window(metadata, count):
    """Tokens of the windows; None where the model has none."""
    architecture = metadata["general.architecture"]
    windows, said = WINDOWS.get(architecture), gguf.whole(metadata, ".attention.sliding_window", MOST)
    if windows is None or (architecture == "exaone4" and count - (gguf.whole(metadata, ".nextn_predict_layers", MOST) or 0) != 64):
        return None
    if said == 0 and architecture not in NONE_AT_ZERO:
        return 0
    size = windows.size if said is None else said
    return FIXED_SIZE.get(architecture, size) if size else None


def _windowed(metadata, count):
    """Whether each layer keeps a window: list of bool; None where the header has to list them and does not."""
    if _window(metadata, count) is None:
        return [False] * count
    windows, key = WINDOWS[metadata["general.architecture"]], "attention.sliding_window_pattern"
    if windows.period == 1:
        return [True] * count
    listed = metadata.get("%s.%s" % (metadata["general.architecture"], key))
    if isinstance(listed, list):  # the layers that it leaves out have none
        return [bool(number) for number in listed[:count]] + [False] * max(count - len(listed), 0)
    if windows.period == 0:
        return None
    period = gguf.whole(metadata, "." + key, MOST)
    period = windows.period if period is None else period
    if period == 0:
        return [True] * count
    return [layer % period != 0 if windows.dense_first else layer % period < period - 1 for layer in range(count)]


def _recurrent(metadata, count, last):
    """Whether each layer keeps a state in place of keys and values. Those that say so by having no heads are not among them: they take nothing anyway."""
    architecture = metadata["general.architecture"]
    if architecture not in INTERVAL:
        return [False] * count
    listed = _by_layer(metadata, "attention.recurrent_layers", count)
    if listed is not None:
        return [bool(number) for number in listed]
    interval = gguf.whole(metadata, ".full_attention_interval", MOST) or INTERVAL[architecture]
    return [layer < last and (layer + 1) % interval != 0 for layer in range(count)]


def _indexer(metadata, last):
    """The caches of the indexer: the keys of one head, in each layer that has an indexer of its own."""
    architecture, width = metadata["general.architecture"], gguf.whole(metadata, ".attention.indexer.key_length", MOST)
    if architecture not in INDEXED or not width:
        return []
    own = _by_layer(metadata, "attention.indexer.types", last) if architecture == "glm-dsa" else None
    if own is None and architecture == "glm-dsa" and (gguf.whole(metadata, ".context_length") or 0) >= 1 << 20:
        own = [layer < 2 or layer % 4 == 2 for layer in range(last)]  # GLM 5.2's own
    return [Layer(layer, width, 0, False) for layer in range(last) if own is None or own[layer]]


def of(metadata):
    """The cache of a model.

    :param metadata: dict of module_utils/gguf.py's Header.
    :returns: :data:`Cache`; None where the header does not say, or the architecture's cache is none of those that are known here.
    """
    architecture, count = metadata.get("general.architecture"), gguf.whole(metadata, ".block_count", gguf.KEPT_ELEMENTS)
    if not isinstance(architecture, str):
        return None
    if architecture in WITHOUT:
        return Cache([], 0)
    drafts = gguf.whole(metadata, ".nextn_predict_layers", MOST) or 0
    if not count or architecture in UNKNOWN or drafts > count:
        return None
    heads, heads_kv = (_by_layer(metadata, "attention." + key, count) for key in ("head_count", "head_count_kv"))
    if "%s.attention.head_count_kv" % architecture not in metadata:
        heads_kv = heads
    widths, windowed = _widths(metadata, heads), _windowed(metadata, count)
    if widths is None or heads_kv is None or windowed is None:
        return None
    last = count if architecture in KEEPS_DRAFT_LAYERS or drafts == count else count - drafts
    # What follows these computes with the keys and values of an earlier layer.
    own = {"gemma3n": 20, "gemma4": count - (gguf.whole(metadata, ".attention.shared_kv_layers", MOST) or 0)}.get(architecture, count)
    own = own if own >= 0 else count
    recurrent = _recurrent(metadata, count, last)
    found = [Layer(layer, widths[windowed[layer]][0] * heads_kv[layer], widths[windowed[layer]][1] * heads_kv[layer], windowed[layer])
             for layer in range(min(last, own)) if heads_kv[layer] and not recurrent[layer]]
    return Cache(found + _indexer(metadata, last), _window(metadata, count) or 0)


def _widths(metadata, heads):
    """Values of a head's key and value: {False: in layers with the whole context, True: in those with a window}; None where the header does not say."""
    def value(key):
        return gguf.whole(metadata, "." + key, MOST)

    width, whole = value("embedding_length"), [value("attention.key_length"), value("attention.value_length")]
    # plamo2 begins with a layer without heads, and says its widths.
    if not heads or (width is None and None in whole) or (not heads[0] and (metadata["general.architecture"] != "plamo2" or None in whole)):
        return None
    whole = [width // heads[0] if one is None else one for one in whole]
    windowed = [one if found is None else found for one, found in zip(whole, (value("attention.key_length_swa"), value("attention.value_length_swa")))]
    if value("attention.key_length_mla") and value("attention.value_length_mla"):  # the values are a part of the keys
        whole[1] = windowed[1] = 0
    return {False: tuple(whole), True: tuple(windowed)}


_SAID = {"sequences": ("--parallel", "-np"), "key_type": ("--cache-type-k", "-ctk"), "value_type": ("--cache-type-v", "-ctv"), "full_windows": ("--swa-full",)}
_SHARED, _APART = ("--kv-unified", "-kvu"), ("--no-kv-unified", "-no-kvu")


def use_of(context, micro_batch, arguments=()):
    """How a service uses its cache.

    :param context: tokens; a rung of the ladder may have fewer than the definition.
    :param micro_batch: likewise.
    :param arguments: its further arguments of llama-server (``extra_arguments``).
    :returns: :data:`Use`.
    """
    said, words = {}, list(arguments)
    for place, word in enumerate(words):
        option = options.of_word(word)
        name = next((name for name, spellings in _SAID.items() if option in spellings), None)
        if name:  # the last one counts, whichever its spelling
            said[name] = words[place + 1] if place + 1 < len(words) else ""
    number = re.match(r"^\s*\+?([0-9]{1,4})", said.get("sequences", ""))
    sequences = int(number.group(1)) if number and 1 <= int(number.group(1)) <= MOST_SEQUENCES else None
    shared = [option for option in map(options.of_word, words) if option in _SHARED + _APART][-1:]
    return Use(context, micro_batch, sequences or SEQUENCES, shared[0] in _SHARED if shared else sequences is None,
               *(said[name] if said.get(name) in CACHE_TYPES else "f16" for name in ("key_type", "value_type")), "full_windows" in said)


def padded(tokens):
    """Tokens that llama.cpp makes of them."""
    return -(-tokens // PADDING) * PADDING


def size(cache, use, first=0):
    """Bytes of a cache as a service uses it.

    :param cache: :data:`Cache`.
    :param use: :data:`Use`.
    :param first: the first layer that counts: those before it are somewhere else.
    """
    parts = 1 if use.shared else use.sequences
    whole = padded(padded(use.context) // parts)
    window = whole if use.full_windows else padded(min(whole, cache.window * (use.sequences if use.shared else 1) + use.micro_batch))
    return parts * sum((window if layer.windowed else whole) * _bytes(layer, use.key_type, use.value_type) for layer in cache.layers if layer.number >= first)


def read_bytes(cache, depth):
    """Bytes that are read of a cache of f16 to generate one token.

    :param cache: :data:`Cache`.
    :param depth: tokens before it.
    """
    return sum((min(depth, cache.window) if layer.windowed else depth) * _bytes(layer, "f16", "f16") for layer in cache.layers)


def _bytes(layer, key_type, value_type):
    """Bytes of one token."""
    return (layer.key * CACHE_TYPES[key_type] + layer.value * CACHE_TYPES[value_type]) // 32


def as_json(cache):
    """A cache as lists and numbers; None stays None."""
    return None if cache is None else {"layers": [list(layer) for layer in cache.layers], "window": cache.window}


def of_json(found):
    """A cache of what :func:`as_json` made of it."""
    return None if found is None else Cache([Layer(*layer) for layer in found["layers"]], found["window"])

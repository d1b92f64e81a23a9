# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which model of the catalogue each service gets, and what is to be expected of it."""
from __future__ import annotations

import collections

from .. import model_memory
from ..inventory_rules import Problem
from ..llama import kv_cache
from ..throughput import roofline
from . import cards as card_rules

GB, GIB = 10 ** 9, 1 << 30
SHARE_OF_RAM = 0.75  # of all RAM, for models; the rest is the system's, and the page cache's while images are built
SLOWEST = 4.0  # tokens a second that the memory's bandwidth must allow, or nobody waits for the answers
MARGIN = 1.1  # what is asked for against the catalogue's sizes, which are rounded, and for caches
CONTEXTS = (16384, 8192, 4096)
# Facts of a model: its bytes, those that a token reads, a dict of kv_cache.of() or None, and its experts' bytes.
Facts = collections.namedtuple("Facts", ["size", "per_token", "cache", "experts"])


class NotThere(Exception):
    """A model that a person named, and that a service of this host cannot have; ``problem`` says why."""

    def __init__(self, *words):
        super().__init__(": ".join(words))
        self.problem = Problem(*words)


def named(catalogue, service, name):
    """The candidate that a person named for a service.

    :raises NotThere: the catalogue has none of that name.
    """
    for candidate in catalogue:
        if candidate["name"] == name:
            return candidate
    raise NotThere("--%s %s" % (service, name), "it is a model of the catalogue: %s" % ", ".join(one["name"] for one in catalogue),
                   "For any other one ./bunker model writes the entry, which goes into the inventory by hand.")


def declared(candidate):
    """:class:`Facts` of the catalogue alone: rounded size, share that a token reads by the model card, no word of the KV cache."""
    size = sum(entry["size"] for entry in candidate["files"]) or int(candidate["gigabytes"] * GB)
    return Facts(size, int(size * candidate["active"]), None, size if candidate["active"] < 1 else 0)


def of_headers(metadata, tensors, size):
    """:class:`Facts` of what a model's own headers say.

    :param metadata: of its first file (module_utils/gguf.py).
    :param tensors: bytes of each tensor of all its files.
    :param size: bytes of all files.
    """
    return Facts(size, roofline.bytes_per_token(metadata, tensors), kv_cache.of(metadata), sum(model_memory.expert_bytes(tensors).values()))


def cache_bytes(facts, context):
    """Bytes of the KV cache for a context; 0 where nobody knows."""
    return kv_cache.size(facts.cache, kv_cache.use_of(context, 512)) if facts.cache else 0


def known(cards):
    """Whether the memory of each card is known."""
    return all(card.memory for card in cards)


def limit(facts, cards, bandwidth):
    """Tokens a second that the bandwidths allow at most: each token reads its weights once. None where one that counts is not known.

    :param cards: of cards.usable(), [] for a service on the CPU.
    :param bandwidth: of the RAM, bytes a second, or None.
    """
    if not facts.per_token or not known(cards):
        return None
    room = sum(map(card_rules.room, cards))
    on_cards = min(1.0, room / facts.size) if facts.size else 0.0
    if on_cards and not all(card.bandwidth for card in cards):
        return None
    if on_cards < 1 and not bandwidth:
        return None
    # Layers are read one after the other: the slowest card's bandwidth counts for all of them.
    seconds = on_cards * facts.per_token / min(card.bandwidth for card in cards) if on_cards else 0.0
    seconds += (1 - on_cards) * facts.per_token / bandwidth if on_cards < 1 else 0.0
    return 1 / seconds if seconds else None


def _suits(candidate, cards, ram, bandwidth, room):
    facts = declared(candidate)
    vram = sum(map(card_rules.room, cards))
    needed = facts.size * MARGIN
    if room is not None and facts.size > room:
        return False
    # What does not lie on the cards lies in RAM; dense models there are slow for a GPU's service, so they lie on the cards whole.
    if needed > vram + ram or (cards and not (facts.experts and vram) and needed > vram):
        return False
    speed = limit(facts, cards, bandwidth)
    return speed is None or speed >= SLOWEST


def choose(catalogue, role, cards, host, taken, room):
    """The best model of the catalogue for a service, the last one that fits and is fast enough; the smallest one where none is.

    :param catalogue: candidates, worse ones first, each with name, roles, gigabytes, active (share of the weights that a token reads) and files.
    :param role: "oracle" or "executor".
    :param cards: the cards that it may have.
    :param host: what host_info returned.
    :param taken: bytes of RAM that other services have.
    :param room: bytes that are free on the store's file system, None where nobody knows.
    :returns: a candidate, or None where not even the smallest fits into memory, the cards' or the RAM.
    """
    ram = int((host["memory"]["total"] or 0) * SHARE_OF_RAM) - taken
    fitting = [one for one in catalogue if role in one["roles"] and _suits(one, cards, ram, host["memory"]["bandwidth"], room)]
    smallest = [one for one in catalogue if role in one["roles"] and declared(one).size <= ram and (room is None or declared(one).size <= room)][:1]
    if cards and known(cards):  # what lies on cards has to fit on them; of other cards nobody can say that it does not
        smallest = []
    return (fitting or smallest or [None])[-1]


def in_ram(facts, cards):
    """Bytes of a model that lie in RAM."""
    return max(facts.size - sum(map(card_rules.room, cards)), 0)


def context_of(candidate, facts, ram):
    """The largest of the usual contexts that the model knows and whose KV cache takes no more than an eighth of the RAM."""
    for context in CONTEXTS:
        if context <= candidate["context"] and cache_bytes(facts, context) <= ram / 8:
            return context
    return CONTEXTS[-1]


def prediction(facts, cards, bandwidth, context):
    """What is to be expected, as a line for people."""
    speed, cache = limit(facts, cards, bandwidth), cache_bytes(facts, context)
    memory = "%.1f GB of weights" % (facts.size / GB) + (", %.1f GB of KV cache for %d tokens" % (cache / GB, context) if facts.cache else "")
    if not known(cards):
        memory += "; nobody knows yet how much of it lies on the cards"
    elif cards:
        memory += "; %.1f GB of it in RAM" % (in_ram(facts, cards) / GB) if in_ram(facts, cards) else "; all of it on the cards"
    said = "at most %.1f tok/s by the bandwidth, RAM's as it was measured" % speed if speed else "speed unknown: a bandwidth that counts is not known"
    return "%s; %s" % (memory, said)

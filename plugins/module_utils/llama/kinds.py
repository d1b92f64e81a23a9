# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service is for: to chat, to see, to make vectors of texts, to rank texts, to fill in code. Pure functions.

A kind is what the inventory names, else what llama-server's own options in ``extra_arguments`` ask for, else what the GGUF header tells. Source:
common/arg.cpp, llama-graph.cpp (build_pooling), llama-arch.cpp and tools/server of llama.cpp, as shipped with llama_cpp_python 0.3.36.

Facts are what a header says of it: dict of ``architecture`` (str), ``pooling`` (number of llama_pooling_type, None where it does not say), ``head`` (whether
it has a head that classifies), ``template`` (whether it has a chat template), ``fim`` (whether it names tokens to fill in), ``width`` (numbers of a vector),
``context`` (tokens that it was trained for; both None where it does not say), and of its projector ``vision`` (None without one). {} is a header that nobody
has read yet.
"""
from __future__ import annotations

from .. import gguf
from . import options

CHAT, VISION, EMBEDDINGS, RERANKING, COMPLETION = KINDS = ("chat", "vision", "embeddings", "reranking", "completion")
AUTO = "auto"
TEXT = (CHAT, VISION, COMPLETION)  # those that generate
POOLINGS = ("none", "mean", "cls", "last", "rank")  # by number
RANK = POOLINGS.index("rank")
VECTORS = (1, 2, 3)
# They make vectors and no text, whatever the header says besides.
ENCODERS = frozenset((
    "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert", "gemma-embedding", "t5encoder"))
HEAD = ("cls.weight", "cls.output.weight")  # tensors of a head that classifies
EMBEDS, RERANKS = ("--embedding", "--embeddings"), ("--rerank", "--reranking")
POOLING = "--pooling"


def facts_of(metadata, tensors=(), projector=None):
    """What a header says of its model's kind.

    :param metadata: of the model's first file (gguf.Header).
    :param tensors: names of the tensors of all its files.
    :param projector: metadata of its projector, None without one.
    """
    whole = gguf.whole
    return {"architecture": str(metadata.get("general.architecture", "")), "pooling": whole(metadata, ".pooling_type", RANK),
            "head": any(name in tensors for name in HEAD), "template": bool(metadata.get("tokenizer.chat_template")),
            "fim": whole(metadata, "tokenizer.ggml.fim_pre_token_id") is not None,
            "width": whole(metadata, ".embedding_length_out") or whole(metadata, ".embedding_length"),
            "context": whole(metadata, ".context_length"), "vision": None if projector is None else sees(projector)}


def sees(projector):
    """Whether a projector is for pictures; one that does not say so is, for those for sound alone say that (clip.has_audio_encoder)."""
    return bool(projector.get("clip.has_vision_encoder", not projector.get("clip.has_audio_encoder", False)))


def told(facts):
    """The kind that a header tells; chat where it tells none."""
    pooling, encoder = facts.get("pooling"), facts.get("architecture") in ENCODERS
    if pooling == RANK or (facts.get("head") and pooling not in VECTORS):
        return RERANKING
    if pooling in VECTORS or encoder:
        return EMBEDDINGS
    if facts.get("vision"):
        return VISION
    # Instruct models know these tokens too, and are asked with their template.
    return COMPLETION if facts.get("fim") and not facts.get("template") else CHAT


def _pooling_word(words):
    """The value of --pooling among llama-server's words, "" where they have none."""
    found = [position for position, word in enumerate(words[:-1]) if options.of_word(word) == POOLING]
    return words[found[-1] + 1] if found else ""


def asked_for(words):
    """The kind that llama-server's own options ask for, "" where they ask for none.

    :param words: ``extra_arguments`` of a service.
    """
    given = {options.of_word(word) for word in words}
    if given & set(RERANKS):
        return RERANKING
    if not given & set(EMBEDS):
        return ""
    return RERANKING if _pooling_word(words) == POOLINGS[RANK] else EMBEDDINGS


def named(service):
    """The kind that the definition names by itself, "" where only the header can tell."""
    kind = service.get("kind") or AUTO
    return kind if kind != AUTO else asked_for(service["extra_arguments"])


def of_service(service, facts):
    """The kind of a service: one of :data:`KINDS`.

    :param service: complete definition.
    :param facts: of its model.
    """
    return named(service) or told(facts)


def server_words(service, facts):
    """Words of llama-server that a kind needs, without those that ``extra_arguments`` have already.

    A model of vectors whose header names no pooling gets one, for llama-server's OpenAI API refuses to answer without: the mean of an encoder's tokens, the
    last token of others, which is the only one that has seen all of them.

    :param service: complete definition, ``kind`` resolved.
    :param facts: of its model; {} where nobody has read its header.
    """
    kind, given = service.get("kind") or AUTO, service["extra_arguments"]
    if kind == RERANKING:
        return [] if asked_for(given) == RERANKING else [RERANKS[1]]
    if kind != EMBEDDINGS:
        return []
    words = [] if asked_for(given) else [EMBEDS[1]]
    if not facts or _pooling_word(given) or facts["pooling"] in VECTORS:
        return words
    return words + [POOLING, "mean" if facts["architecture"] in ENCODERS else "last"]


def decided(service, facts):
    """What of a definition its kind decides: dict of ``kind``, ``ladder`` and ``context``.

    A service that generates nothing keeps nothing from text to text, so it has no ladder; its context is the longest text, which no encoder reads beyond
    its positions, so the definition's is an upper bound.
    """
    kind = of_service(service, facts)
    if kind in TEXT:
        return {"kind": kind, "ladder": service["ladder"], "context": service["context"]}
    return {"kind": kind, "ladder": [], "context": min(service["context"], facts.get("context") or service["context"])}


def generates(facts):
    """Whether a model can generate text, by its header: one that only encodes, or ranks, cannot. A pooling for vectors is no more than a decoder's default."""
    return facts.get("architecture") not in ENCODERS and facts.get("pooling") != RANK


def contradictions(service, facts):
    """Where a service and its model's header cannot both be right: list of (value, rule, remedy).

    A decoder that names a pooling may be asked to chat all the same, where the inventory says so: the pooling is no more than its default.
    """
    kind, found = of_service(service, facts), []
    where, architecture = "service %s: kind %s" % (service["name"], kind), facts.get("architecture")
    reranks = facts.get("pooling") == RANK
    if not facts:
        return found
    if kind in TEXT and not generates(facts):
        found.append((where, "the header of %s (%s%s) says that it generates no text" % (service["model"], architecture, ", pooling rank" if reranks else ""),
                      "Leave kind out, or write %s." % told(facts)))
    if kind == RERANKING and not facts.get("head"):
        found.append((where, "%s has no head that classifies (%s), so its scores would mean nothing" % (service["model"], " or ".join(HEAD)),
                      "Choose a reranker that was converted with its head, or write kind: embeddings."))
    if kind == EMBEDDINGS and reranks and not _pooling_word(service["extra_arguments"]):
        found.append((where, "the header of %s says that it ranks (pooling rank)" % service["model"],
                      "Write kind: reranking, or add --pooling to extra_arguments."))
    if kind == VISION and facts.get("vision") is False:
        found.append((where, "the projector of %s sees nothing (clip.has_vision_encoder)" % service["model"], "Leave kind out: it chats and hears."))
    return found

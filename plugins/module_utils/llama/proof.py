# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a llama-server what it is for, by its kind, and judges what it answered: the same after a deployment and for its claim.

The verdicts are pure functions; whoever asks talks to a server. Standard library only.
"""
from __future__ import annotations

import base64
import struct
import zlib

from . import answer, client, kinds

# Two texts, for a server that makes a vector of the first and none of the second has not done it.
TEXTS = ("The bunker has two cards and no way out.", "Bread is baked of flour, water and salt.")
QUERY = "What is bread baked of?"
PREFIX, SUFFIX = "def add(a, b):\n    return ", "\n\n\nprint(add(1, 2))\n"
FILLED_TOKENS = 16
LOOK = "What do you see? Answer with one word."
SIDE = 32  # pixels of the picture; some projectors refuse fewer


def picture():
    """A small picture as a data URL: a PNG (RFC 2083), half of it red, half of it blue."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + (b"\xff\0\0" * (SIDE // 2)) + (b"\0\0\xff" * (SIDE - SIDE // 2))
    size = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(row * SIDE)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def question(kind, asked=""):
    """What a service of a kind is asked, through whatever door.

    :param asked: the question of kinds that chat.
    :returns: (path of the server, dict of the request's body without ``model``).
    """
    if kind == kinds.EMBEDDINGS:
        return "/v1/embeddings", {"input": list(TEXTS), "encoding_format": "float"}
    if kind == kinds.RERANKING:
        return "/v1/rerank", {"query": QUERY, "documents": list(TEXTS)}
    if kind == kinds.COMPLETION:
        # A model may rightly end at once where nothing is missing; here it is to show that it generates.
        return "/infill", {"input_prefix": PREFIX, "input_suffix": SUFFIX, "n_predict": FILLED_TOKENS, "temperature": 0, "ignore_eos": True}
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": asked}], "temperature": 0}


def answered(kind, found):
    """Whether an answer has the shape that clients of such a service expect; what it holds is :func:`verdict`'s.

    :param found: the JSON of the answer to :func:`question`, whatever it is.
    """
    if kind == kinds.EMBEDDINGS:
        return bool(answer.vectors(found))
    if kind == kinds.RERANKING:
        return bool(answer.scores(found))
    if kind == kinds.COMPLETION:
        return bool(answer.filled(found))
    return isinstance(found, dict) and isinstance(found.get("choices"), list)


def ask(kind, endpoint, wanted, timeout):
    """Asks it once, twice where it thinks for long, and shows it a picture where it sees.

    :param kind: one of kinds.KINDS.
    :param endpoint: such as http://172.30.0.20:8002.
    :param wanted: dict of ``question``, ``expected_word``, ``answer_tokens``, ``thinking_tokens`` (of kinds that chat) and ``width`` (of a vector, 0 where
        nobody knows).
    :returns: facts for :func:`verdict`.
    :raises client.NoAnswer: see there.
    """
    path, body = question(kind, wanted["question"])
    if kind not in (kinds.CHAT, kinds.VISION):
        found = client.ask_json(endpoint + path, body, timeout)
        return {"vectors": answer.vectors(found), "scores": {str(number): score for number, score in answer.scores(found).items()},
                "said": answer.filled(found) if kind == kinds.COMPLETION else ""}
    found = client.ask_json(endpoint + path, dict(body, max_tokens=wanted["answer_tokens"]), timeout)
    if answer.still_thinking(found) and wanted["expected_word"].lower() not in answer.said(found).lower() and wanted["thinking_tokens"]:
        found = client.ask_json(endpoint + path, dict(body, max_tokens=wanted["answer_tokens"] + wanted["thinking_tokens"]), timeout)
    facts = {"said": answer.said(found), "tokens": answer.generated(found), "thinking": answer.still_thinking(found)}
    if kind == kinds.VISION:
        parts = [{"type": "text", "text": LOOK}, {"type": "image_url", "image_url": {"url": picture()}}]
        seen = client.ask_json(endpoint + path, {"messages": [{"role": "user", "content": parts}], "temperature": 0, "max_tokens": wanted["answer_tokens"]},
                               timeout)
        facts["saw"] = answer.said(seen) or "%d tokens" % answer.generated(seen)  # what it sees is not asked, and a token may be no word
        facts["looked"] = answer.generated(seen) > 0
    return facts


def verdict(kind, facts, wanted):
    """Whether it does what it is for.

    :param facts: of :func:`ask`.
    :param wanted: as of :func:`ask`.
    :returns: tuple of what was expected (str), what was observed (str) and whether it holds (bool).
    """
    if kind == kinds.EMBEDDINGS:
        return _of_vectors(facts["vectors"], wanted.get("width") or 0)
    if kind == kinds.RERANKING:
        scores = facts["scores"]
        return ("a finite score of each of %d documents" % len(TEXTS), "scores %s" % ", ".join("%.3g" % scores[key] for key in sorted(scores)) if scores
                else "no finite score", sorted(scores) == [str(number) for number in range(len(TEXTS))])
    if kind == kinds.COMPLETION:
        return "text between a beginning and an end of code", "%r" % facts["said"][:60] if facts["said"] else "no text", bool(facts["said"])
    word, said = wanted["expected_word"], facts["said"]
    expected, observed, holds = word or "any words", said or "no words", facts["tokens"] > 0 and word.lower() in said.lower()
    if not holds and facts.get("thinking"):
        observed += " (it was still thinking after %d tokens: raise thinking_tokens)" % facts["tokens"]
    if kind == kinds.VISION:
        return expected + "; words about a picture", "%s; of a picture: %s" % (observed, facts["saw"]), holds and facts["looked"]
    return expected, observed, holds


def _of_vectors(vectors, width):
    expected = "%d vectors of %sfinite numbers, none of zeros alone" % (len(TEXTS), "%d " % width if width else "")
    told = ["%d %s" % (one["length"], "numbers" if one["finite"] and not one["zero"] else "zeros" if one["finite"] else "numbers, not all finite")
            for one in vectors]
    holds = len(vectors) == len(TEXTS) and all(
        one["finite"] and not one["zero"] and one["length"] == (width or one["length"]) and one["length"] for one in vectors)
    return expected, "; ".join(told) or "no vectors", bool(holds)

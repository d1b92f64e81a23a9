# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What llama-server said in an answer of its API. Pure functions."""
from __future__ import annotations

import math
import re

# How a thought begins and ends where the server leaves it in the content, by the templates and parsers of llama.cpp (llama_cpp_python 0.3.36): Qwen, DeepSeek
# and most others, Seed, MiniMax, Solar, Cohere; Mistral; gpt-oss and Gemma.
OPEN = re.compile(r"<[^<>\s]*think[^<>\s]*>|\[think\]|<\|?channel\|?>(analysis|thought)", re.IGNORECASE)
CLOSED = re.compile(r"</[^<>\s]*think[^<>\s]*>|<\|end(_thinking)?\|>|\[/think\]|<\|channel\|>final|<channel\|>", re.IGNORECASE)


def _first(value):
    return value[0] if isinstance(value, list) and value else None


def _field(value, key):
    return value.get(key) if isinstance(value, dict) else None


def said(answer):
    """The words of a chat completion: its content and, of a model that thinks first, what it thought.

    A model that thinks may have used up its tokens before its content begins; then content is empty, null or absent (llama.cpp's
    ``reasoning_content``).

    :param answer: the JSON of /v1/chat/completions, whatever it holds.
    :returns: str, "" where it holds no words.
    """
    message = _field(_first(_field(answer, "choices")), "message")
    found = [_field(message, key) for key in ("content", "reasoning_content")]
    return " ".join(text.strip() for text in found if isinstance(text, str) and text.strip())


def still_thinking(answer):
    """Whether its tokens ran out while the model was thinking: it has said nothing but thoughts, and was cut off.

    Thoughts stand in ``reasoning_content``; with ``--reasoning-format none`` in the content, behind a tag of the model's that is still open.

    :param answer: as of :func:`said`.
    """
    choice = _first(_field(answer, "choices"))
    message = _field(choice, "message")
    content, thought = (text.strip() if isinstance(text, str) else "" for text in (_field(message, "content"), _field(message, "reasoning_content")))
    thinks = bool(thought) and not content or bool(OPEN.match(content)) and not CLOSED.search(content)
    return _field(choice, "finish_reason") == "length" and thinks


def generated(answer):
    """Tokens that it generated: int, 0 where it does not say."""
    count = _field(_field(answer, "usage"), "completion_tokens")
    return count if isinstance(count, int) else 0


def _finite(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def vectors(answer):
    """The vectors of /v1/embeddings, in the order of their texts: list of dict of ``length``, ``finite`` (all numbers are) and ``zero`` (all are 0)."""
    data = _field(answer, "data")
    entries = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    entries.sort(key=lambda one: one["index"] if isinstance(one.get("index"), int) else 0)
    numbers = [one["embedding"] if isinstance(one.get("embedding"), list) else [] for one in entries]
    return [{"length": len(one), "finite": all(map(_finite, one)), "zero": not any(one)} for one in numbers]


def scores(answer):
    """The scores of /v1/rerank by the number of the document: dict of int to float, of those that are finite."""
    results = _field(answer, "results")
    return {one["index"]: float(one["relevance_score"]) for one in (results if isinstance(results, list) else [])
            if isinstance(_field(one, "index"), int) and _finite(one.get("relevance_score"))}


def filled(answer):
    """The text of /infill, "" where there is none."""
    text = _field(answer, "content")
    return text if isinstance(text, str) else ""

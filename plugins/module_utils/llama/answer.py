# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What llama-server said in an answer of its OpenAI API. Pure functions."""
from __future__ import annotations


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

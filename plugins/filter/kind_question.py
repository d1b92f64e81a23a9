# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: kind_question
short_description: What a service of a kind is asked to see that it answers
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns the path and the body of a small request. A kind that nobody knows is asked as one that chats.
options:
  _input:
    description: The kind.
    type: str
    required: true
  _question:
    description: The question of kinds that chat.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ask for vectors
  ansible.builtin.uri:
    url: "http://127.0.0.1:8080{{ ('embeddings' | protocol_omni.bunker.kind_question('')).path }}"
    method: POST
    body_format: json
    body: "{{ ('embeddings' | protocol_omni.bunker.kind_question('')).body | combine({'model': 'embedder'}) }}"
"""

RETURN = r"""
_value:
  description: C(path), and C(body) without the model.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds, proof

TOKENS = 16  # of an answer that only has to come


def kind_question(kind, asked):
    """Path and body."""
    path, body = proof.question(kind or kinds.CHAT, asked)
    return {"path": path, "body": dict(body, max_tokens=TOKENS) if "messages" in body else body}


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"kind_question": kind_question}

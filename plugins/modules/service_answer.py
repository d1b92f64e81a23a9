#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that was started is asked what it is for."""
from __future__ import annotations

DOCUMENTATION = r"""
module: service_answer
short_description: Ask a service what it is for, and say whether it does it
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Asks a running llama-server once, by its kind - a question, a question about a picture, vectors of two texts, scores of two documents, code between a
    beginning and an end. Fails where that is not what it answers.
  - A model whose tokens ran out while it was thinking is asked once more with O(thinking_tokens) besides.
options:
  endpoint:
    description: Where it answers on the host, such as V(http://172.30.0.20:8002).
    type: str
    required: true
  kind:
    description: What it is for.
    type: str
    choices: [chat, vision, embeddings, reranking, completion]
    default: chat
  question:
    description: The question of kinds that chat.
    type: str
    default: What is the capital of France? Answer with one word.
  expected_word:
    description: A word that the answer to it must hold, empty for any words.
    type: str
    default: Paris
  answer_tokens:
    description: Tokens that the answer may take.
    type: int
    default: 64
  thinking_tokens:
    description: Tokens besides, where it was still thinking.
    type: int
    default: 1024
  width:
    description: Numbers of a vector, as the model's header says; 0 where it does not.
    type: int
    default: 0
  timeout:
    description: Seconds for an answer.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Have it rank
  protocol_omni.bunker.service_answer:
    endpoint: http://172.30.0.24:8006
    kind: reranking
"""

RETURN = r"""
expected:
  description: What it is for, in words.
  returned: when it answered
  type: str
observed:
  description: What it did, in words.
  returned: when it answered
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import client, kinds, proof


def main():
    module = AnsibleModule(argument_spec={
        "endpoint": {"type": "str", "required": True}, "kind": {"type": "str", "choices": list(kinds.KINDS), "default": kinds.CHAT},
        "question": {"type": "str", "default": "What is the capital of France? Answer with one word."},
        "expected_word": {"type": "str", "default": "Paris"}, "answer_tokens": {"type": "int", "default": 64, "no_log": False},
        "thinking_tokens": {"type": "int", "default": 1024, "no_log": False}, "width": {"type": "int", "default": 0},
        "timeout": {"type": "int", "default": 600}}, supports_check_mode=True)
    given = module.params
    try:
        facts = proof.ask(given["kind"], given["endpoint"], given, given["timeout"])
    except client.NoAnswer as error:
        module.fail_json(msg="It was asked as a service of the kind %s is, and did not answer: %s" % (given["kind"], error))
    expected, observed, holds = proof.verdict(given["kind"], facts, given)
    if not holds:
        module.fail_json(msg="It was asked as a service of the kind %s is. Expected: %s. Its answer was: %s" % (given["kind"], expected, observed),
                         expected=expected, observed=observed)
    module.exit_json(changed=False, expected=expected, observed=observed)


if __name__ == "__main__":
    main()

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: llama_answer
short_description: The words of an answer of llama-server
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns the content of a chat completion and, of a model that thinks first, what it thought.
options:
  _input:
    description: The JSON of C(/v1/chat/completions). Whatever else it is, it holds no words.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show what it said
  ansible.builtin.debug:
    msg: "{{ answer.json | protocol_omni.bunker.llama_answer }}"
"""

RETURN = r"""
_value:
  description: The words, empty where there are none.
  type: str
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import answer


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"llama_answer": answer.said}

#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the files of a model of the store."""
from __future__ import annotations

DOCUMENTATION = r"""
module: model_info
short_description: Read a GGUF model of the store and say whether it can be served
version_added: 0.3.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the headers of a model's GGUF files, on the host that holds them, with Python's standard library only.
  - Says what is wrong with them in RV(problems) and fails for none of it.
options:
  store:
    description: The folder that holds one folder a model.
    type: path
    required: true
  name:
    description: The model's name, which is its folder's.
    type: str
    required: true
  architecture:
    description: What its C(general.architecture) must be.
    type: str
    required: true
  files:
    description: Its files, of a split model all shards in order; and what llama-server is to be given with them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name in the model's folder.
        type: str
        required: true
      sha256:
        description: The hash against which M(protocol_omni.bunker.source_file) has verified it. Without it nothing is asked of its verification.
        type: str
      role:
        description: What it is for, as in the catalogue of the role P(protocol_omni.bunker.model_store#role).
        type: str
        choices: [weights, projector, chat_template, adapter]
        default: weights
  present_only:
    description: Files that are not there yet are no problem, so that the others can be judged while they are fetched.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: See what a model is
  protocol_omni.bunker.model_info:
    store: /srv/models
    name: smollm2-135m-instruct-q4_1
    architecture: llama
    files:
      - name: SmolLM2-135M-Instruct.Q4_1.gguf
"""

RETURN = r"""
problems:
  description: Why the model cannot be served, each with the file, the rule and the remedy. Empty when it can.
  returned: success
  type: list
  elements: str
architecture:
  description: C(general.architecture) of its first file, empty where that cannot be read.
  returned: success
  type: str
context_length:
  description: Tokens that the model was trained for; 0 where the header does not say.
  returned: success
  type: int
bytes:
  description: Size of all its files.
  returned: success
  type: int
facts:
  description: >-
    What the header says of the kind of service that the model is for - C(architecture), C(pooling), C(head), C(template), C(fim), C(width), C(context),
    C(vision). Empty where the header of a file of its weights, or of its projector, could not be read.
  returned: success
  type: dict
metadata:
  description: Numbers and strings of the metadata of its first file, and its short lists of whole numbers.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf, model_files
from ansible_collections.protocol_omni.bunker.plugins.module_utils.model_rules import judge


def main():
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "store": {"type": "path", "required": True}, "name": text, "architecture": text,
            "files": {"type": "list", "elements": "dict", "required": True, "options": {
                "name": text, "sha256": {"type": "str"}, "role": {"type": "str", "choices": list(model_files.ROLES), "default": model_files.WEIGHTS}}},
            "present_only": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    found = judge(module.params["store"], module.params, module.params["present_only"])
    architecture = found["metadata"].get("general.architecture", "")
    module.exit_json(changed=False, architecture=architecture, context_length=gguf.whole(found["metadata"], ".context_length") or 0, **found)


if __name__ == "__main__":
    main()

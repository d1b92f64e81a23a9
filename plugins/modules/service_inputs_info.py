#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has by which a service is resolved, read at once."""
from __future__ import annotations

DOCUMENTATION = r"""
module: service_inputs_info
short_description: Read what a service is resolved from
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads what a host has of a service already, the header of its model, the host's processor and what was measured on it; the same as
    M(protocol_omni.bunker.read_files), M(protocol_omni.bunker.model_info) and M(protocol_omni.bunker.throughput_info) would one after the other.
  - Changes nothing. A file that is not there is told as absent, one that cannot be read is an error.
options:
  paths:
    description: Name to path, of files that are read.
    type: dict
    required: true
  store:
    description: The model store.
    type: path
    required: true
  name:
    description: Name of the model, and of its folder in the store.
    type: str
    required: true
  architecture:
    description: What its header is to say.
    type: str
    required: true
  files:
    description: Its files, shards in their order. Their hashes are not asked for.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the file.
        type: str
        required: true
      role:
        description: What it is of the model.
        type: str
        choices: [weights, projector, chat_template, adapter]
        default: weights
  measured:
    description: The local fact that holds what was measured.
    type: path
    default: /etc/ansible/facts.d/protocol_omni_throughput.fact
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Read what the Executor is resolved from
  protocol_omni.bunker.service_inputs_info:
    paths: {unit: /etc/systemd/system/protocol-omni-executor.service, resolved: /etc/protocol_omni/services/executor.json}
    store: /srv/models
    name: smollm2-135m-instruct-q4_1
    architecture: llama
    files: [{name: SmolLM2-135M-Instruct.Q4_1.gguf}]
  register: inputs
"""

RETURN = r"""
texts:
  description: Of each name in O(paths) the text; V(null) for a file that is not there.
  returned: success
  type: dict
header:
  description: C(problems), C(facts), C(metadata) and C(bytes) of the model, as M(protocol_omni.bunker.model_info) returns them.
  returned: success
  type: dict
host:
  description: C(measured), C(cpus), C(cache), C(node_memory) and C(fingerprint), as M(protocol_omni.bunker.throughput_info) returns them.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils import model_files, model_rules, present_files, small_file
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import reading


def main():
    text = {"type": "str", "required": True}
    module = AnsibleModule(argument_spec={
        "paths": {"type": "dict", "required": True}, "store": {"type": "path", "required": True}, "name": text, "architecture": text,
        "files": {"type": "list", "elements": "dict", "required": True, "options": {
            "name": text, "role": {"type": "str", "choices": list(model_files.ROLES), "default": model_files.WEIGHTS}}},
        "measured": {"type": "path", "default": "/etc/ansible/facts.d/protocol_omni_throughput.fact"}}, supports_check_mode=True)
    given = module.params
    try:
        texts = present_files.texts(given["paths"])
    except present_files.Unreadable as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, texts=texts, header=model_rules.judge(given["store"], given),
                     host=dict(reading.host(), measured=small_file.record(given["measured"])))


if __name__ == "__main__":
    main()

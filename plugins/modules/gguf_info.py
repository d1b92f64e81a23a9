#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the metadata of a GGUF model file."""
from __future__ import annotations

DOCUMENTATION = r"""
module: gguf_info
short_description: Read the metadata of a GGUF model file
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the header of a GGUF file, on the host that holds it, with Python's standard library only.
options:
  path:
    description: The GGUF file; of a split model the first shard.
    type: path
    required: true
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: See what a model is
  protocol_omni.bunker.gguf_info:
    path: /srv/models/smollm2-135m-instruct-q4_1/SmolLM2-135M-Instruct.Q4_1.gguf
"""

RETURN = r"""
architecture:
  description: The value of C(general.architecture).
  returned: success
  type: str
context_length:
  description: Tokens that the model was trained for; 0 where the header does not say.
  returned: success
  type: int
split_count:
  description: Number of shards; 1 for a model in one file.
  returned: success
  type: int
metadata:
  description: All scalar and string metadata.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils.gguf import GGUFError, read_metadata


def main():
    module = AnsibleModule(argument_spec={"path": {"type": "path", "required": True}}, supports_check_mode=True)
    path = module.params["path"]
    try:
        with open(path, "rb") as stream:
            metadata = read_metadata(stream)
    except (OSError, GGUFError) as error:
        module.fail_json(msg="%s cannot be used as a model: %s. A model is a whole GGUF file; fetch it again." % (path, error))
    architecture = metadata.get("general.architecture", "")
    module.exit_json(changed=False, architecture=architecture, metadata=metadata,
                     context_length=metadata.get("%s.context_length" % architecture, 0), split_count=metadata.get("split.count", 0) or 1)


if __name__ == "__main__":
    main()

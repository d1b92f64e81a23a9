#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several small text files at once; one that is not there is none."""
from __future__ import annotations

DOCUMENTATION = r"""
module: read_files
short_description: Read several small text files of the host
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Returns the text of files that may be absent. One that is there and cannot be read fails the task, with its path and why.
options:
  paths:
    description: Which, by a name of your own.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Read what is deployed
  protocol_omni.bunker.read_files:
    paths: {unit: /etc/systemd/system/example.service, settings: /etc/example.json}
  register: deployed
"""

RETURN = r"""
texts:
  description: Name to text; V(null) for a file that is not there.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils import present_files


def main():
    module = AnsibleModule(argument_spec={"paths": {"type": "dict", "required": True}}, supports_check_mode=True)
    try:
        texts = present_files.texts(module.params["paths"])
    except present_files.Unreadable as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, texts=texts)


if __name__ == "__main__":
    main()

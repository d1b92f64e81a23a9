#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the files of several models of the store."""
from __future__ import annotations

DOCUMENTATION = r"""
module: model_store_info
short_description: Say of models of the store whether they can be served
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Judges models as M(protocol_omni.bunker.model_info) judges one, in one call, and returns no metadata.
  - Changes nothing, and fails for none of what is wrong with them.
options:
  store:
    description: The folder that holds one folder a model.
    type: path
    required: true
  models:
    description: Entries of the catalogue of the role P(protocol_omni.bunker.model_store#role). Their C(name), C(architecture) and C(files) are read.
    type: list
    elements: dict
    required: true
  refuse:
    description: Fail where one of them cannot be served. Without it that is only returned.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: See what the models are
  protocol_omni.bunker.model_store_info:
    store: /srv/models
    models: "{{ model_store_catalogue }}"
"""

RETURN = r"""
models:
  description: O(models), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    architecture: {description: "C(general.architecture) of its first file, empty where that cannot be read.", type: str}
    problems:
      description: Why it cannot be served, each with the file, the rule and the remedy. Empty when it can.
      type: list
      elements: str
folders:
  description: The folders that the store has, one a model, whatever O(models) names.
  returned: success
  type: list
  elements: str
"""

import os  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import model_rules  # noqa: E402


def folders_of(store):
    """Names of the store's folders; none where there is no store."""
    try:
        return sorted(entry.name for entry in os.scandir(store) if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def main():
    module = AnsibleModule(argument_spec={"store": {"type": "path", "required": True}, "models": {"type": "list", "elements": "dict", "required": True},
                                          "refuse": {"type": "bool", "default": False}}, supports_check_mode=True)
    found = []
    for model in module.params["models"]:
        judged = model_rules.judge(module.params["store"], model)
        found.append({"name": model["name"], "architecture": judged["metadata"].get("general.architecture", ""), "problems": judged["problems"]})
    problems = [problem for model in found for problem in model["problems"]]
    if module.params["refuse"] and problems:
        module.fail_json(msg="\n".join(problems), models=found)
    module.exit_json(changed=False, models=found, folders=folders_of(module.params["store"]))


if __name__ == "__main__":
    main()

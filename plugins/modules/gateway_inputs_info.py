#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host the gateway is configured from."""
from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_inputs_info
short_description: Read what the gateway is configured from, and what it has loaded
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the files of keys and certificates that the gateway is given, what is deployed of the services, what it has of user, keys and copies, and what it
    says it has loaded.
  - Changes nothing, and returns hashes and never a key.
options:
  folder:
    description: The gateway's folder.
    type: path
    required: true
  operator_key:
    description: The file with the operator's key.
    type: path
    required: true
  files:
    description: Files that it is given, each with C(name), C(key_file) and C(secret), whether its owner alone may read it.
    type: list
    elements: dict
    default: []
  refuse:
    description: Whether a key that can be guessed, that is missing or that others can read fails the task.
    type: bool
    default: false
  deployed:
    description: Files with the resolved services, by their names.
    type: dict
    default: {}
  user:
    description: The gateway's user.
    type: str
    default: ""
  mark:
    description: Name of the file in O(folder) that says for which names the certificate was made; empty where the gateway makes none.
    type: str
    default: ""
  copies:
    description: >-
      Path of each copy that the gateway shall have to the path that it is a copy of. With it RV(hashes), RV(certificate) and RV(missing) are returned.
    type: dict
  endpoint:
    description: Where the gateway answers, whose certificate is not verified. Empty where it is not to be asked.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at what the gateway is given
  protocol_omni.bunker.gateway_inputs_info:
    folder: /etc/protocol_omni/gateway
    operator_key: /etc/protocol_omni/gateway/operator.key
    files: [{name: acme, key_file: /root/acme.key, secret: true}]
    refuse: true
  register: given
"""

RETURN = r"""
files:
  description: Each of O(files), C(name), C(path), C(secret), C(exists), C(mode) and C(sha256).
  returned: success
  type: list
  elements: dict
deployed:
  description: Name to the text of the resolved service; V(null) for one that is not deployed.
  returned: success
  type: dict
hashes:
  description: SHA-256 of each of the operator's keys that the gateway shall know, to when it ends in seconds since 1970; 0 for one that does not end.
  returned: where O(copies) is given
  type: dict
certificate:
  description: SHA-256 of the certificate that the gateway made itself; empty where there is none.
  returned: where O(copies) is given
  type: str
missing:
  description: What of user, keys, certificate and copies is not as the role makes it; empty where nothing is to be done.
  returned: where O(copies) is given
  type: list
  elements: str
loaded:
  description: The digest of what it says it has loaded, empty where it does not say.
  returned: success
  type: str
"""

import hashlib  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import (  # noqa: E402
    gateway_inputs, gateway_secrets, gateway_survey, key_rotation, present_files)


def loaded(endpoint):
    """What it says it has loaded."""
    said = gateway_survey.ask(endpoint + "/health")["json"] if endpoint else None
    return str(said.get("configuration") or "") if isinstance(said, dict) else ""


def look(given):
    """All of it.

    :raises ValueError: it is refused.
    """
    files = gateway_inputs.seen(given["files"])
    refused = gateway_inputs.refusals(given["operator_key"], gateway_inputs.size(given["operator_key"]), files) if given["refuse"] else []
    if refused:
        raise ValueError(" ".join(refused))
    found = {"files": files, "deployed": present_files.texts(given["deployed"]), "loaded": loaded(given["endpoint"])}
    if given["copies"] is not None:
        pem = key_rotation.content(given["folder"] + "/self_signed.pem")
        found.update(hashes=key_rotation.OperatorKey(given["folder"]).hashes(), certificate=hashlib.sha256(pem.encode("utf-8")).hexdigest() if pem else "",
                     missing=gateway_secrets.missing(given["folder"], given["user"], given["mark"], given["copies"]))
    return found


def main():
    module = AnsibleModule(argument_spec={
        "folder": {"type": "path", "required": True}, "operator_key": {"type": "path", "required": True, "no_log": False},
        "files": {"type": "list", "elements": "dict", "default": []}, "refuse": {"type": "bool", "default": False}, "deployed": {"type": "dict", "default": {}},
        "user": {"type": "str", "default": ""}, "mark": {"type": "str", "default": ""}, "copies": {"type": "dict"},
        "endpoint": {"type": "str", "default": ""}}, supports_check_mode=True)
    try:
        found = look(module.params)
    except (OSError, ValueError, present_files.Unreadable) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()

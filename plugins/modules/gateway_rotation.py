#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's own key and certificate, exchanged in steps."""
from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_rotation
short_description: Exchange the operator's key or the gateway's own certificate in steps
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Only files change; the gateway loads them when the role gateway runs after each step. Each step may be run again after an interruption.
  - It returns hashes and never a key. A step that cannot be taken fails with what to do instead.
options:
  folder:
    description: The gateway's folder.
    type: path
    required: true
  what:
    description: What is exchanged.
    type: str
    choices: [operator_key, certificate]
    default: operator_key
  step:
    description:
      - V(look) changes nothing. V(begin) makes the next one, V(switch) puts it in the place of the present one, V(end) forgets the former one.
    type: str
    choices: [look, begin, switch, end]
    default: look
  overlap:
    description: Seconds for which the operator's former key holds after V(switch).
    type: int
    default: 86400
  subject:
    description: Common name of the next certificate.
    type: str
    default: ""
  names:
    description: Its names, such as V(DNS:example.com) and V(IP:192.0.2.1).
    type: list
    elements: str
    default: []
  user:
    description: Who reads its key.
    type: str
    default: ""
  mark:
    description: Name of the file in O(folder) that says for which names the certificate was made; empty where the gateway makes none.
    type: str
    default: ""
  copies:
    description: Path of each copy that the gateway shall have to the path that it is a copy of. With it RV(missing) is returned.
    type: dict
attributes:
  check_mode:
    description: A step is not taken and counts as a change.
    support: partial
    details: Predicts that a step changes something, also where it would not.
"""

EXAMPLES = r"""
- name: Make the operator's next key
  protocol_omni.bunker.gateway_rotation:
    folder: /etc/protocol_omni/gateway
    what: operator_key
    step: begin
"""

RETURN = r"""
hashes:
  description: SHA-256 of each of the operator's keys that the gateway shall know, to when it ends in seconds since 1970; 0 for one that does not end.
  returned: success
  type: dict
certificate:
  description: SHA-256 of the certificate that the gateway made itself; empty where there is none.
  returned: success
  type: str
missing:
  description: What of user, keys, certificate and copies is not as the role makes it; empty where nothing is to be done.
  returned: where O(copies) is given
  type: list
  elements: str
"""

import hashlib
import pwd

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gateway_secrets, key_rotation


def take(module):
    """Takes the step; returns whether anything changed."""
    params = module.params
    if params["step"] == "look":
        return False
    if params["what"] == "operator_key":
        key = key_rotation.OperatorKey(params["folder"])
        return {"begin": key.begin, "switch": lambda: key.switch(params["overlap"]), "end": key.end}[params["step"]]()

    def run(words):
        code, out, errors = module.run_command(words)
        if code:
            raise ValueError("openssl made no certificate: %s" % (errors or out).strip()[-500:])
    certificate = key_rotation.Certificate(params["folder"], run, pwd.getpwnam(params["user"]).pw_uid if params["user"] else None)
    return {"begin": lambda: certificate.begin(params["subject"], params["names"]), "switch": certificate.switch, "end": certificate.end}[params["step"]]()


def main():
    module = AnsibleModule(argument_spec={
        "folder": {"type": "path", "required": True}, "what": {"type": "str", "choices": ["operator_key", "certificate"], "default": "operator_key"},
        "step": {"type": "str", "choices": ["look", "begin", "switch", "end"], "default": "look"}, "overlap": {"type": "int", "default": 86400},
        "subject": {"type": "str", "default": ""}, "names": {"type": "list", "elements": "str", "default": []}, "user": {"type": "str", "default": ""},
        "mark": {"type": "str", "default": ""}, "copies": {"type": "dict"}},
        supports_check_mode=True)
    folder, copies = module.params["folder"], module.params["copies"]
    try:
        seen = {} if copies is None else {"missing": gateway_secrets.missing(folder, module.params["user"], module.params["mark"], copies)}
        changed = module.params["step"] != "look" if module.check_mode else take(module)
        pem = key_rotation.content(folder + "/self_signed.pem")
        module.exit_json(changed=changed, hashes=key_rotation.OperatorKey(folder).hashes(),
                         certificate=hashlib.sha256(pem.encode("utf-8")).hexdigest() if pem else "", **seen)
    except (OSError, ValueError, KeyError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()

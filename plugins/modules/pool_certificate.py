#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a pool, made in steps on two hosts."""
from __future__ import annotations

DOCUMENTATION = r"""
module: pool_certificate
short_description: Make the certificates of a pool in steps, while each key stays on its host
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Three steps. V(authority) on the host that signs makes the authority where there is none; V(request) on a host of the pool makes its key and says whether
    it needs a certificate; V(sign) on the host that signs makes that one.
  - It returns certificates and requests, which are public, and never a key.
options:
  step:
    description: Which of them.
    type: str
    choices: [authority, request, sign]
    required: true
  folder:
    description: The folder of the authority, or of the host's own certificate for V(request). It is there already.
    type: path
    required: true
  authority:
    description: Certificate of the authority, PEM, for V(request).
    type: str
    default: ""
  request:
    description: What V(request) returned, for V(sign).
    type: str
    default: ""
  names:
    description: Names that the certificate is for, such as V(DNS:north) and V(IP:192.0.2.1).
    type: list
    elements: str
    default: []
  uses:
    description: What it may be used for.
    type: list
    elements: str
    choices: [serverAuth, clientAuth]
    default: [serverAuth]
  days:
    description: For how long it holds. It is due again when less than a third of that is left.
    type: int
    default: 90
requirements:
  - openssl 1.1.1 or newer
attributes:
  check_mode:
    description: Nothing is made. An authority or key that is missing counts as a change, and what needs it is left empty.
    support: partial
    details: Predicts that a certificate is made, and returns none.
"""

EXAMPLES = r"""
- name: Say whether this host needs a certificate
  protocol_omni.bunker.pool_certificate:
    step: request
    folder: /etc/protocol_omni/pool
    authority: "{{ authority.certificate }}"
    names: [DNS:north, IP:10.0.0.1]
    uses: [serverAuth, clientAuth]
  register: own
"""

RETURN = r"""
certificate:
  description: PEM of the authority's certificate, or of the one that was signed.
  returned: step authority or sign
  type: str
due:
  description: Why a certificate has to be made; empty where the present one will do.
  returned: step request
  type: str
request:
  description: PEM of the request, empty where none is due.
  returned: step request
  type: str
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import certificates  # noqa: E402


def take(module, run):
    """Takes the step: what the module returns."""
    params = module.params
    if params["step"] == "request":
        own = certificates.Own(params["folder"], run)
        due = own.due(params["authority"], params["names"], params["uses"], params["days"]) if params["authority"] else "there is no authority yet"
        return {"changed": bool(due), "due": due, "request": own.request() if due and not module.check_mode else ""}
    authority = certificates.Authority(params["folder"], run)
    if params["step"] == "authority":
        missing = authority.missing()
        return {"changed": missing, "certificate": "" if missing and module.check_mode else authority.make()}
    if module.check_mode:
        return {"changed": True, "certificate": ""}
    return {"changed": True, "certificate": authority.sign(params["request"], params["names"], params["uses"], params["days"])}


def main():
    module = AnsibleModule(argument_spec={
        "step": {"type": "str", "choices": ["authority", "request", "sign"], "required": True}, "folder": {"type": "path", "required": True},
        "authority": {"type": "str", "default": ""}, "request": {"type": "str", "default": ""}, "names": {"type": "list", "elements": "str", "default": []},
        "uses": {"type": "list", "elements": "str", "choices": ["serverAuth", "clientAuth"], "default": ["serverAuth"]},
        "days": {"type": "int", "default": 90}}, supports_check_mode=True)

    def run(words):
        code, out, errors = module.run_command(words)
        if code:
            raise ValueError("%s: %s" % (" ".join(words[:2]), (errors or out).strip()[-500:]))
        return out

    try:
        module.exit_json(**take(module, run))
    except (OSError, ValueError) as error:
        module.fail_json(msg="The certificates of the pool: %s" % error)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of a pool, read without writing."""
from __future__ import annotations

DOCUMENTATION = r"""
module: pool_info
short_description: Read a host's certificate, whom it lets in, and whom it reaches in a pool
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the certificate of a host of a pool, asks its own port for doors without one, and asks its HAProxy for the servers that it knows.
  - Changes nothing. What is not there is told as absent.
options:
  folder:
    description: The pool's folder on this host.
    type: path
    required: true
  names:
    description: Names that its certificate shall have, such as V(DNS:north).
    type: list
    elements: str
    required: true
  uses:
    description: What it shall be used for.
    type: list
    elements: str
    required: true
  days:
    description: For how long a certificate holds when it is made; a third of that must be left.
    type: int
    required: true
  member_address:
    description: Address on which doors ask this host; empty for one that is no member.
    type: str
    default: ""
  member_port:
    description: Port for that.
    type: int
    default: 0
  socket:
    description: Socket of its HAProxy.
    type: path
    required: true
  address:
    description: The pool's own address, empty where it has none or this host may not have it.
    type: str
    default: ""
  port:
    description: Port on which the pool answers there.
    type: int
    default: 0
  address_unit:
    description: Unit of keepalived, which moves the address.
    type: str
    default: ""
requirements:
  - root on its host
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at this host of the pool
  protocol_omni.bunker.pool_info:
    folder: /etc/protocol_omni/pool
    names: [DNS:north, IP:10.0.0.1]
    uses: [serverAuth]
    days: 90
    socket: /run/protocol-omni-pool/admin.sock
  register: pool
"""

RETURN = r"""
due:
  description: What is wrong with its certificate; empty for one that will do.
  returned: success
  type: str
stranger:
  description: What became of somebody without a certificate, V(refused) or V(let in), or why that could not be told; empty where it was not tried.
  returned: success
  type: str
address:
  description: >-
    Of the pool's own address C(state) of keepalived's unit as systemctl says it, C(why) nobody takes a connection there (empty where somebody does), and
    whether it is C(here). Empty without O(address).
  returned: success
  type: dict
servers:
  description: The servers that its HAProxy knows, but for the gateway of this host.
  returned: success
  type: list
  elements: dict
  contains:
    backend: {description: Its backend., type: str}
    name: {description: Name of the member., type: str}
    state: {description: "What HAProxy thinks of it, such as V(UP).", type: str}
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.key_rotation import content  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import certificates, survey  # noqa: E402


def address_of(module):
    """Of the pool's address ``state`` of keepalived's unit, ``why`` nobody answers there ("" where somebody does), and whether it is ``here``."""
    given, address = module.params, module.params["address"].split("/")[0]
    own = commands.output(module, "ip", "-oneline", "address")
    return {"state": commands.output(module, "systemctl", "show", "--property", "ActiveState", "--value", given["address_unit"]).strip(),
            "why": survey.answers(address, given["port"]), "here": " %s/" % address in own}


def main():
    module = AnsibleModule(argument_spec={
        "folder": {"type": "path", "required": True}, "names": {"type": "list", "elements": "str", "required": True},
        "uses": {"type": "list", "elements": "str", "required": True}, "days": {"type": "int", "required": True},
        "member_address": {"type": "str", "default": ""}, "member_port": {"type": "int", "default": 0}, "socket": {"type": "path", "required": True},
        "address": {"type": "str", "default": ""}, "port": {"type": "int", "default": 0}, "address_unit": {"type": "str", "default": ""}},
        supports_check_mode=True)
    params = module.params

    def run(words):
        code, out, errors = commands.answer(module, *words)
        if code:
            raise ValueError((errors or out).strip()[-500:])
        return out

    try:
        authority = content(params["folder"] + "/" + certificates.AUTHORITY)
        own = certificates.Own(params["folder"], run)
        due = own.due(authority, params["names"], params["uses"], params["days"]) if authority else "there is no authority's certificate"
    except (OSError, ValueError) as error:
        due = "it cannot be read: %s" % error
    module.exit_json(changed=False, due=due, address=address_of(module) if params["address"] else {},
                     servers=survey.servers(survey.statistics(params["socket"])),
                     stranger=survey.stranger(params["member_address"], params["member_port"]) if params["member_address"] else "")


if __name__ == "__main__":
    main()

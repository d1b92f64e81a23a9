#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway, looked at from outside."""
from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_info
short_description: Read who listens for the gateway, what it has loaded and whom it answers
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads which sockets llama-servers, the engine's proxies of services and the gateway listen on, what the gateway has loaded, how it answers with and
    without a key, who answers for each service through it, who may read its files, and what it believes of services beside what they say themselves.
  - Changes nothing. What is not there is told as absent, also a gateway that does not answer.
  - It reads the operator's key itself; neither its options nor what it returns hold it.
options:
  endpoint:
    description: Where the gateway answers, such as V(https://127.0.0.1:8080). Its certificate is not verified.
    type: str
    required: true
  operator_key:
    description: The file with the operator's key.
    type: path
    required: true
  plan:
    description: The file with what the gateway loads.
    type: path
    required: true
  files:
    description: Files of which is told who may read them.
    type: list
    elements: path
    default: []
  unit:
    description: The gateway's unit.
    type: str
    required: true
  control:
    description: Its control socket.
    type: path
    required: true
  services:
    description: The services, complete definitions. Each is asked a question, for whose answer there is as much time as for its start.
    type: list
    elements: dict
    default: []
  routes:
    description: As P(protocol_omni.bunker.gateway_routes#filter) returns them.
    type: dict
    default: {}
  patience:
    description: Seconds until the gateway is to believe of each service what that says of itself. It is asked every second.
    type: int
    default: 15
requirements:
  - root on its host
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at the gateway
  protocol_omni.bunker.gateway_info:
    endpoint: https://127.0.0.1:8080
    operator_key: /etc/protocol_omni/gateway/operator.key
    plan: /etc/protocol_omni/gateway/routes.json
    files: [/etc/protocol_omni/gateway/operator.key, /etc/protocol_omni/gateway/routes.json]
    unit: protocol-omni-gateway.service
    control: /run/protocol-omni-gateway/control.sock
  register: gateway
"""

RETURN = r"""
listening:
  description: Addresses with ports of the host's own namespace on which llama-servers, proxies of services and the gateway listen, each once, sorted.
  returned: success
  type: list
  elements: str
ss:
  description: Why the host's sockets were not read, empty where they were.
  returned: success
  type: str
plan:
  description: What O(plan) has the gateway load.
  returned: success
  type: dict
  contains:
    digest: {description: Of all of it., type: str}
    holders: {description: "Whose keys it has, each once, sorted.", type: list, elements: str}
    routes: {description: "To whom it leads, sorted.", type: list, elements: str}
    why: {description: "Why it was not read, empty where it was.", type: str}
loaded:
  description: The digest of what the gateway says it has loaded, empty where it does not say.
  returned: success
  type: str
doors:
  description: How it answered.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: What was asked for., type: str}
    key: {description: "With which key, V(none), V(wrong) or V(operator).", type: str}
    status: {description: "The status of the answer, null where there was none.", type: int}
    why: {description: "Why there was none, empty otherwise.", type: str}
answers:
  description: Who answered for each of O(services), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    service: {description: Who was asked., type: str}
    status: {description: "The status of the answer, null where there was none.", type: int}
    by: {description: "Who answered, as the gateway says; empty where it does not.", type: str}
    answered: {description: Whether the answer has the shape of its kind., type: bool}
    why: {description: "Why there was none, empty otherwise.", type: str}
files:
  description: Each of O(files).
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: "Its name, without its folder.", type: str}
    owner: {description: "Its owner, empty where it is not there.", type: str}
    mode: {description: "Its mode, such as V(600), empty where it is not there.", type: str}
control:
  description: The control socket.
  returned: success
  type: dict
  contains:
    root: {description: "V(yes) where it answers root, else why it does not.", type: str}
    others: {description: "Whether a user without rights gets at it, V(yes) or V(no), or why that is not known.", type: str}
    says: {description: "Name of each service to the tokens of its context, as its own server says; null where it does not.", type: dict}
    thinks: {description: "Name of each service to the tokens that the gateway believes its context has; null where it does not know.", type: dict}
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, gateway_survey, listeners  # noqa: E402


def sockets(module, services):
    """Where somebody of ours listens, and why that was not read."""
    status, said, error = commands.answer(module, *listeners.COMMAND)
    if status != 0:
        return [], "%s: %s" % (listeners.COMMAND[0], error.strip() or said.strip() or "exit status %d" % status)
    places = {network["address"] for service in services for network in service["networks"]}
    return gateway_survey.listening(listeners.parsed(said), gateway_survey.processes(module.params["unit"], places)), ""


def main():
    module = AnsibleModule(argument_spec={
        "endpoint": {"type": "str", "required": True}, "operator_key": {"type": "path", "required": True, "no_log": False},
        "plan": {"type": "path", "required": True}, "files": {"type": "list", "elements": "path", "default": []}, "unit": {"type": "str", "required": True},
        "control": {"type": "path", "required": True}, "services": {"type": "list", "elements": "dict", "default": []},
        "routes": {"type": "dict", "default": {}}, "patience": {"type": "int", "default": 15}}, supports_check_mode=True)
    given, endpoint = module.params, module.params["endpoint"].rstrip("/")
    services, routes = given["services"], given["routes"]
    key = gateway_survey.first_line(given["operator_key"])
    listening, refused = sockets(module, services)
    loaded, doors = gateway_survey.doors(endpoint, key)
    answers = gateway_survey.answers(endpoint, key, services, routes)
    addresses = {service["name"]: routes[service["name"]]["address"] for service in services if service["name"] in routes}
    says, thinks, silent = gateway_survey.contexts(given["control"], addresses, given["patience"])
    module.exit_json(
        changed=False, listening=listening, ss=refused, plan=gateway_survey.plan(given["plan"]), loaded=loaded, doors=doors, answers=answers,
        files=[gateway_survey.file_at(path) for path in given["files"]],
        control={"root": silent or "yes", "others": gateway_survey.reached_by_nobody(given["control"]), "says": says, "thinks": thinks})


if __name__ == "__main__":
    main()

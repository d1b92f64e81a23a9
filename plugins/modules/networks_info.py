#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks and their seal, read without writing."""
from __future__ import annotations

DOCUMENTATION = r"""
module: networks_info
short_description: Read the networks and the seal that is in force
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads networks of the Docker engine, the tables of the seal as the kernel holds them, and how the seal's unit stands to the engine's.
  - Changes nothing. What is not there is told as absent; an engine that does not answer is an error, but for whoever is about to make the networks.
options:
  names:
    description: Networks to look for.
    type: list
    elements: str
    required: true
  unit:
    description: The seal's unit.
    type: str
    required: true
  record:
    description: File with a JSON list of the names of networks that were made here. Empty for none.
    type: path
    default: ""
  definitions:
    description:
      - Networks as they are to be, each with C(name), C(bridge), C(subnet) and C(internal), to know which are to be made, and which networks of O(record) are
        in their way.
    type: list
    elements: dict
    default: []
  to_be_made:
    description:
      - Whether somebody is about to make O(definitions). An engine that does not answer, as one that is not installed yet, then has no networks; and a record
        that is no list of names is an error.
    type: bool
    default: false
  label:
    description: The label of containers that may be taken off such a network, for they are made anew.
    type: str
    default: protocol_omni.bunker.definition
  docker_host:
    description: The engine's Unix socket.
    type: str
    default: unix:///var/run/docker.sock
requirements:
  - root on the engine's host, for nft
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at the networks
  protocol_omni.bunker.networks_info:
    names: [omni-network, internal_brain]
    unit: protocol-omni-seal.service
  register: networks
"""

RETURN = r"""
networks:
  description: Those of O(names) that exist, in that order.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    driver: {description: Its driver., type: str}
    internal: {description: Whether Docker itself gives it no way out., type: bool}
    ipv6: {description: Whether it has IPv6., type: bool}
    subnet: {description: "Its first subnet, empty for none.", type: str}
    bridge: {description: "Name of its bridge, empty where the engine made one up.", type: str}
unnamed:
  description: Those of O(record) that exist and that O(names) does not have.
  returned: success
  type: list
  elements: str
recorded:
  description: Names that O(record) has.
  returned: success
  type: list
  elements: str
differing:
  description: Names of those of O(definitions) that do not exist, or not as they are to be.
  returned: success
  type: list
  elements: str
in_the_way:
  description: Those of RV(unnamed) that have the bridge or the subnet of one of O(definitions).
  returned: success
  type: list
  elements: str
on_them:
  description: Containers without O(label) that are on one of RV(in_the_way), V(CONTAINER on NETWORK).
  returned: success
  type: list
  elements: str
tables:
  description: The four tables of the seal on the host. What a table has not, and all of a table that is not there, is an empty string.
  returned: success
  type: list
  elements: dict
  contains:
    family: {description: V(inet) or V(bridge)., type: str}
    name: {description: V(bunker_seal) or V(bunker_seal_standing)., type: str}
    digest: {description: "Its comment, which is the digest of its rules.", type: str}
    flags: {description: "Its flags, such as V(owner).", type: str}
    program: {description: Program of the process that owns it., type: str}
state:
  description: What systemd says of O(unit), such as V(active).
  returned: success
  type: str
status:
  description: What the seal says is in force, C(StatusText) of O(unit).
  returned: success
  type: str
needs_reload:
  description: Whether systemd has not read a file of O(unit) or docker.service that was written since.
  returned: success
  type: bool
engine_ties:
  description: Which of V(Requires) and V(After) of docker.service name O(unit).
  returned: success
  type: list
  elements: str
"""

import json  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import deployed, network_survey, small_file  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.commands import output  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client  # noqa: E402


def listed(module):
    """Name to each network of the engine.

    :raises client.EngineError: it does not answer, where it must.
    """
    try:
        return {network["Name"]: network_survey.network(network) for network in client.get(module.params["docker_host"], "/networks") or []}
    except client.EngineError:
        if module.params["to_be_made"]:
            return {}
        raise


def recorded(module):
    """Names of networks that were made here.

    :raises ValueError: whoever is about to make some would write the record anew, and it is none.
    """
    path, text = module.params["record"], small_file.seen(module.params["record"])
    names = network_survey.recorded(text)
    if module.params["to_be_made"] and text.strip() and json.dumps(names) != json.dumps(network_survey.parsed(text)):
        raise ValueError("%s is no JSON list of names; what stands there is known by it alone. Correct it, or remove it: those networks stay then" % path)
    return names


def main():
    module = AnsibleModule(argument_spec={
        "names": {"type": "list", "elements": "str", "required": True}, "unit": {"type": "str", "required": True},
        "record": {"type": "path", "default": ""}, "definitions": {"type": "list", "elements": "dict", "default": []},
        "to_be_made": {"type": "bool", "default": False},
        "label": {"type": "str", "default": "protocol_omni.bunker.definition"},
        "docker_host": {"type": "str", "default": client.DEFAULT_HOST}}, supports_check_mode=True)
    names, unit, socket = module.params["names"], module.params["unit"], module.params["docker_host"]
    try:
        found, ours = listed(module), recorded(module)
        unnamed = [name for name in ours if name in found and name not in names]
        in_the_way = network_survey.in_the_way(module.params["definitions"], [found[name] for name in unnamed])
        around = deployed.containers(client.get(socket, "/containers/json?all=1"), module.params["label"]) if in_the_way else []
    except (client.EngineError, ValueError) as error:
        module.fail_json(msg="The networks were not read: %s" % error)
    tables = [network_survey.table(family, name, output(module, "nft", "--stateless", "list", "table", family, name))
              for family, name in network_survey.TABLES]
    engine = output(module, "systemctl", "show", "--property", "Requires,After", "docker.service")
    ties = dict(line.split("=", 1) for line in engine.splitlines() if "=" in line)
    loaded = output(module, "systemctl", "show", "--property", "Id,StatusText,NeedDaemonReload", "docker.service", unit)
    module.exit_json(
        changed=False, networks=[found[name] for name in names if name in found], tables=tables,
        recorded=ours, unnamed=unnamed, in_the_way=in_the_way, differing=network_survey.differing(module.params["definitions"], found),
        on_them=["%s on %s" % (one["name"], name) for one in around if not one["ours"] for name in in_the_way if name in one["networks"]],
        state=output(module, "systemctl", "show", "--property", "ActiveState", "--value", unit).strip(),
        status=network_survey.status(loaded, unit), needs_reload="NeedDaemonReload=yes" in loaded.splitlines(),
        engine_ties=[name for name in ("Requires", "After") if unit in ties.get(name, "").split()])


if __name__ == "__main__":
    main()

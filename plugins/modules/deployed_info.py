#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of ours that a host has, whatever the inventory says."""
from __future__ import annotations

DOCUMENTATION = r"""
module: deployed_info
short_description: Read which services of ours a host has, and which of them the inventory does not name
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - A service is there by its unit, by its files or by its container, whichever is left of it.
  - Changes nothing. What is not there is told as absent. An engine that does not answer is told, and is no error; units and files count all the same.
options:
  names:
    description: Services that the inventory names.
    type: list
    elements: str
    required: true
  folder:
    description: Folder of the resolved services.
    type: path
    required: true
  label:
    description: The label under which a container of ours carries what it was made by.
    type: str
    required: true
  units:
    description: Folder of the units.
    type: path
    default: /etc/systemd/system
  docker_host:
    description: The engine's Unix socket.
    type: str
    default: unix:///var/run/docker.sock
requirements:
  - root on the engine's host
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look which services this host has
  protocol_omni.bunker.deployed_info:
    names: [oracle, executor]
    folder: /etc/protocol_omni/services
    label: protocol_omni.bunker.definition
  register: deployed
"""

RETURN = r"""
services:
  description: The services that are there, by name.
  returned: success
  type: list
  elements: dict
  contains: &service
    name: {description: Its name., type: str}
    unit: {description: "Its unit, empty for none.", type: str}
    files: {description: Its files in O(folder)., type: list, elements: str}
    container: {description: Whether it has a container., type: bool}
    running: {description: Whether that runs., type: bool}
unnamed:
  description: Those of them that O(names) does not have.
  returned: success
  type: list
  elements: dict
  contains: *service
taken:
  description: Those of O(names) that a container of others has, where no service of that name is there yet. Its first start would remove that container.
  returned: success
  type: list
  elements: str
containers:
  description: All containers, also those of others.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    ours: {description: Whether it has O(label)., type: bool}
    running: {description: Whether it runs., type: bool}
    networks: {description: "Its networks with its address on each, empty for none.", type: dict}
engine:
  description: Why the engine told nothing, empty where it did.
  returned: success
  type: str
"""

import os  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import deployed, small_file  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client  # noqa: E402


def names_in(folder):
    """Names of a folder's entries, none where there is no such folder."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_second_name(folder, name):
    """Whether a unit is a link to another unit of ours in that folder (systemctl enable makes one of Alias=): stopping it would stop that one."""
    target = os.path.realpath(os.path.join(folder, name))
    other = os.path.basename(target)
    return os.path.dirname(target) == os.path.realpath(folder) and other != name and bool(deployed.UNIT_NAME.fullmatch(other))


def main():
    module = AnsibleModule(argument_spec={
        "names": {"type": "list", "elements": "str", "required": True}, "folder": {"type": "path", "required": True},
        "label": {"type": "str", "required": True}, "units": {"type": "path", "default": "/etc/systemd/system"},
        "docker_host": {"type": "str", "default": client.DEFAULT_HOST}}, supports_check_mode=True)
    given, engine, listed = module.params, "", []
    try:
        listed = client.get(given["docker_host"], "/containers/json?all=1") or []
    except client.EngineError as error:
        engine = str(error)
    try:
        units = {name: small_file.seen(os.path.join(given["units"], name)) for name in names_in(given["units"])
                 if deployed.UNIT_NAME.fullmatch(name) and not is_second_name(given["units"], name)}
        files = names_in(given["folder"])
    except OSError as error:
        module.fail_json(msg="The services were not looked at: %s. It needs root." % error)
    found = deployed.containers(listed, given["label"])
    there = deployed.services(units, files, found, given["label"])
    module.exit_json(changed=False, services=there, unnamed=deployed.unnamed(there, given["names"]),
                     taken=deployed.taken(there, found, given["names"]), containers=found, engine=engine)


if __name__ == "__main__":
    main()

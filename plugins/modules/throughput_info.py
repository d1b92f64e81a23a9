#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processor's topology and what was measured of its services."""
from __future__ import annotations

DOCUMENTATION = r"""
module: throughput_info
short_description: Read a host's processor topology and what was measured of its services
version_added: 0.5.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads which CPUs a host has and what they share, and the results that the role P(protocol_omni.bunker.throughput#role) left.
  - What a host does not tell is taken as one core a CPU, one socket, one NUMA node and one cache.
  - With O(label), also which containers of measurements are there, and whether a measurement is being made.
options:
  path:
    description: The local fact that holds the results.
    type: path
    default: /etc/ansible/facts.d/protocol_omni_throughput.fact
  label:
    description: The label of the containers of a measurement. Empty does not ask the engine.
    type: str
    default: ""
    version_added: 0.6.0
  lock:
    description: The file that a measurement holds locked while it is made.
    type: path
    default: /var/lib/protocol_omni/throughput/state.json.lock
    version_added: 0.6.0
  docker_host:
    description: The engine's Unix socket.
    type: str
    default: unix:///var/run/docker.sock
    version_added: 0.6.0
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Read the processor and what was measured on it
  protocol_omni.bunker.throughput_info:
  register: throughput
"""

RETURN = r"""
cpus:
  description: Each CPU that is online with C(cpu), C(core), C(socket), C(node) and C(l3) (its last-level cache, -1 where unknown).
  returned: success
  type: list
  elements: dict
cache:
  description: Bytes of all last-level caches together, null where the host does not say.
  returned: success
  type: int
node_memory:
  description: Bytes of memory of each NUMA node.
  returned: success
  type: dict
fingerprint:
  description: What makes a result stale when it changes - C(cpu), C(sockets), C(cores), C(threads), C(nodes), C(memory_speed).
  returned: success
  type: dict
measured:
  description: What was measured last, as the local fact holds it. Empty where nothing was.
  returned: success
  type: dict
containers:
  description: Names of the containers that have O(label), also of those that do not run.
  returned: with O(label)
  type: list
  elements: str
engine:
  description: Why the engine told nothing of them, empty where it did.
  returned: with O(label)
  type: str
measuring:
  description: Whether a measurement is being made.
  returned: with O(label)
  type: bool
"""

import fcntl

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils import deployed, small_file
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import reading


def locked(path):
    """Whether another process holds the file locked."""
    try:
        with open(path, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def of_measurements(label, lock, docker_host):
    """Which containers of measurements are there, and whether one is being made."""
    found, engine = [], ""
    try:
        found = [one["name"] for one in deployed.containers(client.get(docker_host, "/containers/json?all=1") or [], label) if one["ours"]]
    except client.EngineError as error:
        engine = str(error)
    return {"containers": found, "engine": engine, "measuring": locked(lock)}


def main():
    module = AnsibleModule(argument_spec={
        "path": {"type": "path", "default": "/etc/ansible/facts.d/protocol_omni_throughput.fact"}, "label": {"type": "str", "default": ""},
        "lock": {"type": "path", "default": "/var/lib/protocol_omni/throughput/state.json.lock"},
        "docker_host": {"type": "str", "default": client.DEFAULT_HOST}}, supports_check_mode=True)
    given = module.params
    found = of_measurements(given["label"], given["lock"], given["docker_host"]) if given["label"] else {}
    module.exit_json(changed=False, measured=small_file.record(given["path"]), **found, **reading.host())


if __name__ == "__main__":
    main()

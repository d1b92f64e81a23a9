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
options:
  path:
    description: The local fact that holds the results.
    type: path
    default: /etc/ansible/facts.d/protocol_omni_throughput.fact
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
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils import small_file
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import reading


def main():
    module = AnsibleModule(argument_spec={"path": {"type": "path", "default": "/etc/ansible/facts.d/protocol_omni_throughput.fact"}}, supports_check_mode=True)
    module.exit_json(changed=False, measured=small_file.record(module.params["path"]), **reading.host())


if __name__ == "__main__":
    main()

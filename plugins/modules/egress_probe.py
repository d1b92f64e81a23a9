#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Isolation of a container, proven with packets."""
from __future__ import annotations

DOCUMENTATION = r"""
module: egress_probe
short_description: Prove with packets that a container cannot initiate anything
version_added: 0.2.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Makes some thirty attempts to get out of a running container, from inside its network namespace, and counts who hears them. Nothing in the
    image is needed, neither a shell nor curl.
  - The outside world is made for it, a namespace with a documentation address (RFC 5737) and ears; no packet leaves the host. Nothing of it has
    a name, so that the kernel removes it when the module ends, however it ends.
  - Each attempt has a positive control, the same attempt by an unrestricted caller on the same bridge. Where that one is not heard either, the
    attempt is C(unproven), not blocked.
  - The attempts stand in C(plugins/module_utils/egress_probe/attempts.py).
options:
  container:
    description: Name or ID of a running container on bridge networks.
    type: str
    required: true
  outside_subnet:
    description: The addresses of the outside world while the probe runs. A documentation subnet that the host has no route to.
    type: str
    default: 198.51.100.0/24
  docker_host:
    description: The engine's Unix socket.
    type: str
    default: unix:///var/run/docker.sock
requirements:
  - root on the engine's host
  - iproute2
attributes:
  check_mode:
    support: full
notes:
  - Takes about two seconds. Makes devices and routes of its own for so long and changes nothing else.
"""

EXAMPLES = r"""
- name: Prove that the Oracle is isolated
  protocol_omni.bunker.egress_probe:
    container: oracle
  register: probed

- name: Refuse one that is not
  ansible.builtin.assert:
    that: probed.isolated
"""

RETURN = r"""
isolated:
  description: Whether every attempt that applies was observed as expected.
  returned: success
  type: bool
attempts:
  description:
    - Each attempt with its C(network), what was C(expected) and C(observed) (C(blocked), C(passed), C(answered) or C(unproven)), how often it was
      C(heard), how often its control was (C(control_heard)), the C(evidence) in words, and C(does_not_apply), the reason why it was not made.
  returned: success
  type: list
  elements: dict
failing:
  description: The attempts that were observed otherwise than expected.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.docker_engine import DEFAULT_HOST  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.egress_probe.container import OUTSIDE, NotProbed, probed  # noqa: E402


def main():
    module = AnsibleModule(
        argument_spec={
            "container": {"type": "str", "required": True},
            "outside_subnet": {"type": "str", "default": OUTSIDE},
            "docker_host": {"type": "str", "default": DEFAULT_HOST},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        found = probed(given["container"], given["docker_host"], given["outside_subnet"])
    except NotProbed as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()

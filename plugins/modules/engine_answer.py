#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine that answers, and whether it is new enough."""
from __future__ import annotations

DOCUMENTATION = r"""
module: engine_answer
short_description: See that the container engine answers and is new enough
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Asks the engine for its version. One that is silent or too old fails the task, but not in check mode, where it may not be installed yet.
options:
  minimum:
    description: The oldest version that will do, such as V(25.0).
    type: str
    required: true
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
- name: Ask the engine for its version
  protocol_omni.bunker.engine_answer: {minimum: "25.0"}
  register: engine
"""

RETURN = r"""
answers:
  description: Whether it answers.
  returned: success
  type: bool
version:
  description: Its version, empty where it does not answer.
  returned: success
  type: str
"""

import re  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client  # noqa: E402


def numbers(version):
    """A version's leading numbers, by which versions are compared: 29.0.0-rc.1 is (29, 0, 0)."""
    return tuple(map(int, re.match(r"[0-9]*(?:[.][0-9]+)*", version).group().split("."))) if re.match("[0-9]", version) else ()


def main():
    module = AnsibleModule(argument_spec={"minimum": {"type": "str", "required": True}, "docker_host": {"type": "str", "default": client.DEFAULT_HOST}},
                           supports_check_mode=True)
    minimum, version, why = module.params["minimum"], "", ""
    try:
        version = str((client.get(module.params["docker_host"], "/version") or {}).get("Version") or "")
    except client.EngineError as error:
        why = str(error)
    if not module.check_mode and numbers(version) < numbers(minimum):
        module.fail_json(msg="The Docker engine %s; needed is %s or newer. See: systemctl status docker" % (
            "is " + version if version else "does not answer (%s)" % (why or "it says no version"), minimum))
    module.exit_json(changed=False, answers=bool(version), version=version)


if __name__ == "__main__":
    main()

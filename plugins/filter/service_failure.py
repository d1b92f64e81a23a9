# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: service_failure
short_description: Say in one sentence why a service did not start
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Names who holds one of its addresses, with the command that frees it; otherwise the line of its log that says why.
options:
  _input:
    description: Lines of the log of one start.
    type: list
    elements: str
    required: true
  service:
    description: The service's complete definition.
    type: dict
    required: true
  containers:
    description: All containers of the host, as M(protocol_omni.bunker.deployed_info) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Say why
  ansible.builtin.debug:
    msg: "{{ log.stdout_lines | protocol_omni.bunker.service_failure(service=definition, containers=deployed.containers) }}"
"""

RETURN = r"""
_value:
  description: Why, empty where nothing tells.
  type: str
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import service_failure as judged


def service_failure(lines, service, containers):
    """The cause of a failed start."""
    return ". ".join(judged.holders(service["name"], service.get("networks") or [], containers)) or judged.cause(lines)


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"service_failure": service_failure}

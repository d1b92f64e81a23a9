# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: from_the_start
short_description: Refuse a run that begins in the middle
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns what it is given, or fails where ansible-playbook was told C(--start-at-task). Stands in C(hosts) of a play, which Ansible reads before it
    leaves out tasks. Such a run would skip the judgement of inventory and host, the lock that keeps other plays out, and what earlier roles tell later ones.
options:
  _input:
    description: The hosts of a play.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Change the hosts
  hosts: "{{ 'all' | protocol_omni.bunker.from_the_start }}"
"""

RETURN = r"""
_value:
  description: The same.
  type: str
"""

from ansible import context
from ansible.errors import AnsibleFilterError


def from_the_start(hosts):
    """What it is given.

    :raises AnsibleFilterError: the run begins in the middle.
    """
    task = context.CLIARGS.get("start_at_task")
    if task:
        raise AnsibleFilterError("--start-at-task %s: the judgement of inventory and host would be skipped, and so would the lock that keeps other plays out, "
                                 "so nothing was changed. Run all of it (what is done already is quick), or one role: --tags ROLE "
                                 "(docs/architecture.md)." % task)
    return hosts


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"from_the_start": from_the_start}

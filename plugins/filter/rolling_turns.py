# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rolling_turns
short_description: In which order a rolling change takes its hosts
version_added: 0.7.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Orders hosts by the groups into which the role pool has put them. First come those that an earlier run held back, last the one that has the pool's address.
  - Within a group they come in the order of the inventory, since M(ansible.builtin.group_by) fills a group as hosts answer.
options:
  _input:
    description: The groups of the run, name to its hosts; V(all) among them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Deploy host by host
  hosts: "{{ groups | protocol_omni.bunker.rolling_turns }}"
  serial: 1
"""

RETURN = r"""
_value:
  description: Names of the hosts that are in one of the groups, each once.
  type: list
  elements: str
"""

TURNS = ("bunker_held", "bunker_next", "bunker_last")


def rolling_turns(groups):
    """The hosts in the order of TURNS, and of the inventory within each."""
    return [host for turn in TURNS for host in groups["all"] if turn in groups and host in groups[turn]]


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"rolling_turns": rolling_turns}

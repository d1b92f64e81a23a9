#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_draft
short_description: Read a host and write its inventory
version_added: 0.2.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads a host through M(protocol_omni.bunker.host_info), M(protocol_omni.bunker.disk_info) and M(protocol_omni.bunker.volume_info), before any driver or
    engine is there, and changes nothing on it.
  - Without O(answers) it returns what it read, and the questions that only a person can answer.
  - With them it chooses cards, models, subnets and places, asks registry and hub for digests, hashes and sizes, and writes C(hosts.yml) and
    C(group_vars/all/bunker.yml) on the controller. What nobody could tell is V(REPLACE) with the command that tells it, which validation refuses by name.
  - A file that a person edited is never written over. The draft is judged as M(protocol_omni.bunker.judge_host) would judge it, and the result is shown.
options:
  target:
    description: The host as ssh takes it, for messages.
    type: str
  name:
    description: Its name in the inventory.
    type: str
  folder:
    description: Folder of the inventory, on the controller.
    type: str
  connection:
    description: Variables of its connection, such as C(ansible_host).
    type: dict
    default: {}
  options:
    description: Options of ansible-playbook by which the host is reached, for the command that is shown at the end.
    type: str
    default: ""
  survey:
    description: What an earlier call returned as RV(survey); the host is not read again then, but for the room where data will lie.
    type: dict
  bandwidth:
    description: Measure the memory bandwidth too, which takes some seconds and keeps all cores busy. Without it no speed on the CPU is predicted.
    type: bool
    default: true
  answers:
    description: What a person has decided.
    type: dict
    suboptions:
      format_disks:
        description: Empty disks that C(site.yml) may format.
        type: list
        elements: str
        default: []
      allow_reboot:
        description: Whether C(site.yml) may reboot the host for the driver.
        type: bool
        default: false
      upgrade_driver:
        description: Whether C(site.yml) may replace a driver that is too old.
        type: bool
        default: false
      gateway_address:
        description: Address of the host on which the gateway listens; empty for loopback.
        type: str
        default: ""
      base:
        description: What the image stands on, as V(NAME@sha256:DIGEST) or as V(/PATH.tar@sha256:HASH) of an archive on the host; empty to ask the registry.
        type: str
        default: ""
      ca_bundle:
        description: File on the controller with authorities that the host needs besides its own; empty for none.
        type: str
        default: ""
      models:
        description: Models that a person named, by the service's name (V(oracle), V(executor)); the best that fits for the others.
        type: dict
        default: {}
      trust_keys:
        description: Fingerprints of keys that a person has compared with what their publisher says.
        type: list
        elements: str
        default: []
  update:
    description: Show the difference, and write files anew that this module wrote and nobody edited.
    type: bool
    default: false
  offline:
    description: Ask no registry and no hub.
    type: bool
    default: false
  hub:
    description: Address of the model hub.
    type: str
    default: https://huggingface.co
  base:
    description: Base image, with its tag.
    type: str
    default: debian:trixie-slim
  registry_scheme:
    description: Scheme of the base image's registry; http for one on loopback.
    type: str
    default: https
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Read a host
  protocol_omni.bunker.inventory_draft:
    target: root@192.0.2.7
  register: read

- name: Write its inventory
  protocol_omni.bunker.inventory_draft:
    target: root@192.0.2.7
    name: omni-two
    folder: /srv/bunker/inventory/omni-two
    connection: {ansible_host: 192.0.2.7, ansible_user: root}
    survey: "{{ read.survey }}"
    answers: {format_disks: [/dev/disk/by-id/nvme-EXAMPLE], allow_reboot: true}
"""

RETURN = r"""
survey:
  description: What the host is - C(host), C(disks), C(addresses) and C(system).
  returned: without answers
  type: dict
questions:
  description: Each question with C(name) (a key of O(answers)), C(text), C(kind) (V(yes), V(disks) or V(key)) and C(choices).
  returned: without answers
  type: list
  elements: dict
files:
  description: Each file with C(path), C(verdict) (V(write) or V(same)) and C(diff).
  returned: with answers
  type: list
  elements: dict
problems:
  description: What validation says of the inventory, placeholders among it; each with C(value), C(rule) and C(remedy).
  returned: with answers
  type: list
  elements: dict
findings:
  description: What preflight says of it, as of M(protocol_omni.bunker.judge_host).
  returned: with answers
  type: list
  elements: dict
origins:
  description: Why an origin did not tell a value.
  returned: with answers
  type: list
  elements: str
"""

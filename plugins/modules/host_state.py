#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Save what a host has besides its inventory to an encrypted archive, or bring it back
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - What belongs to it is listed in C(playbooks/files/host_state.yml). The archive is a text of ansible-vault below a line that says what it is; it is
    encrypted with the run's only vault password, or with that of the vault-id V(backup).
  - Contents travel on standard input and output of one program on the host. They are in no result, no argument, no log and no diff, and on the controller
    in nothing but memory and the archive.
  - Restoring puts all files in their places, or none. It refuses, by name and before anything changes, what is no archive, a newer format, a damaged one, a
    wrong password, an archive of another host, paths that are not in the list, and state of the host's own that would be lost.
options:
  state:
    description: Whether to save or to restore.
    type: str
    choices: [saved, restored]
    required: true
  archive:
    description: The archive on the controller, absolute. A file that is there is never overwritten.
    type: path
    required: true
  config_path:
    description: As C(bunker_config_path).
    type: path
    default: /etc/protocol_omni
  named:
    description: Files of the host that the inventory names, which belong to its state as well. Each must be there to be saved.
    type: list
    elements: path
    default: []
  host:
    description: Of which inventory host the archive is. The present one, unless said otherwise.
    type: str
  replace:
    description: Whether state of the host's own may be lost, which the archive has otherwise or not at all.
    type: bool
    default: false
attributes:
  check_mode:
    description: Opens and judges the archive, compares it with the host, and writes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Save the state
  protocol_omni.bunker.host_state:
    state: saved
    archive: "{{ playbook_dir }}/backups/oracle-1.bunker"

- name: Bring it back to a new machine of another name
  protocol_omni.bunker.host_state:
    state: restored
    archive: "{{ playbook_dir }}/backups/oracle-1.bunker"
    host: oracle-1
"""

RETURN = r"""
paths:
  description: What the archive holds.
  returned: success
  type: list
vault_id:
  description: Under which name the password was given.
  returned: when saved
  type: str
new:
  description: Files that were not there.
  returned: when restored
  type: list
replaced:
  description: Files that were there otherwise.
  returned: when restored
  type: list
removed:
  description: Files of the state that the archive does not have.
  returned: when restored
  type: list
unknown:
  description: Users and groups of the archive that the host does not have; in check mode, as they are an error else.
  returned: when restored
  type: list
"""

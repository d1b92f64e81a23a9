#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: written_unit
short_description: Have a unit run that this play may have written
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Starts and enables a unit as M(ansible.builtin.systemd_service) does. Check mode predicts a unit that this play would write first, which systemd does not
    know yet.
options:
  name:
    description: The unit.
    type: str
    required: true
  state:
    description: What it shall be.
    type: str
    choices: [started, restarted, reloaded]
    default: started
  is_new:
    description: Whether this play has written its file, or would.
    type: bool
    required: true
  daemon_reload:
    description: Whether systemd reads its units anew. By default it does where the unit is new.
    type: bool
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Start watching
  protocol_omni.bunker.written_unit:
    name: protocol-omni-vram-watch.service
    is_new: "{{ '/etc/systemd/system/protocol-omni-vram-watch.service' in written.written }}"
"""

RETURN = r"""
status:
  description: As M(ansible.builtin.systemd_service) returns it.
  returned: when the unit was looked at
  type: dict
"""

#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: play_lock
short_description: Keep a second play from a host
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Takes the lock of a host for this ansible-playbook, for all of its plays. Another one that runs is waited for, then refused by name.
  - A process that it leaves on the controller renews the lock while ansible-playbook lives, and ends it as soon as that has ended, by its end, a failure, an
    interrupt or a kill. Where the controller itself is gone, the lock ends once nothing was heard of it for O(lease) seconds.
  - A lock whose process on the same controller is no more is taken over at once, with a warning that names it.
options:
  path:
    description: The lock on the host. It lies where a start of the host ends it.
    type: path
    default: /run/protocol-omni-play.lock
  wait:
    description: Seconds for which another play is waited for.
    type: int
    default: 10
  lease:
    description: Seconds after which a lock that nobody has renewed is nobody's.
    type: int
    default: 300
attributes:
  check_mode:
    description: Takes nothing, and warns where another play is at work.
    support: full
"""

EXAMPLES = r"""
- name: Keep other plays from this host
  protocol_omni.bunker.play_lock:
"""

RETURN = r"""
former:
  description: Whose lock was taken over, or in check mode who is at work; empty for nobody.
  returned: success
  type: str
"""

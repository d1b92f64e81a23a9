#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: long_task
short_description: Run a module in the background and show how far it is
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Starts a module asynchronously on the host and shows at intervals what runs, since when, where its log is and the
    last line of it, until it ends. Returns what the module returned.
  - Where the module fails because somebody else holds a lock of apt, it is run again for as many seconds as the C(lock_timeout) of its arguments says.
    M(ansible.builtin.apt) itself does not wait for the lock of apt's lists on a host without python3-apt.
options:
  title:
    description: What runs, for a person.
    type: str
    required: true
  module:
    description: The module to run, by its fully qualified name.
    type: str
    required: true
  arguments:
    description: The module's arguments.
    type: dict
    required: true
  watch:
    description: A file on the host. The last line of a C(.log) file is shown, of any other file its size.
    type: path
    required: true
  timeout:
    description: Seconds after which the task fails.
    type: int
    default: 14400
  interval:
    description: Seconds between two lines of progress.
    type: int
    default: 15
attributes:
  check_mode:
    support: full
    details: Predicts a change without asking the module. Call it only where there is work to do.
"""

EXAMPLES = r"""
- name: Build
  protocol_omni.bunker.long_task:
    title: Build of the image
    module: ansible.builtin.shell
    arguments:
      cmd: make > /var/log/build.log 2>&1
    watch: /var/log/build.log
"""

RETURN = r"""
msg:
  description: What went wrong, or in check mode what would run. Everything else is the module's own return.
  returned: failure or check mode
  type: str
"""

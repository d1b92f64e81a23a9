#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""
from __future__ import annotations

DOCUMENTATION = r"""
module: system_packages
short_description: Install packages of the distribution that are missing
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Looks which packages are installed and installs the others, by M(ansible.builtin.apt), without what they recommend, and shows how far that is.
  - Looking needs nothing but dpkg. M(ansible.builtin.apt) itself cannot predict on a host that lacks python3-apt.
  - apt's lock is waited for as long as C(bunker_apt_lock_timeout) says.
options:
  name:
    description: Names of packages.
    type: list
    elements: str
    required: true
  start:
    description: Whether services of these packages may start when they are installed.
    type: bool
    default: true
  mask:
    description:
      - Units such as V(prometheus.service) that are masked before a missing package of their name is installed, so that they never start.
      - A unit file of that name that is there already stays as it is.
    type: list
    elements: str
    default: []
  disable:
    description: Units such as V(nginx.service) that do not start at boot where the package of their name was missing and came just now.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds after which the installation fails.
    type: int
    default: 1800
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Install nginx, which is configured before it starts
  protocol_omni.bunker.system_packages:
    name: [nginx, openssl]
    start: false
"""

RETURN = r"""
missing:
  description: Packages that were not installed.
  returned: success
  type: list
msg:
  description: What would be installed, or why it could not be.
  returned: check mode or failure
  type: str
"""

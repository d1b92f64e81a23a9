# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: systemd_quote
short_description: Quote one word for an Exec line of a systemd unit
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Escapes what systemd would expand or split, as systemd.service(5) says.
options:
  _input:
    description: The word.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Quote a word
  ansible.builtin.debug:
    msg: "{{ '50%' | protocol_omni.bunker.systemd_quote }}"
"""

RETURN = r"""
_value:
  description: The quoted word.
  type: str
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.service_plan import systemd_quote


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"systemd_quote": systemd_quote}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_command
short_description: The command that makes the gateway's own certificate
version_added: 0.7.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - The command line of C(openssl req) that makes a key and a certificate which nobody else signed, quoted for a shell.
  - The certificate is a server's alone and no authority's, for clients that take none of an authority from a server (those with rustls, Codex among them).
positional: names, key, pem
options:
  _input:
    description: Common name.
    type: str
    required: true
  names:
    description: Names and addresses that it is for, such as V(DNS:example.com) and V(IP:192.0.2.1).
    type: list
    elements: str
    required: true
  key:
    description: Path that the key is written to.
    type: str
    required: true
  pem:
    description: Path that the certificate is written to.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Make a certificate
  ansible.builtin.command: "{{ inventory_hostname | protocol_omni.bunker.certificate_command(['IP:127.0.0.1'], 'own.key', 'own.pem') }}"
"""

RETURN = r"""
_value:
  description: The command line.
  type: str
"""

import shlex

from ansible_collections.protocol_omni.bunker.plugins.module_utils.key_rotation import certificate_command


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"certificate_command": lambda subject, names, key, pem: shlex.join(certificate_command(subject, names, key, pem))}

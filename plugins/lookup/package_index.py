# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: package_index
short_description: The Python package index that the controller uses
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns the address of the index that pip on the controller is configured for, or pip's own default.
options:
  _terms:
    description: V(auto), or an address that is returned as it is.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the index
  ansible.builtin.debug:
    msg: "{{ lookup('protocol_omni.bunker.package_index', 'auto') }}"
"""

RETURN = r"""
_raw:
  description: The address of the index's simple API.
  type: list
  elements: str
"""

import subprocess
import sys

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

# pip has no command that prints its default; the constant has had this name since pip 18.
_ASK_PIP = """
import os, subprocess, sys
index = os.environ.get("PIP_INDEX_URL") or subprocess.run(
    [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True).stdout.strip()
if not index:
    from pip._internal.models.index import PyPI
    index = PyPI.simple_url
print(index)
"""


class LookupModule(LookupBase):
    """Looks up the controller's package index."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        return [self.resolve(term) for term in terms]

    @staticmethod
    def resolve(term):
        if term != "auto":
            return term
        answer = subprocess.run([sys.executable, "-c", _ASK_PIP], capture_output=True, text=True, check=False)
        if answer.returncode:
            raise AnsibleLookupError("bunker_package_index is auto, and %s has no pip to ask: set it to the address of a package index."
                                     % sys.executable)
        return answer.stdout.strip()

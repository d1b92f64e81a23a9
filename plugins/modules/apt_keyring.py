#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository's key, judged before it is trusted."""
from __future__ import annotations

DOCUMENTATION = r"""
module: apt_keyring
short_description: Bring a repository's key to the host if its fingerprint is the expected one
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Fetches an OpenPGP key, compares its fingerprint, and only then writes it as a keyring for C(Signed-By) of a repository.
  - A file that holds more than the one expected key is refused.
  - Nothing is fetched where the keyring already holds that key. Remove the file to fetch a prolonged key anew.
options:
  url:
    description: Where the key is, armored or binary.
    type: str
    required: true
  fingerprint:
    description: The expected fingerprint, 40 hexadecimal digits. Spaces do not matter.
    type: str
    required: true
  path:
    description: The keyring to write, in binary form. Its folder must exist.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    details: Fetches and judges the key also in check mode, and writes nothing.
"""

EXAMPLES = r"""
- name: Trust the repository's key
  protocol_omni.bunker.apt_keyring:
    url: https://packages.example.net/key.asc
    fingerprint: 0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567
    path: /usr/share/keyrings/example.gpg
"""

RETURN = r"""
fingerprints:
  description: Fingerprints of the primary keys that were found.
  returned: success, and when the fingerprint is refused
  type: list
  elements: str
"""

import os  # noqa: E402
import re  # noqa: E402
import tempfile  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible.module_utils.urls import fetch_url  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import openpgp, small_file  # noqa: E402


def known(content):
    """The fingerprints of a keyring, none of one that cannot be read."""
    try:
        return openpgp.fingerprints(content)
    except openpgp.OpenPGPError:
        return []


def main():
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "fingerprint": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    url, path, wanted = module.params["url"], module.params["path"], openpgp.normalized(module.params["fingerprint"])
    if not re.match(r"^[0-9A-F]{40}$", wanted):
        module.fail_json(msg="fingerprint '%s': a fingerprint is 40 hexadecimal digits. See it with: curl -fsSL %s | gpg --show-keys"
                             % (module.params["fingerprint"], url))
    if known(small_file.content(path)) == [wanted]:
        module.exit_json(changed=False, fingerprints=[wanted])
    response, answer = fetch_url(module, url, timeout=60)
    if response is None or answer.get("status") not in (200, None):
        module.fail_json(msg="The key at %s cannot be fetched: %s" % (url, answer.get("msg")))
    content = response.read()
    try:
        found = openpgp.fingerprints(content)
    except openpgp.OpenPGPError as error:
        module.fail_json(msg="What is at %s is no OpenPGP key: %s." % (url, error))
    if found != [wanted]:
        module.fail_json(fingerprints=found, msg="The key at %s has the fingerprint %s; the inventory expects %s. It is not trusted and nothing was changed. "
                         "Compare with what the vendor publishes, then correct the inventory: curl -fsSL %s | gpg --show-keys"
                         % (url, ", ".join(found) or "(it holds no key)", wanted, url))
    if not module.check_mode:
        handle, temporary = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(handle, "wb") as stream:
            stream.write(openpgp.dearmor(content))
        os.chmod(temporary, 0o644)
        module.atomic_move(temporary, path)
    module.exit_json(changed=True, fingerprints=found)


if __name__ == "__main__":
    main()

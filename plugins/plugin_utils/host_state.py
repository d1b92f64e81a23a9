# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a host's state (playbooks/files/host_state.yml) and the encrypted archive of it. Runs on the controller only.

An archive is one line of text, which says what it is, and below it a text of ansible-vault::

    protocol_omni.bunker backup; format 1; sha256 HEX OF WHAT FOLLOWS
    $ANSIBLE_VAULT;1.1;AES256
    ...

The hash tells a damaged archive from a wrong password, which ansible-vault cannot. ``tail -n +2 ARCHIVE | ansible-vault view -`` shows that the rest is
nothing but a vault. What is encrypted is JSON, compressed by zlib.
"""
from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import json
import os
import pathlib
import re
import zlib

import yaml

from ansible.parsing.vault import AnsibleVaultError, VaultLib

FORMAT = 1
LIST = pathlib.Path(__file__).resolve().parents[2] / "playbooks" / "files" / "host_state.yml"
CONFIG = "/etc/protocol_omni"
"""What the list and archives write for bunker_config_path."""
ROOTS = [CONFIG, "/var/lib/protocol_omni", "/etc/ansible/facts.d"]
_HEAD = re.compile(rb"protocol_omni\.bunker backup; format ([0-9]{1,6}); sha256 ([0-9a-f]{64})\n")
_LIMIT = 512 * 1024 * 1024


def the_list():
    """playbooks/files/host_state.yml as a dict of three lists."""
    return yaml.safe_load(LIST.read_text(encoding="utf-8"))


def matches(pattern, path):
    """Whether a path is one of the list: name by name, so that ``*`` stands for no slash."""
    wanted, found = pattern.split("/"), path.split("/")
    return len(wanted) == len(found) and all(fnmatch.fnmatchcase(name, part) for part, name in zip(wanted, found))


def kind_of(path, listed=None):
    """``carried``, ``stays`` or ``derived``; "" for a path that the list does not have."""
    listed = listed or the_list()
    return next((kind for kind in ("carried", "stays", "derived") for entry in listed[kind] if matches(entry["path"], path)), "")


def on_host(path, config):
    """Where a path of the list lies on a host whose bunker_config_path this is."""
    return config + path[len(CONFIG):] if path.startswith(CONFIG + "/") or path == CONFIG else path


def in_archive(path, config):
    """The other way round."""
    return CONFIG + path[len(config):] if path.startswith(config + "/") else path


def outside(entries, named):
    """Paths that no archive may bring.

    :param named: list of paths that the inventory names (keys of providers, certificates).
    """
    listed = the_list()
    return [path for path in (entry["path"] for entry in entries)
            if os.path.normpath(path) != path or not (path in named or kind_of(path, listed) == "carried")]


def secret_for(secrets):
    """With which of the run's vault passwords an archive is encrypted: the only one, or that of the vault-id ``backup``.

    :param secrets: list of (id, secret), as Ansible's loader has them.
    :returns: (id, secret).
    :raises ValueError: there is none, or it cannot be told which.
    """
    named = [pair for pair in secrets if pair[0] == "backup"] or list(secrets)
    if not named:
        raise ValueError("There is no password for the archive. Run this again with --vault-id backup@prompt, or with --vault-id backup@FILE, "
                         "whose first line is it.")
    if len(named) > 1:
        raise ValueError("This run has several vault passwords (%s), and none of them is called backup. Add --vault-id backup@prompt."
                         % ", ".join(str(name) for name, _secret in named))
    return named[0]


def seal(content, secrets):
    """The archive's bytes.

    :param content: dict with host, files and folders.
    :raises ValueError: :func:`secret_for`.
    """
    name, secret = secret_for(secrets)
    plain = zlib.compress(json.dumps(dict(content, format=FORMAT)).encode("utf-8"))
    body = VaultLib([(name, secret)]).encrypt(base64.b64encode(plain), secret=secret)
    return b"protocol_omni.bunker backup; format %d; sha256 %s\n" % (FORMAT, hashlib.sha256(body).hexdigest().encode("ascii")) + body


def _newer(found):
    return ValueError("The archive has format %d; this collection reads format %d. Use the version of the collection that wrote it, "
                      "or a newer one." % (found, FORMAT))


def _plain(body, secrets):
    """The JSON of an archive whose hash was right.

    :raises ValueError: none of the passwords opens it, or it is damaged all the same.
    """
    secret_for(secrets)
    try:
        opened = VaultLib(list(secrets)).decrypt(body)
    except AnsibleVaultError:
        raise ValueError("None of this run's vault passwords opens the archive; it is whole, so the password is a wrong one. "
                         "Give that of the backup: --vault-id backup@prompt.") from None
    try:
        engine = zlib.decompressobj()
        plain = engine.decompress(base64.b64decode(opened, validate=True), _LIMIT)
        if engine.unconsumed_tail:
            raise ValueError("more than %d bytes" % _LIMIT)
        return json.loads(plain)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise ValueError("The archive opens and is not one of this collection inside: %s." % error) from None


def _is_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _well_formed(entry, with_content):
    """Whether an entry of an archive is what :func:`restored` takes."""
    if not (isinstance(entry, dict) and all(isinstance(entry.get(name), str) and entry[name] for name in ("path", "owner", "group"))):
        return False
    if not _is_number(entry.get("mode")) or not 0 <= entry["mode"] <= 0o777 or not entry["path"].startswith("/"):
        return False
    if not with_content:
        return True
    try:
        return hashlib.sha256(base64.b64decode(entry.get("content"), validate=True)).hexdigest() == entry.get("sha256")
    except (TypeError, ValueError):
        return False


def unseal(text, secrets):
    """What an archive holds.

    :param text: bytes of the archive.
    :param secrets: list of (id, secret).
    :returns: dict with host, files and folders, each entry well formed.
    :raises ValueError: by name: no archive, a newer format, damaged, no password, a wrong one.
    """
    head = _HEAD.match(text)
    if not head:
        raise ValueError("The file is no archive of protocol_omni.bunker: its first line is not 'protocol_omni.bunker backup; ...'. Was another file meant?")
    body = text[head.end():]
    if int(head[1]) > FORMAT:
        raise _newer(int(head[1]))
    if hashlib.sha256(body).hexdigest().encode("ascii") != head[2]:
        raise ValueError("The archive is damaged: what it holds has not the SHA-256 of its first line. Take another copy of it.")
    content = _plain(body, secrets)
    if not isinstance(content, dict) or not _is_number(content.get("format")):
        raise ValueError("The archive opens and is not one of this collection inside.")
    if content["format"] > FORMAT:
        raise _newer(content["format"])
    files, folders = content.get("files"), content.get("folders")
    if not isinstance(content.get("host"), str) or not isinstance(files, list) or not isinstance(folders, list):
        raise ValueError("The archive opens and lacks host, files or folders inside.")
    odd = [str(entry.get("path") if isinstance(entry, dict) else entry)[:200] for entries, whole in ((files, True), (folders, False)) for entry in entries
           if not _well_formed(entry, whole)]
    if odd:
        raise ValueError("The archive opens, and what it says of %s is not whole (path, mode, owner, group, content and its SHA-256)." % ", ".join(odd))
    paths = [entry["path"] for entry in files]
    if len(set(paths)) != len(paths):
        raise ValueError("The archive has a path twice.")
    return content


def with_hashes(files):
    """Entries as a host collected them, each with the SHA-256 of its content."""
    return [dict(entry, sha256=hashlib.sha256(base64.b64decode(entry["content"])).hexdigest()) for entry in files]

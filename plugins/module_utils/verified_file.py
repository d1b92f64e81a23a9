# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files whose SHA-256 is verified once and remembered.

The record beside a file (``NAME.verified``) holds its hash with inode, size, mtime and ctime. As long as they agree the
file is not read again; ctime cannot be set back by a user, so a file that was replaced or rewritten under its old times
is noticed. The device's number is no part of it: it may be another one after the next boot.

The units of the services run this file as a program before each start:

    python3 verified_file.py STORE PATH SHA256 [PATH SHA256 ...]

It exits with 1, and a line for each, where a file is not the one that was verified, or lies outside of STORE. It reads
no file's content: a model of 300 GB would hold up the start for minutes.
"""
from __future__ import annotations

import hashlib
import json
import os
import sys

_BLOCK = 4 * 1024 * 1024


def record_path(path):
    """Where the record of a file lies."""
    return path + ".verified"


def identity(path):
    """What tells a file from one that replaced it: inode, size, mtime_ns and ctime_ns."""
    status = os.stat(path)
    return {"inode": status.st_ino, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}


def misplaced(store, path):
    """Why a file of a store may not be used: "" for a file where its path says; a link that leads elsewhere is named with where it leads.

    :param store: folder below which the files lie; it may be a link itself.
    """
    wanted = os.path.join(os.path.realpath(store), os.path.relpath(path, store))
    found = os.path.realpath(path)
    return "" if found == wanted else "it leads to %s by a link" % found


def sha256_of(path):
    """SHA-256 of a file's content, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def remembered(path, sha256):
    """Whether the record says that this very file was verified against this hash."""
    try:
        with open(record_path(path), encoding="utf-8") as stream:
            record = json.load(stream)
        return record == dict(identity(path), sha256=sha256)
    except (OSError, ValueError):
        return False


def remember(path, sha256):
    """Write the record of a file that was just verified."""
    temporary = record_path(path) + ".part"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(dict(identity(path), sha256=sha256), stream, sort_keys=True)
    os.replace(temporary, record_path(path))


def main(words):
    """The program; returns its exit code."""
    store, pairs = words[0], list(zip(words[1::2], words[2::2]))
    wrong = 0
    for path, sha256 in pairs:
        reason = misplaced(store, path)
        if not reason and not os.path.exists(path):
            reason = "it is not there"
        elif not reason and not remembered(path, sha256):
            reason = "it is not the file that was verified (its inode, size, mtime or ctime is another, or its hash in the inventory)"
        if reason:
            wrong = 1
            sys.stderr.write("%s is not served: %s. Run site.yml: it reads the file again and says whether it is the inventory's.\n" % (path, reason))
    return wrong


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

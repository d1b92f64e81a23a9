# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files whose SHA-256 is verified once and remembered.

The record beside a file (``NAME.verified``) holds its hash with device, inode, size, mtime and ctime. As long as
they agree the file is not read again; ctime cannot be set back by a user, so a file that was replaced or rewritten
under its old times is noticed.
"""
from __future__ import annotations

import hashlib
import json
import os

_BLOCK = 4 * 1024 * 1024


def record_path(path):
    """Where the record of a file lies."""
    return path + ".verified"


def identity(path):
    """What tells a file from one that replaced it: device, inode, size, mtime_ns and ctime_ns."""
    status = os.stat(path)
    return {"device": status.st_dev, "inode": status.st_ino, "size": status.st_size,
            "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}


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

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the kernel, of configurations and of what was noted, which may be absent. cuda_readiness has its own, as it also runs without this collection."""
from __future__ import annotations

import json
import os


def content(path):
    """A small file's bytes, none of one that cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def text(path):
    """A small file's text, an empty one of one that cannot be read.

    :raises UnicodeDecodeError: it is not UTF-8. Nothing is replaced, because some of these texts are written back.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return ""


def seen(path):
    """A small file's text to look at, an empty one of one that cannot be read. What is not UTF-8, as a mount's path may be, is replaced."""
    return content(path).decode("utf-8", "replace")


def record(path):
    """The JSON object that a file holds; {} where there is none, or none that can be read."""
    try:
        found = json.loads(text(path) or "{}")
    except ValueError:  # UnicodeDecodeError is one
        return {}
    return found if isinstance(found, dict) else {}


def write_record(path, content):
    """Writes a JSON object so that a reader, or a run after this one, finds the old or the new one, never a part. Makes its folder."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(path + ".new", path)

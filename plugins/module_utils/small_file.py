# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the kernel and of configurations, which may be absent. cuda_readiness has its own, because it also runs without this collection."""
from __future__ import annotations


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

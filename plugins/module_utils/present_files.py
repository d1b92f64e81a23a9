# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a role reads as they stand, to write them anew or back. What only looks at a host takes small_file. Standard library only."""
from __future__ import annotations


class Unreadable(Exception):
    """A file is there and cannot be read; the message names it and says why."""


def texts(paths):
    """Name to text; None for a file that is not there.

    :param paths: dict of name to path.
    :raises Unreadable: one is there and cannot be read, or is no UTF-8.
    """
    return {name: _text(path) for name, path in paths.items()}


def _text(path):
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable("%s cannot be read: %s" % (path, error)) from error

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gateway has of its user, its keys and its copies, and what of it is missing. Changes nothing. Standard library only."""
from __future__ import annotations

import glob
import os
import pwd
import stat

HOME, SHELL = "/nonexistent", "/usr/sbin/nologin"


def missing(folder, user, mark, copies):
    """What is not as the role makes it.

    :param folder: the gateway's folder.
    :param user: the gateway's user.
    :param mark: name of the file that says for which names the certificate was made, "" where the gateway makes none.
    :param copies: path of each copy in the folder ``given`` to the path that it is a copy of.
    :returns: list of str, for people; empty where nothing is to be done.
    :raises OSError: something is there and cannot be read.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return ["the user %s" % user]
    found = [] if (entry.pw_dir, entry.pw_shell) == (HOME, SHELL) else ["home or shell of the user %s" % user]
    given = os.path.join(folder, "given")
    found += [] if _is(folder, stat.S_ISDIR, 0o755) else [folder]
    found += [path for path in [os.path.join(folder, "operator.key")] + ([os.path.join(folder, mark)] if mark else []) if not os.path.exists(path)]
    found += [] if _is(given, stat.S_ISDIR, 0o700, entry.pw_uid) else [given]
    found += [copy for copy, source in copies.items() if not (_is(copy, stat.S_ISREG, 0o600, entry.pw_uid) and _content(copy) == _content(source))]
    return found + sorted(path for path in glob.glob(os.path.join(glob.escape(given), "*")) if path not in copies)


def _is(path, kind, mode, owner=None):
    try:
        seen = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return kind(seen.st_mode) and stat.S_IMODE(seen.st_mode) == mode and owner in (None, seen.st_uid)


def _content(path):
    with open(path, "rb") as stream:
        return stream.read()

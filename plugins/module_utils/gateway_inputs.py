# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the gateway is given, and why some cannot be used. Standard library only."""
from __future__ import annotations

import hashlib
import os
import stat

SHORTEST = 32  # bytes of a key that nobody guesses


def seen(given):
    """Each file that it is given, as it is there.

    :param given: list of dict of ``name``, ``key_file`` and ``secret``.
    :returns: list of dict of ``name``, ``path``, ``secret``, ``exists``, ``mode`` (octal, such as "0600"; links are followed) and ``sha256``, "" where it is
        not there or no file.
    """
    return [dict(_there(entry["key_file"]), name=entry["name"], path=entry["key_file"], secret=bool(entry["secret"])) for entry in given]


def _there(path):
    try:
        found = os.stat(path)
    except OSError:
        return {"exists": False, "mode": "", "sha256": ""}
    told = {"exists": True, "mode": "%04o" % stat.S_IMODE(found.st_mode), "sha256": ""}
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as stream:
            told["sha256"] = hashlib.sha256(stream.read()).hexdigest()
    return told


def size(path):
    """Bytes of a file, None where there is none."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return None


def refusals(operator_key, key_size, files):
    """Why it cannot work with what it is given, each a sentence with its remedy.

    :param operator_key: path of the operator's key.
    :param key_size: of :func:`size`.
    :param files: of :func:`seen`.
    """
    found = []
    if key_size is not None and key_size < SHORTEST:
        found.append("%s holds %d bytes; a key has %d or more. Remove it, and this role makes a new one." % (operator_key, key_size, SHORTEST))
    found += ["%(name)s: %(path)s is missing; it is a file of this host. Write it: install -m 0600 /dev/stdin %(path)s." % file
              for file in files if not file["exists"]]
    return found + ["%(name)s: %(path)s has mode %(mode)s; a key is a file that its owner alone can read. chmod 600 %(path)s." % file
                    for file in files if file["exists"] and file["secret"] and not file["mode"].endswith("00")]

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that remembers how long phases took."""
from __future__ import annotations

import json
import os
import stat
import tempfile

from .durations import is_time

LONGEST = 2 ** 22  # bytes; forty kinds of eleven phases are a hundredth of that


def _is_time(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and is_time(value)


def _is_record(record):
    of_phases = record.get("phases") if isinstance(record, dict) else None
    return isinstance(of_phases, dict) and all(
        isinstance(lists, dict) and all(isinstance(times, list) and all(map(_is_time, times)) for times in lists.values()) for lists in of_phases.values())


def read(path):
    """Records as durations.remember() made them; {} where there is no file.

    :raises ValueError: the file cannot be read, or is none of ours; with its path and the reason.
    """
    try:
        # A pipe that nobody writes to is not waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > LONGEST:
                raise ValueError("it is no file of at most %d bytes" % LONGEST)
            found = json.load(stream)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError("%s: %s" % (path, error)) from error
    if not isinstance(found, dict) or not all(map(_is_record, found.values())):
        raise ValueError("%s: it holds no times of phases" % path)
    return found


def write(path, records):
    """Writes the file: whole or not at all.

    :raises OSError: it cannot be written.
    """
    if "\0" in path:  # Python has a ValueError for it
        raise OSError("a path has no NUL: %r" % path)
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".durations-", delete=False, encoding="utf-8") as stream:
        try:
            json.dump(records, stream, indent=1)
            stream.close()
            os.replace(stream.name, path)
        except BaseException:
            os.unlink(stream.name)
            raise

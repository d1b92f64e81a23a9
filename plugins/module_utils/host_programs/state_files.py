# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host's state, and puts it back: all files or none. Runs on the host by itself, without Ansible.

The action plugin host_state sends this text, and then a request as JSON, on standard input: so no content of a file is ever on a command line, in a module's
arguments or in a temporary file. The answer is JSON on standard output; one with ``failed`` says why nothing was done.
"""
from __future__ import annotations

import base64
import glob
import grp
import hashlib
import json
import os
import pwd
import stat
import sys

PART = ".bunker-part"
BEFORE = ".bunker-before"
LIMIT = 64 * 1024 * 1024
"""Bytes of all files together. The state of a host is some hundred kB."""


def owner_of(found):
    """Names of a file's user and group; numbers as text where the host has no name for them."""
    try:
        user = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        user = str(found.st_uid)
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return user, group


def number(name, look):
    """The number of a user or group; None where the host does not have it."""
    try:
        return int(name) if name.isdigit() else look(name)
    except KeyError:
        return None


def user_number(name):
    return number(name, lambda wanted: pwd.getpwnam(wanted).pw_uid)


def group_number(name):
    return number(name, lambda wanted: grp.getgrnam(wanted).gr_gid)


def matches(patterns):
    """Paths that lie there, sorted; unfinished and former files of this program are none."""
    found = {path for pattern in patterns for path in glob.glob(pattern)}
    return sorted(path for path in found if not path.endswith((PART, BEFORE)))


def collect(patterns, folders):
    """Every file that a pattern matches, and the folders between it and those in which it lies.

    :param patterns: list of str, as glob takes them.
    :param folders: list of str; folders that are above all of them, and are not described themselves.
    :returns: dict with files (path, mode, owner, group, content in base64) and folders (the same without content).
    :raises ValueError: something that matches is no plain file, or all of it is larger than LIMIT.
    """
    files, parents, size = [], set(), 0
    for path in matches(patterns):
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("%s is not a plain file. State is plain files: look at what it is, and move it away." % path)
        size += found.st_size
        if size > LIMIT:
            raise ValueError("The state is larger than %d MiB with %s (%d bytes). Look at what it holds." % (LIMIT >> 20, path, found.st_size))
        with open(path, "rb") as stream:
            content = stream.read()
        user, group = owner_of(found)
        files.append({"path": path, "mode": stat.S_IMODE(found.st_mode), "owner": user, "group": group, "content": base64.b64encode(content).decode("ascii")})
        parent = os.path.dirname(path)
        while parent not in folders and parent != "/":
            parents.add(parent)
            parent = os.path.dirname(parent)
    described = []
    for path in sorted(parents):
        found = os.stat(path)
        user, group = owner_of(found)
        described.append({"path": path, "mode": stat.S_IMODE(found.st_mode), "owner": user, "group": group})
    return {"files": files, "folders": described}


def as_archived(entry):
    """Whether a file is there as the archive has it."""
    try:
        found = os.lstat(entry["path"])
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != entry["mode"] or owner_of(found) != (entry["owner"], entry["group"]):
            return False
        with open(entry["path"], "rb") as stream:
            return stream.read() == base64.b64decode(entry["content"])
    except OSError:
        return False


def compare(files, patterns):
    """What putting files in their places would do.

    :param patterns: what belongs to the state; other files that they match would go.
    :returns: dict with new, replaced, removed (lists of paths) and unknown (names of users and groups that this host does not have).
    :raises ValueError: a folder or a link lies where a file belongs.
    """
    wanted = [entry for entry in files if not as_archived(entry)]
    for entry in wanted:
        if os.path.islink(entry["path"]) or os.path.isdir(entry["path"]):
            raise ValueError("%s is a link or a folder here, and a file in the archive. Move it away." % entry["path"])
    there = [entry["path"] for entry in wanted if os.path.lexists(entry["path"])]
    ours = {entry["path"] for entry in files}
    unknown = {entry["owner"] for entry in files if user_number(entry["owner"]) is None}
    unknown |= {entry["group"] for entry in files if group_number(entry["group"]) is None}
    return {"new": [entry["path"] for entry in wanted if entry["path"] not in there], "replaced": there,
            "removed": [path for path in matches(patterns) if path not in ours], "unknown": sorted(unknown)}


def own(target, entry):
    """Gives a file or folder to whom the archive says. Where nobody but root may do that, only where it is not so yet."""
    user, group = user_number(entry["owner"]), group_number(entry["group"])
    if user is None or group is None:
        raise ValueError("%s: this host has no user %s or no group %s. Create them first." % (entry["path"], entry["owner"], entry["group"]))
    found = os.stat(target)
    if (found.st_uid, found.st_gid) != (user, group):
        os.chown(target, user, group)


def lay_out(entry):
    """Writes a file beside its place, complete; nobody but its owner reads it meanwhile."""
    part = entry["path"] + PART
    if os.path.lexists(part):
        os.unlink(part)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(base64.b64decode(entry["content"]))
        stream.flush()
        os.fsync(stream.fileno())
    own(part, entry)
    os.chmod(part, entry["mode"])


def make_folders(files, folders, made):
    """Makes the folders that are missing, as the archive describes them, and notes each in ``made``."""
    described = {entry["path"]: entry for entry in folders}
    missing = set()
    for entry in files:
        parent = os.path.dirname(entry["path"])
        while not os.path.isdir(parent):
            missing.add(parent)
            parent = os.path.dirname(parent)
    for path in sorted(missing):
        os.mkdir(path, 0o700)
        made.append(path)
        if path in described:
            own(path, described[path])
        os.chmod(path, described[path]["mode"] if path in described else 0o755)


def exchange(wanted, gone, moved):
    """Puts what was laid out in its place, and what goes aside; notes each place in ``moved`` before it is touched."""
    for path in [entry["path"] for entry in wanted] + gone:
        if os.path.lexists(path + BEFORE):
            os.unlink(path + BEFORE)
        if os.path.lexists(path):
            os.link(path, path + BEFORE)
        moved.append(path)
        if path in gone:
            os.unlink(path)
        else:
            os.replace(path + PART, path)


def lay(files, folders, patterns):
    """Puts files in their places and removes others of the state: all of it, or nothing.

    :returns: what :func:`compare` returned.
    :raises OSError, ValueError: it cannot be done; everything is as it was.
    """
    told = compare(files, patterns)
    wanted = [entry for entry in files if entry["path"] in told["new"] + told["replaced"]]
    made, moved = [], []
    try:
        make_folders(wanted, folders, made)
        for entry in wanted:
            lay_out(entry)
        exchange(wanted, told["removed"], moved)
    except BaseException:
        for path in reversed(moved):
            if os.path.lexists(path + BEFORE):
                os.replace(path + BEFORE, path)
            elif path in told["new"] and os.path.lexists(path):
                os.unlink(path)
        for entry in wanted:
            for leftover in (entry["path"] + PART, entry["path"] + BEFORE):
                if os.path.lexists(leftover):
                    os.unlink(leftover)
        for path in reversed(made):
            os.rmdir(path)
        raise
    for path in moved:
        if os.path.lexists(path + BEFORE):
            os.unlink(path + BEFORE)
    return told


def answer(request):
    """What the host says to a request of the action plugin."""
    try:
        if request["do"] == "collect":
            return collect(request["patterns"], request["folders"])
        digests = [entry["path"] for entry in request["files"] if hashlib.sha256(base64.b64decode(entry["content"])).hexdigest() != entry["sha256"]]
        if digests:
            raise ValueError("%s did not arrive as it was sent. Run this again." % ", ".join(digests))
        if request["do"] == "compare":
            return compare(request["files"], request["patterns"])
        return lay(request["files"], request["folders"], request["patterns"])
    except (OSError, ValueError) as error:
        return {"failed": str(error)}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)

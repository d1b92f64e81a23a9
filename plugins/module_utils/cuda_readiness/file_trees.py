# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where files come from: a folder, the layers of an overlay, an archive. All look the same to those who read them.

A tree is a root of its own. Links in it are resolved inside it, as a process sees them whose root it is, and no access leaves it: folders
are entered one name at a time without following links, so that nobody who changes the tree meanwhile leads a reader outside.
"""
from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import namedtuple

from .byte_source import ByteSource

MOST_LINKS = 40  # as the kernel's MAXSYMLINKS
#: kind: file, folder, link or other · mode: int, as in st_mode · size: int, bytes · target: of a link
Node = namedtuple("Node", "kind mode size target")
PSEUDO_FILE_SYSTEMS = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "debugfs", "tracefs", "securityfs", "pstore", "bpf",
                       "configfs", "fusectl", "binfmt_misc", "efivarfs", "autofs", "rpc_pipefs", "nsfs"}


def kind_of(mode):
    """The kind of a Node for a st_mode."""
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "other"


class Tree:
    """What the kinds of trees share: resolution of links.

    A subclass gives ``node(path)`` for a path without links in its folders (Node or None), ``open(path)`` for a regular file (a context
    manager that gives a ByteSource; OSError) and ``walk(path)`` (pairs of path and Node of every regular file beneath, each once).

    :ivar unread: list of str, folders and files that a walk could not look into, with the reason. :ivar left_out: list of str, folders that it passed over.
    """

    unread, left_out = (), ()

    def resolve(self, path):
        """A path of this tree with every link in it followed, inside the tree.

        :returns: (resolved path, Node), or (None, None) where it leads nowhere.
        """
        rest = [name for name in reversed(path.split("/")) if name not in ("", ".")]
        done, links, node = [], 0, Node("folder", 0o040755, 0, "")
        while rest:
            name = rest.pop()
            if name == "..":
                done = done[:-1]
                node = Node("folder", 0o040755, 0, "")
                continue
            if node.kind != "folder":
                return None, None
            node = self.node("/" + "/".join(done + [name]))
            if node is None:
                return None, None
            if node.kind == "link":
                links += 1
                if links > MOST_LINKS or not node.target:
                    return None, None
                if node.target.startswith("/"):
                    done = []
                rest += [part for part in reversed(node.target.split("/")) if part not in ("", ".")]
                node = Node("folder", 0o040755, 0, "")
            else:
                done.append(name)
        return "/" + "/".join(done), node

    def read_text(self, path, longest=1 << 20):
        """The text of a small file, or None where there is none."""
        resolved, node = self.resolve(path)
        if node is None or node.kind != "file" or node.size > longest:
            return None
        try:
            with self.open(resolved) as source:
                return os.fsdecode(source.read(0, source.size))
        except OSError:
            return None

    def close(self):
        """Gives back what the tree holds open."""


class FolderTree(Tree):
    """One folder, or several that lie over one another as an overlay file system mounts them.

    :param folders: list of str, the upmost first.
    :param skip_devices: set of int, st_dev of file systems that walk leaves out (proc, sysfs).
    """

    def __init__(self, folders, skip_devices=()):
        self.skip_devices = set(skip_devices)
        self._roots, self.unread, self.left_out = [], [], []
        try:
            for folder in folders:
                self._roots.append(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError:
            self.close()
            raise

    def close(self):
        for descriptor in self._roots:
            os.close(descriptor)
        self._roots = []

    @contextlib.contextmanager
    def _folder(self, path):
        """Descriptors of a folder in each layer that has a part in it, the upmost first; an empty list where it does not exist."""
        present = self._opened(path)
        try:
            yield present
        finally:
            _close(present)

    def _opened(self, path, present=None):
        """The descriptors of :meth:`_folder`, which the caller closes.

        :param present: descriptors from which the path goes on, closed here; None for those of the root.
        """
        present = [os.dup(descriptor) for descriptor in self._roots] if present is None else present
        for name in path.split("/"):
            if name:
                deeper = self._enter(present, name)
                _close(present)
                present = deeper
        return present

    def _enter(self, present, name):
        deeper = []
        for parent in present:
            try:
                state = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except OSError:
                continue
            if not stat.S_ISDIR(state.st_mode):
                break  # a file, or a whiteout: it hides what lies under it
            try:
                deeper.append(os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent))
            except OSError:
                break
            if len(present) > 1 and _is_opaque(name, parent):
                break
        return deeper

    def node(self, path):
        folder, name = os.path.split(path)
        with self._folder(folder) as present:
            return self._node(present, name)[0]

    @staticmethod
    def _node(present, name):
        """The Node of a name and the folder that it is in."""
        for parent in present:
            try:
                state = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if len(present) > 1 and _is_whiteout(state):
                    return None, None
                target = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(state.st_mode) else ""
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR):
                    continue
                return None, None
            return Node(kind_of(state.st_mode), state.st_mode, state.st_size, target), parent
        return None, None

    @contextlib.contextmanager
    def open(self, path):
        folder, name = os.path.split(path)
        with self._folder(folder) as present:
            parent = self._node(present, name)[1]
            if parent is None:
                raise FileNotFoundError(errno.ENOENT, "no such file", path)
            # NONBLOCK: a pipe that takes the file's place meanwhile must not hold us.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            yield ByteSource.of_file(descriptor)
        finally:
            os.close(descriptor)

    def walk(self, path="/"):
        waiting, here, present = [path.rstrip("/")], None, []
        try:
            while waiting:
                folder = waiting.pop()
                parent, name = os.path.split(folder)
                if here is not None and name and parent.rstrip("/") == here:  # one step down: a path of thousands of names is walked in as many steps
                    present = self._opened(name, present)
                else:
                    _close(present)
                    present = self._opened(folder)
                here = folder
                for found, node in self._listed(folder, present):
                    if node.kind == "folder":
                        waiting.append(found)
                    else:
                        yield found, node
        finally:
            _close(present)

    def _listed(self, folder, present):
        """Files and folders of one folder, in the order of their names: list of (path, Node)."""
        seen = {}
        if not present:
            self.unread.append("%s: the folder cannot be entered" % (folder or "/"))
        for parent in present:
            try:
                names = self._names(parent, folder)
            except OSError as error:
                self.unread.append("%s: the folder cannot be read: %s" % (folder or "/", error.strerror))
                continue
            for name in names:
                if name not in seen:
                    seen[name] = self._node(present, name)[0]
        return [(folder + "/" + name, seen[name]) for name in sorted(seen) if seen[name] is not None and seen[name].kind in ("file", "folder")]

    def _names(self, parent, folder):
        if self.skip_devices and os.stat(".", dir_fd=parent).st_dev in self.skip_devices:
            self.left_out.append("%s: left out, a file system of the kernel, which holds nobody's files" % (folder or "/"))
            return []
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)


def _close(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)


def _is_whiteout(state):
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == 0


def _is_opaque(name, parent):
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return False
    try:
        return os.getxattr(descriptor, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False
    finally:
        os.close(descriptor)


def pseudo_devices(mountinfo):
    """Device numbers of the file systems that hold no files of anybody's, from the text of /proc/PID/mountinfo.

    :returns: set of int, comparable with st_dev.
    """
    devices = set()
    for line in mountinfo.splitlines():
        fields = line.split()
        if "-" in fields[6:] and fields[fields.index("-", 6) + 1] in PSEUDO_FILE_SYSTEMS:
            major, minor = fields[2].split(":")
            devices.add(os.makedev(int(major), int(minor)))
    return devices


class ArchiveTree(Tree):
    """Files that lie in archives on disk.

    :param index: dict of path to (Node, descriptor, offset of the content).
    :param descriptors: list of int, closed with the tree.
    """

    def __init__(self, index, descriptors):
        self.index = index
        self.descriptors = descriptors

    def node(self, path):
        entry = self.index.get(path)
        return entry[0] if entry else None

    @contextlib.contextmanager
    def open(self, path):
        entry = self.index.get(path)
        if entry is None or entry[0].kind != "file":
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        yield ByteSource(entry[1], entry[0].size, base=entry[2])

    def walk(self, path="/"):
        prefix = path.rstrip("/") + "/"
        for name in sorted(self.index):
            node = self.index[name][0]
            if node.kind == "file" and name.startswith(prefix):
                yield name, node

    def close(self):
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []

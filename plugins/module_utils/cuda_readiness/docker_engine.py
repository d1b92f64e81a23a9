# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images and containers of a Docker engine as trees of files. Nothing is started.

Source: Docker Engine API 1.24 and newer (its /images/NAME/json, /images/NAME/get and /containers/NAME/json are old and stable);
OCI image specification for the layers.
"""
from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import socket
import tarfile
import tempfile
import urllib.parse

from .file_trees import ArchiveTree, FolderTree, Node, kind_of, pseudo_devices
from .host import read

DEFAULT_HOST = "unix:///var/run/docker.sock"
FOLDER = Node("folder", 0o040755, 0, "")
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


class EngineError(Exception):
    """The engine does not answer, or knows no such thing. The message says what to do."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """A Docker engine behind a Unix socket.

    :param host: str, unix:///path; other transports give no access to the engine's files.
    """

    def __init__(self, host=DEFAULT_HOST):
        if not host.startswith("unix://"):
            raise EngineError("docker_host '%s' is not a Unix socket. Run this on the engine's own host, with unix:///path" % host)
        self.path = host[len("unix://"):]

    def _get(self, address, what):
        connection = _Connection(self.path)
        try:
            connection.request("GET", address)
            response = connection.getresponse()
        except OSError as error:
            raise EngineError("no Docker engine answers at %s (%s). Is it running, and is this user in its group?" % (self.path, error))
        if response.status == 404:
            raise EngineError("the engine knows no %s. See docker image ls and docker ps -a" % what)
        if response.status != 200:
            raise EngineError("the engine answered %d for %s: %s" % (response.status, what, response.read(500).decode("utf-8", "replace")))
        return response

    def image(self, name):
        """What the engine knows of an image: its inspect dict."""
        return json.loads(self._get("/images/%s/json" % urllib.parse.quote(name), "image '%s'" % name).read())

    def container(self, name):
        """The inspect dict of a container."""
        return json.loads(self._get("/containers/%s/json" % urllib.parse.quote(name), "container '%s'" % name).read())

    def network(self, name):
        """The inspect dict of a network."""
        return json.loads(self._get("/networks/%s" % urllib.parse.quote(name), "network '%s'" % name).read())

    def image_tree(self, inspected, scratch):
        """The files of an image.

        The overlay2 store keeps each layer as a folder, which is read where it lies. Any other store (containerd's, the default of
        Docker 29) is asked for the image as an archive, which is kept in a scratch folder without a name as long as it is needed.

        :param inspected: the image's inspect dict.
        :param scratch: str, folder with room for the image.
        :returns: file_trees.Tree
        """
        driver = inspected.get("GraphDriver") or {}
        data = driver.get("Data") or {}
        if driver.get("Name") == "overlay2" and data.get("UpperDir"):
            folders = [data["UpperDir"]] + [folder for folder in (data.get("LowerDir") or "").split(":") if folder]
            if all(os.path.isdir(folder) for folder in folders):
                return FolderTree(folders)
        free = shutil.disk_usage(scratch).free
        size = int(inspected.get("Size") or 0)
        if free < 2 * size:
            raise EngineError("the image has %d MB and is looked at as an archive, for which %s has only %d MB free, and twice its size is needed. "
                              "Name a folder with more room (scratch_path)" % (size / 1e6, scratch, free / 1e6))
        with tempfile.TemporaryFile(dir=scratch) as archive:
            shutil.copyfileobj(self._get("/images/%s/get" % inspected["Id"], "image"), archive, 1 << 20)
            return read_image_archive(archive, scratch)


def read_image_archive(archive, scratch):
    """The merged files of an image archive (docker save): whiteouts applied, the content left where it lies.

    :param archive: open file; it may be closed afterwards.
    :returns: ArchiveTree
    """
    archive.flush()
    archive.seek(0)
    outer = tarfile.open(fileobj=archive, mode="r:")
    members = {member.name: member for member in outer}
    if "manifest.json" not in members:
        raise EngineError("the engine's archive of the image holds no manifest.json")
    manifest = json.load(outer.extractfile(members["manifest.json"]))
    index, descriptors = {}, [os.dup(archive.fileno())]
    try:
        for layer in manifest[0]["Layers"]:
            member = members[layer]
            while member.issym() or member.islnk():  # equal layers are stored once
                member = members[os.path.normpath(os.path.join(os.path.dirname(member.name) if member.issym() else "", member.linkname))]
            head = os.pread(archive.fileno(), 4, member.offset_data)
            if head[:2] == b"\x1f\x8b":
                with tempfile.TemporaryFile(dir=scratch) as plain:
                    shutil.copyfileobj(gzip.GzipFile(fileobj=_Range(archive.fileno(), member.offset_data, member.size)), plain, 1 << 20)
                    plain.flush()
                    descriptors.append(os.dup(plain.fileno()))
                _merge(index, descriptors[-1], 0, os.fstat(descriptors[-1]).st_size)
            elif head == b"\x28\xb5\x2f\xfd":
                raise EngineError("layer %s is compressed with zstd, which is not read here. Load the image into an engine with the overlay2 store" % layer)
            else:
                _merge(index, descriptors[0], member.offset_data, member.size)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return ArchiveTree(index, descriptors)


class _Range:
    """A read-only file object over a part of a descriptor, for tarfile and gzip."""

    def __init__(self, descriptor, start, size):
        self.descriptor, self.start, self.size, self.place = descriptor, start, size, 0

    def read(self, count=-1):
        rest = self.size - self.place
        data = os.pread(self.descriptor, rest if count is None or count < 0 else min(count, rest), self.start + self.place)
        self.place += len(data)
        return data

    def seek(self, offset, whence=0):
        self.place = offset + (0 if whence == 0 else self.place if whence == 1 else self.size)
        return self.place

    def tell(self):
        return self.place


def _merge(index, descriptor, start, size):
    """Lays one layer over what the layers below it left."""
    layer = {}
    for member in tarfile.open(fileobj=_Range(descriptor, start, size), mode="r:"):
        path = "/" + os.path.normpath("/" + member.name).lstrip("/")
        folder, name = os.path.split(path)
        if name == OPAQUE:
            _remove(index, folder, keep_itself=True)
        elif name.startswith(WHITEOUT):
            _remove(index, folder.rstrip("/") + "/" + name[len(WHITEOUT):])
        elif member.islnk():
            target = layer.get("/" + os.path.normpath("/" + member.linkname).lstrip("/"))
            if target:
                layer[path] = target
        else:
            mode = member.mode | (0o100000 if member.isreg() else 0o040000 if member.isdir() else 0o120000 if member.issym() else 0)
            layer[path] = Node(kind_of(mode), mode, member.size, member.linkname if member.issym() else ""), descriptor, start + member.offset_data
    for path, entry in layer.items():
        if entry[0].kind != "folder":
            _remove(index, path)  # what was a folder in a lower layer
        parent = os.path.dirname(path)
        while parent != "/" and parent not in index and parent not in layer:  # archives may leave folders out
            index[parent] = FOLDER, -1, 0
            parent = os.path.dirname(parent)
        index[path] = entry


def _remove(index, path, keep_itself=False):
    beneath = path.rstrip("/") + "/"
    for name in [name for name in index if name.startswith(beneath) or (name == path and not keep_itself)]:
        del index[name]


def container_tree(pid):
    """The files that a running process sees."""
    return FolderTree(["/proc/%d/root" % pid], pseudo_devices(read("/proc/%d/mountinfo" % pid)))


def processes_of(pid):
    """A container's first process and all that it started: list of int."""
    found, waiting = [], [pid]
    while waiting and len(found) < 4096:
        parent = waiting.pop(0)
        found.append(parent)
        waiting.extend(int(child) for child in read("/proc/%d/task/%d/children" % (parent, parent)).split())
    return found

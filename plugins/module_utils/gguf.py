# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the metadata of a GGUF file, standard library only.

Format: docs/gguf.md of the ggml project, versions 2 and 3, little-endian. The "gguf" package of llama.cpp
reads the same, but needs NumPy on the host that holds the models.
"""
from __future__ import annotations

import struct

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32  # general.alignment where the header does not say
# Elements and bytes of a block by type id (ggml's type_traits, ggml.c; the "gguf" package of llama.cpp names them GGML_QUANT_SIZES).
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144),
    13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110),
    22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66),
    39: (32, 17), 40: (64, 36), 41: (128, 18), 42: (64, 18),
}
# Type ids 0 to 12 of the format; 8 is a string, 9 an array.
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_LONGEST_STRING = 64 * 1024 * 1024


class GGUFError(ValueError):
    """The file is no readable GGUF; the message says why."""


class _Reader:
    def __init__(self, stream):
        self.stream = stream

    def bytes(self, count):
        data = self.stream.read(count)
        if len(data) != count:
            raise GGUFError("the file ends inside its header")
        return data

    def scalar(self, form):
        return struct.unpack(form, self.bytes(struct.calcsize(form)))[0]

    def string(self):
        length = self.scalar("<Q")
        if length > _LONGEST_STRING:
            raise GGUFError("a string of %d bytes stands in its header" % length)
        return self.bytes(length).decode("utf-8", "replace")

    def value(self, kind):
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            element, count = self.scalar("<I"), self.scalar("<Q")
            if element in _SCALARS:  # skipped: token scores and types run to hundreds of thousands
                self.stream.seek(struct.calcsize(_SCALARS[element]) * count, 1)
            else:
                for _index in range(count):
                    self.value(element)
            return None
        if kind not in _SCALARS:
            raise GGUFError("it holds a value of unknown type %d" % kind)
        return self.scalar(_SCALARS[kind])


def _metadata(reader):
    if reader.stream.read(4) != MAGIC:
        raise GGUFError("it does not begin with GGUF")
    version = reader.scalar("<I")
    if version not in (2, 3):
        raise GGUFError("its format version is %d, known are 2 and 3" % version)
    metadata = {"version": version, "tensor_count": reader.scalar("<Q")}
    for _index in range(reader.scalar("<Q")):
        key = reader.string()
        value = reader.value(reader.scalar("<I"))
        if value is not None:
            metadata[key] = value
    return metadata


def read_metadata(stream):
    """The scalar and string metadata of a GGUF file.

    :param stream: binary file object at its start; must be seekable.
    :returns: dict of key to value, with ``tensor_count`` and ``version`` added. Arrays are left out.
    :raises GGUFError: no GGUF, an unknown version, or cut off inside the header.
    """
    return _metadata(_Reader(stream))


def _tensors(reader, count):
    """(name, offset, bytes) of each tensor; 0 bytes of a type that is not known."""
    for _index in range(count):
        name, elements = reader.string(), 1
        for _dimension in range(reader.scalar("<I")):
            elements *= reader.scalar("<Q")
        block, size = _BLOCKS.get(reader.scalar("<I"), (1, 0))
        yield name, reader.scalar("<Q"), elements // block * size


def read_tensors(stream):
    """The tensors of a GGUF file.

    :param stream: binary file object at its start; must be seekable.
    :returns: dict of name to bytes; 0 for a type that is not known.
    :raises GGUFError: as :func:`read_metadata`.
    """
    reader = _Reader(stream)
    return {name: size for name, _offset, size in _tensors(reader, _metadata(reader)["tensor_count"])}


def read_model(paths):
    """What the headers of a model's files say.

    :param paths: its files, the first one first.
    :returns: (metadata of the first file as of :func:`read_metadata`, bytes of each tensor of all files as of :func:`read_tensors`).
    :raises GGUFError: as :func:`read_metadata`.
    :raises OSError: a file cannot be read.
    """
    metadata, tensors = {}, {}
    for path in paths:
        with open(path, "rb") as stream:
            metadata = metadata or read_metadata(stream)
            stream.seek(0)
            tensors.update(read_tensors(stream))
    return metadata, tensors


def read_header(stream):
    """The metadata of a GGUF file, and how long a whole one is.

    :param stream: binary file object at its start; must be seekable.
    :returns: (metadata as of :func:`read_metadata`, bytes up to the end of the last tensor; of a type that is not known, up to its beginning).
    :raises GGUFError: as :func:`read_metadata`.
    """
    reader = _Reader(stream)
    metadata = _metadata(reader)
    end = max((offset + size for _name, offset, size in _tensors(reader, metadata["tensor_count"])), default=0)
    alignment = metadata.get("general.alignment") or DEFAULT_ALIGNMENT
    return metadata, -(-stream.tell() // alignment) * alignment + end

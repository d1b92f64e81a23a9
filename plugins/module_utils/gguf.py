# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the header of a GGUF file, standard library only, because it runs on the hosts that hold the models.

Format: docs/gguf.md of the ggml project, versions 2 and 3, little-endian; what is refused is what llama.cpp refuses (gguf.cpp), and whatever is counted has
a limit. Everything that is wrong with a file, that it cannot be read too, is one exception: :class:`GGUFError`, with the file and the offset.
"""
from __future__ import annotations

import collections
import os
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
_SCALARS = {number: struct.Struct(form) for number, form in {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}.items()}
_UINT32, _STRING, _ARRAY = 4, 8, 9
_U32, _U64 = _SCALARS[_UINT32], _SCALARS[10]
_WHOLE_NUMBERS = {0, 1, 2, 3, 4, 5, 7, 10, 11}

# What real headers have: some 2,000 tensors, a vocabulary of 260,000 with half a million merges, a chat template of 60 kB.
MOST_VALUES = 1_500_000  # keys, strings and tensors together
LONGEST_KEY = 65535  # the format's own
LONGEST_NAME = 63  # of a tensor: GGML_MAX_NAME, with the zero behind it
LONGEST_STRING, ALL_STRINGS = 16 << 20, 32 << 20  # bytes, of one and of all that are kept
MOST_DIMENSIONS = 4  # GGML_MAX_DIMS
KEPT_ELEMENTS = 4096  # an array of whole numbers that is longer is no list of layers
LARGEST = (1 << 63) - 1  # of sizes and offsets, which llama.cpp counts with 64 bits and a sign
_PIECE = 1 << 20

Header = collections.namedtuple("Header", ["metadata", "tensors", "length"])
"""metadata: dict of key to value (whole numbers, bool, float, str, and lists of up to KEPT_ELEMENTS whole numbers; other arrays are left out), with
``tensor_count`` and ``version`` added. tensors: dict of name to bytes, 0 for a type that is not known. length: bytes that a whole file has, up to the end
of its last tensor; of a type that is not known, up to its beginning."""


class GGUFError(ValueError):
    """The file is no readable GGUF; the message says which file, where in it, and why."""


class _Reader:
    """Numbers and strings, one after the other, of a file of known size."""

    def __init__(self, stream, name):
        self.stream, self.name = stream, name
        self.size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        self.data, self.at, self.base, self.values, self.kept = b"", 0, 0, 0, 0

    def tell(self):
        return self.base + self.at

    def left(self):
        return self.size - self.tell()

    def refuse(self, why, at=None):
        raise GGUFError("%sat byte %d: %s" % (self.name + ", " if self.name else "", self.tell() if at is None else at, why))

    def need(self, count):
        """Has so many bytes in memory."""
        if count > self.left():
            self.refuse("the file ends inside its header")
        if len(self.data) - self.at < count:
            rest = self.data[self.at:]
            self.base, self.at = self.tell(), 0
            self.data = rest + self.stream.read(max(_PIECE, count - len(rest)))
            if len(self.data) < count:
                self.refuse("the file became shorter while it was read")

    def scalar(self, form):
        self.need(form.size)
        value = form.unpack_from(self.data, self.at)[0]
        self.at += form.size
        return value

    def counted(self, count=1):
        """One more of what the header holds."""
        self.values += count
        if self.values > MOST_VALUES:
            self.refuse("more than %d keys, strings and tensors stand in its header" % MOST_VALUES)

    def string(self, longest=LONGEST_STRING):
        length = self.scalar(_U64)
        if length > longest:
            self.refuse("a string of %d bytes stands in its header, where at most %d are possible" % (length, longest), self.tell() - 8)
        self.kept += length
        if self.kept > ALL_STRINGS:
            self.refuse("more than %d bytes of strings stand in its header" % ALL_STRINGS, self.tell() - 8)
        self.need(length)
        self.at += length
        return self.data[self.at - length:self.at].decode("utf-8", "replace")

    def skip(self, count):
        if count > self.left():
            self.refuse("the file ends inside its header")
        if self.at + count > len(self.data):
            self.base, self.at, self.data = self.tell() + count, 0, b""
            self.stream.seek(self.base)
        else:
            self.at += count

    def array(self):
        """A list of whole numbers; None for any other array, which is passed over."""
        kind, begun = self.scalar(_U32), self.tell()
        count = self.scalar(_U64)
        if kind == _STRING:
            if count > self.left() // 8:
                self.refuse("an array of %d strings stands in its header, more than the file has room for" % count, begun)
            self.counted(count)
            for _index in range(count):
                length = self.scalar(_U64)
                self.skip(length)
            return None
        if kind not in _SCALARS:  # arrays of arrays too: llama.cpp knows none
            self.refuse("an array has elements of type %d, which llama.cpp does not know" % kind, begun - 4)
        if count > self.left() // _SCALARS[kind].size:
            self.refuse("an array of %d elements stands in its header, more than the file has room for" % count, begun)
        if kind in _WHOLE_NUMBERS and count <= KEPT_ELEMENTS:
            self.counted(count)
            form = struct.Struct("<%d%s" % (count, _SCALARS[kind].format[-1:]))
            self.need(form.size)
            self.at += form.size
            return list(form.unpack_from(self.data, self.at - form.size))
        self.skip(count * _SCALARS[kind].size)
        return None


def _metadata(reader):
    if reader.size < 4 or reader.stream.read(4) != MAGIC:
        reader.refuse("it does not begin with GGUF", 0)
    reader.stream.seek(0)
    reader.skip(4)
    version = reader.scalar(_U32)
    if version not in (2, 3):
        reader.refuse("its format version is %d, known are 2 and 3" % version, 4)
    metadata, alignment = {}, DEFAULT_ALIGNMENT
    tensors, pairs = reader.scalar(_U64), reader.scalar(_U64)
    for what, count, least in (("tensors", tensors, 24), ("keys", pairs, 13)):
        if count > min(MOST_VALUES, reader.left() // least):
            reader.refuse("the file ends inside its header, which promises %d %s" % (count, what))
    seen = set()
    for _index in range(pairs):
        reader.counted()
        begun = reader.tell()
        key, kind = reader.string(LONGEST_KEY), reader.scalar(_U32)
        if key in seen:
            reader.refuse("the key %s stands there twice" % key, begun)
        seen.add(key)
        if kind == _STRING:
            value = reader.string()
        elif kind == _ARRAY:
            value = reader.array()
        elif kind in _SCALARS:
            value = reader.scalar(_SCALARS[kind])
        else:
            reader.refuse("%s is a value of unknown type %d" % (key, kind), begun)
        if key == "general.architecture" and kind != _STRING:
            reader.refuse("general.architecture has type %d, and is a string" % kind, begun)
        if key == "general.alignment":
            if kind != _UINT32 or value == 0 or value & (value - 1):
                reader.refuse("general.alignment is %.40r, and has to be a power of two, as a 32-bit number without a sign" % (value,), begun)
            alignment = value
        if value is not None:
            metadata[key] = value
    metadata.update(version=version, tensor_count=tensors)
    return metadata, alignment


def _tensors(reader, count, alignment):
    """Name to (offset, bytes) of each tensor; 0 bytes of a type that is not known."""
    found = {}
    for _index in range(count):
        reader.counted()
        begun = reader.tell()
        name, dimensions = reader.string(LONGEST_NAME), reader.scalar(_U32)
        if name in found:
            reader.refuse("the tensor %s stands there twice" % name, begun)
        if dimensions > MOST_DIMENSIONS:
            reader.refuse("the tensor %s has %d dimensions, possible are %d" % (name, dimensions, MOST_DIMENSIONS), begun)
        sides = [reader.scalar(_U64) for _dimension in range(dimensions)]
        elements = 1
        for side in sides:
            elements *= side
        block, size = _BLOCKS.get(reader.scalar(_U32), (1, 0))
        offset, size = reader.scalar(_U64), elements // block * size
        if sides and sides[0] % block:
            reader.refuse("the tensor %s has rows of %d elements, which come in blocks of %d" % (name, sides[0], block), begun)
        if offset % alignment:
            reader.refuse("the tensor %s begins at byte %d of the data, which is aligned to %d" % (name, offset, alignment), begun)
        if max(sides, default=0) > LARGEST or elements > LARGEST or offset + size > LARGEST:
            reader.refuse("the tensor %s would have %d elements at byte %d, which no file can hold" % (name, elements, offset), begun)
        found[name] = (offset, size)
    return found


def read_header(stream, name=""):
    """The header of a GGUF file.

    :param stream: binary file object; must be seekable.
    :param name: str, what an error calls the file.
    :returns: :data:`Header`.
    :raises GGUFError: no GGUF, of an unknown version, cut off inside the header, with a header that llama.cpp does not take either, or not to be read.
    """
    try:
        reader = _Reader(stream, name)
        metadata, alignment = _metadata(reader)
        tensors = _tensors(reader, metadata["tensor_count"], alignment)
    except OSError as error:
        raise GGUFError("%sit cannot be read: %s" % (name + ", " if name else "", error.strerror or error)) from error
    end = max((offset + size for offset, size in tensors.values()), default=0)
    begin = -(-reader.tell() // alignment) * alignment if tensors else reader.tell()
    return Header(metadata, {tensor: size for tensor, (_offset, size) in tensors.items()}, begin + end)


def read_file(path):
    """The header of a file: :func:`read_header`, with the path in its errors. One that cannot be opened is a :class:`GGUFError` as well."""
    try:
        with open(path, "rb") as stream:
            return read_header(stream, path)
    except OSError as error:
        raise GGUFError("%s, it cannot be read: %s" % (path, error.strerror or error)) from error


def read_model(paths):
    """What the headers of a model's files say.

    :param paths: its files, the first one first.
    :returns: (metadata of the first file, bytes of each tensor of all files), as of :data:`Header`.
    :raises GGUFError: as :func:`read_file`.
    """
    headers = [read_file(path) for path in paths]
    return headers[0].metadata if headers else {}, {name: size for header in headers for name, size in header.tensors.items()}


def whole(metadata, key, most=LARGEST):
    """A whole number of the metadata that can be counted with; None where the key is not there, or holds anything else.

    :param metadata: dict of :data:`Header`.
    :param key: str; one that begins with a dot belongs to the model's architecture: ".block_count".
    :param most: int, what is larger counts as anything else.
    """
    value = metadata.get("%s%s" % (metadata.get("general.architecture"), key) if key.startswith(".") else key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None

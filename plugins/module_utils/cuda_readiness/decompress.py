# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decompression of small payloads, enough to tell a kernel from a stub.

The system's liblz4 and libzstd do it, which apt and dpkg bring along. Where libzstd is missing, the answer is None and the caller says
"not looked into"; an LZ4 block is then decoded here, more slowly.
Source: lz4.h and lz4_Block_format.md of the LZ4 project; zstd.h.
"""
from __future__ import annotations

import ctypes
import functools

LARGEST = 16 << 10  # bytes, decoded


def lz4_block(data, size):
    """The decoded bytes of one raw LZ4 block, or None where it is damaged.

    :param size: int, the decoded size that the file claims; no more than that is ever produced.
    """
    decode = _function("liblz4.so.1", "LZ4_decompress_safe", ctypes.c_int, [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int])
    if decode is None:
        return lz4_block_in_python(data, size)
    return _decoded(size, lambda target: decode(data, target, len(data), size))


def lz4_block_in_python(data, size):
    """The same without a library."""
    result = bytearray()
    place = 0
    try:
        while place < len(data):
            token = data[place]
            place += 1
            count = token >> 4
            if count == 15:
                count, place = _extended(data, place, count)
            result += data[place:place + count]
            place += count
            if place >= len(data):
                break
            distance = data[place] | data[place + 1] << 8
            place += 2
            count = (token & 15) + 4
            if token & 15 == 15:
                count, place = _extended(data, place, count)
            if not 0 < distance <= len(result) or len(result) + count > size:
                return None
            while count > 0:  # a match may overlap what it writes
                piece = result[-distance:][:count]
                result += piece
                count -= len(piece)
    except IndexError:
        return None
    return bytes(result) if len(result) == size else None


def _extended(data, place, count):
    while True:
        byte = data[place]
        place += 1
        count += byte
        if byte != 255:
            return count, place


def zstd_frame(data, size):
    """The decoded bytes of one zstd frame, or None where it is damaged or nothing here can decode it."""
    decode = _function("libzstd.so.1", "ZSTD_decompress", ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t])
    if decode is None:
        return None
    return _decoded(size, lambda target: decode(target, size, data, len(data)))


# One buffer for all: making one costs more than decoding into it. So this is not for several threads.
_BUFFER = ctypes.create_string_buffer(LARGEST)


def _decoded(size, decode):
    """What a decoder wrote, where it wrote as much as was announced."""
    if size > LARGEST or decode(_BUFFER) != size:
        return None
    return bytes(memoryview(_BUFFER)[:size])


@functools.lru_cache(maxsize=None)
def _library(name):
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def _function(library, name, result, arguments):
    loaded = _library(library)
    if loaded is None:
        return None
    function = getattr(loaded, name)
    function.restype, function.argtypes = result, arguments
    return function

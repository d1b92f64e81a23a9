# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/ld.so.cache of glibc.

Source: sysdeps/generic/dl-cache.h of glibc (format "glibc-ld.so.cache1.1"); files of older versions carry it behind a first table.
"""
from __future__ import annotations

import struct
from collections import namedtuple

MAGIC = b"glibc-ld.so.cache1.1"
EXTENSION_MAGIC = 0xEAA42174
X86_64_LIBC6 = 0x303
HWCAP_BY_NAME = 0x40000000

#: library: as it is asked for · path: as ldconfig found it · hwcap: name of the glibc-hwcaps folder, or ""
CacheEntry = namedtuple("CacheEntry", "library path hwcap")


def read_cache(data):
    """The x86-64 entries of a cache file.

    :param data: bytes
    :returns: list of CacheEntry in the file's order; empty where the file is damaged, which the loader ignores too.
    """
    begin = data.find(MAGIC)
    if begin < 0:
        return []
    data = data[begin:]
    try:
        count, _strings, _flags, extension = struct.unpack_from("<IIB3xI", data, 20)
        names = _hwcap_names(data, extension) if extension else []
        if 48 + 24 * count > len(data):
            return []
        result = []
        for number in range(count):
            flags, key, value, _version, hwcap = struct.unpack_from("<iIIIQ", data, 48 + 24 * number)
            if flags != X86_64_LIBC6:
                continue
            name = ""
            if hwcap >> 32 == HWCAP_BY_NAME:
                if hwcap & 0xffffffff >= len(names):
                    continue
                name = names[hwcap & 0xffffffff]
            elif hwcap:
                continue  # bits of processors before 2010
            result.append(CacheEntry(_text(data, key), _text(data, value), name))
        return result
    except struct.error:
        return []


def _hwcap_names(data, offset):
    magic, count = struct.unpack_from("<II", data, offset)
    if magic != EXTENSION_MAGIC:
        return []
    for number in range(min(count, 64)):
        tag, _flags, place, size = struct.unpack_from("<IIII", data, offset + 8 + 16 * number)
        if tag == 1:
            return [_text(data, value) for value, in struct.iter_unpack("<I", data[place:place + size - size % 4])]
    return []


def _text(data, offset):
    return data[offset:data.find(b"\0", offset)].decode("utf-8", "surrogateescape") if offset < len(data) else ""


def pick(entries, library, hwcaps):
    """The path that the loader takes from the cache for a library.

    :param hwcaps: list of str, glibc-hwcaps names that this processor serves, the best first. An entry for one of them beats a plain one.
    :returns: str or None
    """
    matching = [entry for entry in entries if entry.library == library and (not entry.hwcap or entry.hwcap in hwcaps)]
    matching.sort(key=lambda entry: hwcaps.index(entry.hwcap) if entry.hwcap else len(hwcaps))
    return matching[0].path if matching else None

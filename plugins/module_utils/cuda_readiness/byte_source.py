# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounded reads from a part of an open file: every other room of this package reads through here.

Files are read with pread, never mapped: a mapped file that somebody truncates kills the reader with SIGBUS, and nothing
of a large file stays in memory.
"""
from __future__ import annotations

import errno
import os
import struct
import time

FIRST_CHUNK, CHUNK = 4 << 10, 1 << 20
# A walk hops from header to header. Where that turns out to be slow, because the file is not cached, and the hops are short, the kernel is asked for
# what comes next, which makes it no slower than one read of the whole file. After long hops it is not: then most of the file is never needed.
AHEAD, DENSE = 32 << 20, 256 << 10
SLOW, SLOW_BYTE = 60e-6, 1e-9  # seconds for a read, and for each byte of it


class FormatError(Exception):
    """A file is not what its first bytes promise.

    :param offset: int, bytes from the start of the file.
    """

    def __init__(self, message, offset):
        super().__init__("%s at byte %d" % (message, offset))
        self.offset = offset


class _Shared:
    """What all parts of one file know of it: the last chunk that was read, whether reading is slow, and up to where the kernel reads ahead."""

    def __init__(self):
        self.begin, self.data = 0, b""
        self.cold = False
        self.end = 0
        self.advised = range(0)


class ByteSource:
    """A range of an open file.

    :param descriptor: int, file descriptor that stays open as long as this object is used.
    :param size: int, bytes in the range.
    :param start: int, where the range begins in the file.
    :param base: int, where the file itself begins behind the descriptor: not 0 for a file within an archive.
    """

    def __init__(self, descriptor, size, start=0, shared=None, base=0):
        self.descriptor = descriptor
        self.size = size
        self.start = start
        self.base = base
        self._shared = shared or _Shared()

    @classmethod
    def of_file(cls, descriptor):
        """The whole of an open regular file."""
        return cls(descriptor, os.fstat(descriptor).st_size)

    def part(self, offset, size):
        """The same bytes as a source of their own; offsets in errors stay those of the file.

        :raises FormatError: the part does not lie within this source.
        """
        self._check(offset, size)
        return ByteSource(self.descriptor, size, self.start + offset, self._shared, self.base)

    def _check(self, offset, size):
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError("%d bytes are wanted, and %d are there," % (size, max(self.size - offset, 0)), self.start + max(offset, 0))

    def read(self, offset, size):
        """Exactly ``size`` bytes.

        :raises FormatError: fewer are there.
        """
        self._check(offset, size)
        position = self.base + self.start + offset
        near = position - self._shared.begin
        if 0 <= near and near + size <= len(self._shared.data):
            return self._shared.data[near:near + size]
        begun = time.perf_counter()
        data = os.pread(self.descriptor, size, position)
        self._shared.cold = self._shared.cold or time.perf_counter() - begun > SLOW + size * SLOW_BYTE
        if self._shared.cold and 0 <= position - self._shared.end <= DENSE and position + size not in self._shared.advised:
            self._advise(position + size)
        self._shared.end = position + size
        if len(data) != size:
            raise FormatError("the file became shorter while it was read,", self.start + offset + len(data))
        return data

    def _advise(self, position):
        self._shared.advised = range(position - AHEAD, position + AHEAD // 2)
        try:
            os.posix_fadvise(self.descriptor, position, AHEAD, os.POSIX_FADV_WILLNEED)
        except OSError:
            pass  # a hint that this file system does not take

    def unpack(self, form, offset):
        """The values of a :mod:`struct` format at an offset."""
        return struct.unpack(form, self.read(offset, struct.calcsize(form)))

    def string(self, offset, longest=4096):
        """The NUL-terminated string at an offset, without the NUL, decoded as a path is."""
        data = self.read(offset, min(longest, max(self.size - offset, 0)))
        return os.fsdecode(data.split(b"\0", 1)[0])

    def _after_hole(self, offset):
        """The first byte from an offset on that the file system has written: where what is sought holds no NUL byte, a hole holds none of it."""
        position = self.base + self.start + offset
        try:
            return offset + max(os.lseek(self.descriptor, position, os.SEEK_DATA) - position, 0)
        except OSError as error:
            return self.size if error.errno == errno.ENXIO else offset

    def find(self, patterns, begin, end):
        """The first place of any of some byte strings.

        :param patterns: list of bytes, none longer than 64.
        :returns: (offset, pattern), or (-1, None). Of two that begin at one place, the first in the list.
        """
        overlap = max(map(len, patterns)) - 1
        skips = not any(b"\0" in pattern for pattern in patterns)
        chunk = FIRST_CHUNK  # what is sought mostly lies near: containers stand back to back
        while begin < end:
            if skips and chunk == CHUNK:
                begin = min(self._after_hole(begin), end)
                if begin >= end:
                    break
            near = self.base + self.start + begin - self._shared.begin
            if not 0 <= near < len(self._shared.data) - overlap:
                data = self.read(begin, min(chunk, self.size - begin))
                self._shared.begin, self._shared.data, near = self.base + self.start + begin, data, 0
                chunk = min(chunk * 4, CHUNK)
            data = self._shared.data
            stop = min(len(data), near + end - begin)
            best, which = -1, None
            for pattern in patterns:
                place = data.find(pattern, near, best + len(pattern) - 1 if best >= 0 else stop)
                if place >= 0:
                    best, which = place, pattern
            if best >= 0:
                return begin + best - near, which
            if begin + stop - near >= end:
                break
            begin += max(stop - near - overlap, 1)
        return -1, None


class MemorySource(ByteSource):
    """Bytes that are in memory already, such as a decompressed payload. Offsets in errors count from their start."""

    def __init__(self, data, start=0):
        super().__init__(-1, len(data), start)
        self.data = data

    def part(self, offset, size):
        self._check(offset, size)
        return MemorySource(self.data[offset:offset + size], self.start + offset)

    def read(self, offset, size):
        self._check(offset, size)
        return self.data[offset:offset + size]

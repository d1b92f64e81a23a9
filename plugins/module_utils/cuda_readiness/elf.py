# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF headers, sections and the dynamic section: what a loader and a search for device code need, and no more.

Source: System V ABI, chapters 4 and 5; elf.h of glibc. Little-endian files only, as all CUDA hosts are.
"""
from __future__ import annotations

import struct
from collections import namedtuple

from .byte_source import FormatError

MAGIC = b"\x7fELF"
EM_X86_64, EM_CUDA = 62, 190
ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
SHT_PROGBITS, SHT_DYNSYM = 1, 11
SHF_ALLOC, SHF_EXECINSTR = 0x2, 0x4
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
PF_X = 0x1
MOST_HEADERS = 1 << 17  # entries of a header table; some ten thousand are the largest seen in the field
LARGEST_TABLE, LARGEST_DYNAMIC = 32 << 20, 1 << 20  # bytes that are read at a time, so that no file needs much memory

Section = namedtuple("Section", "name type flags address offset size link entry_size")
Segment = namedtuple("Segment", "type flags offset address file_size")
Dynamic = namedtuple("Dynamic", "soname needed rpath runpath no_default_libraries")


class Elf:
    """One ELF file.

    :param source: ByteSource, the file.
    :raises FormatError: not a little-endian ELF file, or its header is cut off.
    """

    def __init__(self, source):
        self.source = source
        identity = source.read(0, 16)
        if identity[:4] != MAGIC:
            raise FormatError("no ELF magic", source.start)
        if identity[4] not in (1, 2) or identity[5] != 1:
            raise FormatError("ELF class %d with data encoding %d is not read here," % (identity[4], identity[5]), source.start + 4)
        self.bits = 32 * identity[4]
        self.abi_version = identity[8]
        form = "<HHIQQQIHHHHHH" if self.bits == 64 else "<HHIIIIIHHHHHH"
        (self.type, self.machine, _version, self.entry, self._segment_offset, self._section_offset, self.flags, _size,
         self._segment_entry, self._segment_count, self._section_entry, self._section_count, self._names) = source.unpack(form, 16)

    def segments(self):
        """All program headers, a list of Segment."""
        form = "<IIQQQQQQ" if self.bits == 64 else "<IIIIIIII"
        result = []
        for row in self._table(form, self._segment_offset, self._segment_entry, self._segment_count):
            if self.bits == 64:
                kind, flags, offset, address, _physical, file_size = row[:6]
            else:
                kind, offset, address, _physical, file_size, _memory, flags = row[:7]
            result.append(Segment(kind, flags, offset, address, file_size))
        return result

    def raw_sections(self):
        """All section headers without their names, which need one more read. A list of Section; empty where they were stripped."""
        if not self._section_offset:
            return []
        form = "<IIQQQQIIQQ" if self.bits == 64 else "<IIIIIIIIII"
        count = self._section_count
        if count == 0:  # more than 0xff00: the first header's size holds the count
            count = self.source.unpack(form, self._section_offset)[5]
        return [Section(name, kind, flags, address, offset, size, link, entry_size)
                for name, kind, flags, address, offset, size, link, _info, _align, entry_size
                in self._table(form, self._section_offset, self._section_entry, count)]

    def sections(self):
        """All sections with their names."""
        raw = self.raw_sections()
        names = raw[0].link if self._names == 0xffff and raw else self._names
        if not raw:
            return []
        if names >= len(raw):
            raise FormatError("the section of section names is number %d of %d," % (names, len(raw)), self.source.start)
        table = raw[names]
        text = self.source.read(table.offset, table.size) if table.size <= LARGEST_TABLE else b""
        return [entry._replace(name=text[entry.name:text.find(b"\0", entry.name)].decode("utf-8", "replace")) for entry in raw]

    def _table(self, form, offset, entry, count):
        size = struct.calcsize(form)
        if count == 0 or offset == 0:
            return []
        if entry < size or count > MOST_HEADERS:
            raise FormatError("a header table of %d entries of %d bytes" % (count, entry), self.source.start + offset)
        data = self.source.read(offset, entry * count)
        return [struct.unpack_from(form, data, place) for place in range(0, len(data), entry)]

    def holds_machine_code(self):
        """Whether any section holds instructions; a device-link stub has none."""
        return any(entry.flags & SHF_EXECINSTR and entry.type == SHT_PROGBITS and entry.size for entry in self.raw_sections())

    def end(self):
        """Where the file ends by its own headers: for one that lies within another."""
        ends = [self._section_offset + self._section_entry * self._section_count, self._segment_offset + self._segment_entry * self._segment_count]
        ends += [entry.offset + entry.size for entry in self.raw_sections() if entry.type not in (0, 8)]
        return max(ends)

    def interpreter(self):
        """The path of the program's loader (PT_INTERP), or None."""
        for segment in self.segments():
            if segment.type == PT_INTERP:
                return self.source.part(segment.offset, segment.file_size).string(0)
        return None

    def dynamic(self):
        """What the dynamic section tells a loader: a Dynamic, or None for a static program.

        :raises FormatError: the section points outside the file.
        """
        segments = self.segments()
        place = next((segment for segment in segments if segment.type == PT_DYNAMIC), None)
        if place is None:
            return None
        size = self.bits // 4
        data = self.source.read(place.offset, min(place.file_size, LARGEST_DYNAMIC) // size * size)
        tags = {}
        for tag, value in struct.iter_unpack("<qQ" if self.bits == 64 else "<iI", data):
            if tag == 0:
                break
            tags.setdefault(tag, []).append(value)
        if 5 not in tags:
            return Dynamic(None, [], None, None, False)
        strings = self._file_offset(segments, tags[5][0])

        def text(tag):
            return [self.source.string(strings + value) for value in tags.get(tag, [])]
        return Dynamic((text(14) or [None])[0], text(1), (text(15) or [None])[0], (text(29) or [None])[0], bool(tags.get(0x6ffffffb, [0])[0] & 0x800))

    def _file_offset(self, segments, address):
        for segment in segments:
            if segment.type == PT_LOAD and segment.address <= address < segment.address + segment.file_size:
                return address - segment.address + segment.offset
        raise FormatError("address 0x%x lies in no segment of the file," % address, self.source.start)

    def imports(self, symbol):
        """Whether this file expects a symbol from others. False where section headers were stripped.

        :param symbol: bytes, its name.
        """
        sections = self.raw_sections()
        for table in sections:
            if table.type != SHT_DYNSYM or table.link >= len(sections) or max(table.size, sections[table.link].size) > LARGEST_TABLE:
                continue
            strings = self.source.read(sections[table.link].offset, sections[table.link].size)
            if symbol + b"\0" not in strings:
                continue
            form = "<IBBHQQ" if self.bits == 64 else "<IIIBBH"
            data = self.source.read(table.offset, table.size - table.size % struct.calcsize(form))
            for row in struct.iter_unpack(form, data):
                undefined = row[3 if self.bits == 64 else 5] == 0
                if undefined and strings[row[0]:row[0] + len(symbol) + 1] == symbol + b"\0":
                    return True
        return False

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of CUDA device code: fatbin containers with their entries, bare cubins, PTX text.

Source: the layout established by docs/cuda-readiness.md on compiled samples and public wheels, entry by entry against cuobjdump;
NVIDIA documents fatbins in fatbinary_section.h (container) and not at all (entries).
"""
from __future__ import annotations

import re
import struct
from collections import namedtuple

from . import decompress
from .byte_source import FormatError, MemorySource
from .elf import EM_CUDA, SHF_EXECINSTR, SHT_PROGBITS, Elf

CONTAINER_MAGIC = struct.pack("<IHH", 0xBA55ED50, 1, 16)  # magic, version, header size
KINDS = {1: "ptx", 2: "cubin", 8: "lto"}
FLAG_LZ4, FLAG_ZSTD, FLAG_A, FLAG_F = 0x2000, 0x8000, 0x100000, 0x200000
# kind, constant, header size, payload size, compressed size, PTX ISA minor and major, SM, flags, uncompressed size
ENTRY_HEADER = struct.Struct("<HHIQI4xHHI8xQ8xQ")
SMALLEST_ENTRY, LARGEST_ENTRY = 0x40, 0x1000
# Only a small payload can be a stub or an empty PTX: the largest stub seen in public wheels has 12 kB.
LOOK_INTO = 16 << 10
MOST_ENTRIES = 50000  # of one container; the most seen in public wheels is some dozen
ELF64_SECTION = struct.Struct("<4xIQ16xQ24x")  # type, flags, size
EMPTY_PTX = 70
PTX_HEAD = re.compile(rb"\.version[ \t]+(\d+)\.(\d+)[ \t]*(?:\r?\n[ \t]*(?://[^\n]*)?)*\.target[ \t]+sm_(\d+)([af]?)\b")
ENTRY_POINT = re.compile(rb"\.entry\b")
# The assembler notes its own command line in a cubin: the only place in there that tells code for a family from plain code.
ASSEMBLED_FOR = re.compile(rb"-arch[ =]sm_(\d+)([af]?)(?![0-9a-z])")

#: One piece of device code.
#: kind: ptx, cubin, lto, or the number of one that is not known · sm: int, 120 for sm_120 · suffix: "", "a" or "f"
#: isa: (major, minor) of PTX, else None · compression: "", "lz4", "zstd" · offset: int, of the entry, bytes from the start of the file
#: size: int, stored bytes · kernels: True, False (a stub or an empty PTX), None (compressed, and nothing here could look into it)
Entry = namedtuple("Entry", "kind sm suffix isa compression offset size kernels")

#: What is loaded as one: entries of which the driver picks the best.
#: form: fatbin, cubin or ptx · offset: int, bytes from the start of the file · end: int, offset after it within the source
Module = namedtuple("Module", "form offset end entries problem")


def architecture(entry):
    """The name of an entry's target: sm_120a for machine code, compute_120a for PTX."""
    return "%s_%d%s" % ("sm" if entry.kind == "cubin" else "lto" if entry.kind == "lto" else "compute", entry.sm, entry.suffix)


def read_container(source, offset):
    """The container whose header stands at an offset of a source.

    A damaged one gives the entries before the damage and says so in ``problem``; its ``end`` is where reading stopped, so that
    whoever searches on never walks the same bytes twice.

    :returns: Module
    """
    _magic, _version, header, size = source.unpack("<IHHQ", offset)
    place = offset + header
    end = place + size
    problem = None
    if end > source.size:
        problem = "container of %d bytes at byte %d is cut off" % (size, source.start + offset)
        end = source.size
    entries = []
    while place < end:
        try:
            entry, after = _read_entry(source, place, end)
        except FormatError as error:
            return Module("fatbin", source.start + offset, max(place, offset + header), entries, problem or str(error))
        entries.append(entry)
        place = after
        if len(entries) == MOST_ENTRIES:
            problem = problem or "container at byte %d holds more than %d entries; the rest is not read" % (source.start + offset, MOST_ENTRIES)
            break
    return Module("fatbin", source.start + offset, place, entries, problem)


def _read_entry(source, place, end):
    kind, _one, header, payload, compressed, minor, major, sm, flags, uncompressed = ENTRY_HEADER.unpack(source.read(place, ENTRY_HEADER.size))
    if not SMALLEST_ENTRY <= header <= LARGEST_ENTRY or place + header + payload > end:
        raise FormatError("entry with a header of %d and a payload of %d bytes does not fit into its container" % (header, payload), source.start + place)
    compression = "zstd" if flags & FLAG_ZSTD else "lz4" if flags & FLAG_LZ4 else ""
    name = KINDS.get(kind, str(kind))
    kernels = True if name in ("cubin", "ptx") else None
    if kernels and (uncompressed if compression else payload) <= LOOK_INTO:
        kernels = _holds_kernels(name, _content(source, place + header, payload, compression, compressed, uncompressed))
    entry = Entry(
        name, sm, "a" if flags & FLAG_A else "f" if flags & FLAG_F else "", (major, minor) if name == "ptx" else None,
        compression, source.start + place, payload, kernels)
    return entry, place + header + payload


def _content(source, place, size, compression, compressed, uncompressed):
    """The bytes of a small payload as they are loaded, or None where nothing here can decode them."""
    if not compression:
        return source.read(place, size)
    if compressed > size:
        return None
    decode = decompress.zstd_frame if compression == "zstd" else decompress.lz4_block
    return decode(source.read(place, compressed), uncompressed)


def _holds_kernels(kind, data):
    """True, False, or None where the payload cannot be looked into."""
    if data is None:
        return None
    if kind == "ptx":
        return len(data) > EMPTY_PTX and ENTRY_POINT.search(data) is not None
    try:
        if data[4] == 2:  # the short way for 64-bit ELF, of which some libraries hold thousands
            offset, = struct.unpack_from("<Q", data, 40)
            entry, count = struct.unpack_from("<HH", data, 58)
            if entry == ELF64_SECTION.size and offset + entry * count <= len(data):
                return any(flags & SHF_EXECINSTR and size and kind == SHT_PROGBITS
                           for kind, flags, size in ELF64_SECTION.iter_unpack(data[offset:offset + entry * count]))
        return Elf(MemorySource(data)).holds_machine_code()
    except (FormatError, IndexError, struct.error):
        return None


def read_cubin(source, offset):
    """A cubin that lies in no container. Its architecture stands in its ELF flags, where the ``a`` can be read but not the ``f``: that one is
    known where ptxas noted its command line (CUDA 13 does). Without the note an ``f`` reads as plain code, which runs on the same cards: the
    members of a family are the later minors of one major version.

    :returns: Module
    :raises FormatError: no CUDA ELF, or cut off.
    """
    whole = source.part(offset, source.size - offset)
    elf = Elf(whole)
    if elf.machine != EM_CUDA:
        raise FormatError("ELF machine %d is not CUDA," % elf.machine, whole.start)
    if elf.abi_version >= 8:
        sm = elf.flags >> 8 & 0xff
        suffix = "a" if elf.flags & 0x8 or _compatibility_says_a(elf) else _noted_suffix(elf, sm)
    else:
        sm = elf.flags & 0xff
        suffix = "a" if elf.flags & 0x800 and sm >= 90 else ""
    end = elf.end()
    problem = None
    if end > whole.size:
        problem = "cubin of %d bytes at byte %d is cut off" % (end, whole.start)
        end = whole.size
    entry = Entry("cubin", sm, suffix, None, "", whole.start, end, elf.holds_machine_code())
    return Module("cubin", whole.start, offset + max(end, 64), [entry], problem)


def _small_section(elf, name):
    """The bytes of the first section of that name, empty where there is none or it is far too large to be what is sought."""
    for section in elf.sections():
        if section.name == name and section.size <= 4096:
            return elf.source.read(section.offset, section.size)
    return b""


def _compatibility_says_a(elf):
    """Section .nv.compat holds type, attribute, value triples; 02 09 01 marks architecture-accelerated code."""
    return b"\x02\x09\x01" in _small_section(elf, ".nv.compat")


def _noted_suffix(elf, sm):
    """The suffix of the target that the assembler was asked for, where it noted it and means the same architecture."""
    noted = ASSEMBLED_FOR.search(_small_section(elf, ".note.nv.tkinfo"))
    return noted.group(2).decode() if noted and int(noted.group(1)) == sm else ""


def read_ptx(source, offset, longest=64 << 20):
    """PTX text whose ``.version`` stands at an offset; it ends at a NUL or with the source.

    :returns: Module, or None where no ``.target`` follows, as in a template of a compiler.
    """
    head = PTX_HEAD.match(source.read(offset, min(1024, source.size - offset)))
    if head is None:
        return None
    end, _pattern = source.find([b"\0"], offset, min(source.size, offset + longest))
    end = min(source.size, offset + longest) if end < 0 else end
    kernels = source.find([b".entry"], offset, end)[0] >= 0
    major, minor, sm = (int(head.group(number)) for number in (1, 2, 3))
    entry = Entry("ptx", sm, head.group(4).decode(), (major, minor), "", source.start + offset, end - offset, kernels)
    return Module("ptx", source.start + offset, end, [entry], None)

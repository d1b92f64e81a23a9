"""What is read of a dynamic section, from a file that is made here by System V ABI, chapter 5, and elf.h of glibc."""
import struct

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import byte_source, elf

NEEDED, STRTAB, SONAME, RPATH, RUNPATH, FLAGS, FLAGS_1 = 1, 5, 14, 15, 29, 30, 0x6ffffffb
NODEFLIB = 0x800  # DF_1_NODEFLIB
TEXTS = b"\0liba.so\0libb.so.1\0libc.so.6\0/old/path\0/new/path\0"


def made(*entries):
    """A 64-bit file of one loaded segment from address 0, with a dynamic section of these (tag, value) and the table of texts."""
    dynamic = b"".join(struct.pack("<qQ", tag, value) for tag, value in (*entries, (STRTAB, 0x200), (0, 0)))
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    whole = 0x200 + len(TEXTS)
    segments = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, whole, whole, 4096) + struct.pack("<IIQQQQQQ", 2, 4, 0xc0, 0xc0, 0xc0, len(dynamic), len(dynamic), 8)
    return (header + segments).ljust(0xc0, b"\0") + dynamic.ljust(0x200 - 0xc0, b"\0") + TEXTS


def read(*entries):
    return elf.Elf(byte_source.MemorySource(made(*entries))).dynamic()


@pytest.mark.parametrize("entries, expected", [
    ([], (None, [], None, None, False)),
    ([(NEEDED, TEXTS.index(b"libb")), (NEEDED, TEXTS.index(b"libc"))], (None, ["libb.so.1", "libc.so.6"], None, None, False)),
    ([(SONAME, TEXTS.index(b"liba"))], ("liba.so", [], None, None, False)),
    ([(RPATH, TEXTS.index(b"/old"))], (None, [], "/old/path", None, False)),
    ([(RUNPATH, TEXTS.index(b"/new"))], (None, [], None, "/new/path", False)),
    ([(RPATH, TEXTS.index(b"/old")), (RUNPATH, TEXTS.index(b"/new"))], (None, [], "/old/path", "/new/path", False)),
    ([(FLAGS_1, NODEFLIB)], (None, [], None, None, True)),
    ([(FLAGS_1, 0x7ff)], (None, [], None, None, False)),
    ([(FLAGS, NODEFLIB)], (None, [], None, None, False)),
], ids=["nothing", "needed", "soname", "rpath", "runpath", "both paths", "no default libraries", "another flag", "the flag of another tag"])
def test_each_tag_is_told_from_its_neighbours(entries, expected):
    assert read(*entries) == elf.Dynamic(*expected)


def test_what_follows_the_end_is_no_part_of_it():
    assert read((NEEDED, TEXTS.index(b"libb")), (0, 0), (SONAME, TEXTS.index(b"liba"))) == elf.Dynamic(None, [], None, None, False)

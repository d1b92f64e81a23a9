"""Mutated libraries under prune-device-code, for cards as an inventory names them: it refuses and changes nothing, or it empties what none of them can run.

The judge reads with another reader (cuda_readiness), knows the cards' rule by a table of its own, and looks from two sides: each byte that was emptied belonged
to code that no wanted card can run; and of what that reader finds, all that a wanted card might run is what it was.

tests/cuda/test_pruned_libraries.py reads 2,000 of them, tests/fuzz/run.py 100,000.
"""
import ctypes
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import struct
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

import mutations  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import removable_device_code  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import MemorySource  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.device_code import read_device_code  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.fatbin import CONTAINER_MAGIC, read_container  # noqa: E402
from support import fatbins  # noqa: E402

CARDS = (["9.0"], ["12.0"], ["7.5"], ["8.0", "9.0"], ["8.6", "12.0"], ["10.0"], ["7.5", "8.9", "12.1"])
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LARGEST_CUBIN = 1 << 18  # of these samples
NOT_ZERO = re.compile(rb"[^\0]+")


def program():
    """prune-device-code as a module."""
    loader = importlib.machinery.SourceFileLoader("prune_device_code", str(ROOT / "roles" / "golden_image" / "files" / "prune-device-code"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prune_device_code", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def might_run(kind, sm, suffix, card):
    """Whether a card might run an entry: the rule as the CUDA C++ Programming Guide puts it, and yes where it leaves a doubt.

    Machine code runs on its own major version from its own minor on; PTX is compiled for every later card; with an "a" both are for one card alone, with
    an "f" for one major version. Of anything else, LTO-IR among it, nobody knows.

    :param kind: of fatbin.Entry. :param card: str such as "9.0".
    """
    capability = int(card.replace(".", ""))
    if kind not in ("cubin", "ptx"):
        return True
    if suffix == "a":
        return sm == capability
    same_major = sm // 10 == capability // 10
    return sm <= capability and (same_major or kind == "ptx" and not suffix)


def wanted(entry, cards):
    """Whether any of the cards might run an entry."""
    return any(might_run(entry.kind, entry.sm, entry.suffix, card) for card in cards)


def payload(data, entry):
    """(begin, end) of an entry's code in its file; a cubin that lies bare has no header before it."""
    header = struct.unpack_from("<I", data, entry.offset + 4)[0] if data[entry.offset:entry.offset + 4] != b"\x7fELF" else 0
    return entry.offset + header, entry.offset + header + entry.size


def superfluous(data, cards):
    """Ranges of a file that hold code that no card can run, by each container that could be read, wherever it lies."""
    found, place = [], data.find(CONTAINER_MAGIC)
    while place != -1 and place + 16 <= len(data):
        found += [payload(data, entry) for entry in read_container(MemorySource(data), place).entries if not wanted(entry, cards)]
        place = data.find(CONTAINER_MAGIC, place + 1)
    return found


def needed(data, cards):
    """Ranges of a file that hold code in containers that a card might run, as cuda_readiness finds it there."""
    code = read_device_code(MemorySource(data), "libmutated.so")
    return [payload(data, entry) for one in (code.found if code else ()) if one.module.form == "fatbin" for entry in one.module.entries if wanted(entry, cards)]


def end_of_superfluous_cubin(data, place, cards):
    """Where the zstd frame around a place ends, if it unpacks to a cubin of an SM that no card can run, whatever its suffix may be; else None."""
    begin = data.rfind(ZSTD_MAGIC, 0, place + 4)
    if begin == -1:
        return None
    rest, library = data[begin:], fatbins.libzstd()
    size, target = library.ZSTD_findFrameCompressedSize(rest, ctypes.c_size_t(len(rest))), ctypes.create_string_buffer(LARGEST_CUBIN)
    if size > len(rest) or place >= begin + size:
        return None
    unpacked = library.ZSTD_decompress(target, ctypes.c_size_t(LARGEST_CUBIN), rest, ctypes.c_size_t(size))
    cubin = target[:min(unpacked, 64)] if unpacked <= LARGEST_CUBIN else b""
    if cubin[:4] != b"\x7fELF" or cubin[18:20] != b"\xbe\0":
        return None
    sm = cubin[49 if cubin[8] >= 8 else 48]
    return None if any(might_run("cubin", sm, suffix, card) for suffix in ("", "a", "f") for card in cards) else begin + size


def marked(size, ranges):
    """A number whose byte at a place (the first one is the highest) is 255 within the ranges and 0 elsewhere: whole files are compared at once with it."""
    found = bytearray(size)
    for begin, end in ranges:
        found[begin:end] = b"\xff" * (min(end, size) - begin)
    return int.from_bytes(found, "big")


def judge(before, after, cards):
    """:raises AssertionError: something of a file was emptied that a wanted card might run, or became anything but zeros."""
    size = len(before)
    assert len(after) == size
    differs = int.from_bytes(before, "big") ^ int.from_bytes(after, "big")

    def first(number, begin=0):
        """The first place from one on where a number has a byte, or None."""
        found = NOT_ZERO.search(number.to_bytes(size, "big"), begin)
        return found.start() if found else None
    changed = [(found.start(), found.end()) for found in NOT_ZERO.finditer(differs.to_bytes(size, "big"))]
    place = first(marked(size, changed) & int.from_bytes(after, "big"))
    assert place is None, "byte %d is no zero" % place
    for begin, end in needed(before, cards):
        place = first(differs & marked(size, [(begin, end)]))
        assert place is None, "byte %d was emptied of code at %d to %d that %s might run" % (place, begin, end, " or ".join(cards))
    others, place = differs & ~marked(size, superfluous(before, cards)), 0
    while place is not None:
        place = first(others, place)
        if place is not None:
            end = end_of_superfluous_cubin(before, place, cards)
            assert end, "byte %d was emptied" % place
            place = end


def mutate(data, choices):
    """A mutation of a library: every second one is in the header of a container or entry, which are few among so much code."""
    if choices.randrange(2):
        return mutations.mutate(data, choices)
    data, heads = bytearray(data), []
    place = data.find(CONTAINER_MAGIC)
    while place != -1:
        heads += [place, *(entry.offset for entry in read_container(MemorySource(bytes(data)), place).entries)]
        place = data.find(CONTAINER_MAGIC, place + 1)
    for _count in range(choices.choice((1, 1, 2, 4)) if heads else 0):
        width = choices.choice((1, 2, 4, 8))
        place = choices.choice(heads) + choices.randrange(0, 72 - width)
        number = choices.choice((*mutations.NUMBERS, *fatbin_numbers(choices)))
        data[place:place + width] = (number & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(data)


def fatbin_numbers(choices):
    """Values that mean something in a header: SMs, kinds, flags, sizes."""
    return (choices.choice((75, 80, 86, 89, 90, 100, 120, 121)), choices.choice((1, 2, 8, 0x0101)), choices.choice((0x2000, 0x8000, 0x100000, 0x200000)),
            choices.randrange(1 << 12))


class Reader:
    """Prunes mutated files, each for cards that its bytes decide."""

    def __init__(self):
        self.program, self.folder = program(), tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with  # closed in close()
        self.path = os.path.join(self.folder.name, "libmutated.so")
        self.names, self.emptied, self.refused = [(cards, frozenset(removable_device_code.names(cards))) for cards in CARDS], 0, 0

    def read(self, data):
        """:raises AssertionError: something was emptied that a wanted card might run, or a refused file was changed."""
        cards, names = self.names[zlib.crc32(data) % len(CARDS)]
        pathlib.Path(self.path).write_bytes(data)
        try:
            said = self.program.prune(self.path, set(names))
        except (self.program.NotUnderstood, ValueError, struct.error):
            self.refused += 1
            assert pathlib.Path(self.path).read_bytes() == data, "it refuses a file and changes it"
            return
        after = pathlib.Path(self.path).read_bytes()
        self.emptied += said["emptied"]
        if after != data:
            judge(data, after, cards)

    def counts(self):
        """What was done, for the record."""
        return {"refused": self.refused, "pieces_emptied": self.emptied}

    def close(self):
        self.folder.cleanup()


def seeds(folder):
    """The samples that are libraries, under 64 kB, and such as cuBLASLt is: cubins that nvcc made, in frames of their own between containers."""
    found = [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_size < 1 << 16
             and path.read_bytes()[:4] == b"\x7fELF"]
    cubins = {path.name: path.read_bytes() for path in sorted(folder.glob("sm_*.cubin"))}
    alone = [fatbins.zstd(cubin) for cubin in cubins.values()]
    entries = [fatbins.entry(fatbins.CUBIN, 90, fatbins.ONLY, cubins["sm_90a.cubin"]), fatbins.entry(fatbins.CUBIN, 120, 0, cubins["sm_120.cubin"]),
               fatbins.entry(fatbins.PTX, 75, 0, b".version 8.0\n.target sm_75\n.entry answer() { ret; }" * 9),
               fatbins.entry(fatbins.CUBIN, 75, 0, cubins["sm_75.cubin"], packed=False), fatbins.entry(fatbins.LTO, 90, 0, b"LTO-IR " * 40)]
    return found + 3 * [fatbins.library(*alone[:3], fatbins.container(*entries[:3]), b"heuristics\0\0", *alone[3:], fatbins.container(*entries[3:]))]

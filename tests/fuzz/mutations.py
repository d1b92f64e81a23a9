"""What is done to files before they are read, and what must hold for every one of them.

    python -m pytest tests/cuda/test_hostile.py            # 20,000 mutations, in CI
    python tests/fuzz/run.py --of device_code           # a million, in as many processes as there are cores
"""
import os
import pathlib
import struct
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "cuda")]

from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import ld_cache, verdict  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import ByteSource, FormatError  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.device_code import read_device_code  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.elf import Elf  # noqa: E402

LONGEST = 1.0  # seconds for one file
# Numbers that break readers: the ends of every width, and offsets that point at themselves.
NUMBERS = [0, 1, 0x3f, 0x40, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0xffffffffffffffff]
MAGICS = [b"\x50\xed\x55\xba\x01\x00\x10\x00", b"\x7fELF\x02\x01\x01", b"!<arch>\n", b".version 9.0\n.target sm_90\n", b"libcuda.so.1\0", b"\x28\xb5\x2f\xfd"]


def mutate(data, choices):
    """A mutation of a file.

    :param choices: random.Random
    """
    data = bytearray(data)
    for _count in range(choices.choice((1, 1, 2, 3, 8, 30))):
        if not data:
            break
        # Headers stand at the start and, in ELF files, at the end.
        place = choices.choice((choices.randrange(min(len(data), 128)), choices.randrange(len(data)), max(len(data) - 1 - choices.randrange(2048), 0)))
        kind = choices.randrange(8)
        if kind == 0:
            data[place] ^= 1 << choices.randrange(8)
        elif kind == 1:
            data[place] = choices.randrange(256)
        elif kind in (2, 3):
            width = choices.choice((1, 2, 4, 8))
            number = choices.choice(NUMBERS + [place, len(data), choices.randrange(len(data))]) & (1 << 8 * width) - 1
            data[place:place + width] = number.to_bytes(width, "little")
        elif kind == 4:
            del data[place:]
        elif kind == 5:
            magic = choices.choice(MAGICS)
            data[place:place + len(magic)] = magic
        elif kind == 6:
            size = choices.randrange(1, 256)
            source = choices.randrange(len(data))
            data[place:place + size] = data[source:source + size]
        else:
            del data[place:place + choices.randrange(1, 64)]
    return bytes(data)


class Reader:
    """Reads mutated files from an anonymous file, as the real ones are read."""

    def __init__(self):
        self.descriptor = os.memfd_create("mutated")

    def read(self, data):
        """Everything that is done with a file that somebody else wrote. Fails with an exception, or where it takes too long."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, data, 0)
        begun = time.process_time()
        code = read_device_code(ByteSource.of_file(self.descriptor), "mutated.ptx")
        if code is not None:
            for capability in (90, 120):
                verdict.judge_file(code, capability, (13, 0))
            assert all("byte" in problem or "member" in problem or "archive" in problem or "PTX" in problem or ".ptx" in problem for problem in code.problems)
            for found in code.found:
                assert 0 <= found.module.offset < len(data)
                for entry in found.module.entries:
                    assert 0 <= entry.offset <= len(data) and 0 <= entry.size <= len(data)
        try:
            elf = Elf(ByteSource.of_file(self.descriptor))
            elf.dynamic()
            elf.interpreter()
            elf.imports(b"cuMemCreate")
        except FormatError:
            pass
        ld_cache.pick(ld_cache.read_cache(data), "libcuda.so.1", ["x86-64-v3"])
        took = time.process_time() - begun
        assert took < LONGEST, "%.2f s" % took

    def close(self):
        os.close(self.descriptor)


def seeds(folder):
    """Files to mutate: all samples under 64 kB, heads of the large ones, a linker cache."""
    result = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size < 1 << 16:
            result.append(path.read_bytes())
    result.append(cache_file())
    return result


def cache_file():
    """An ld.so.cache with two entries and one glibc-hwcaps name."""
    strings = b"libcuda.so.1\0/one/libcuda.so.1\0/two/glibc-hwcaps/x86-64-v3/libcuda.so.1\0x86-64-v3\0"
    base = 48 + 2 * 24
    entries = struct.pack("<iIIIQ", 0x303, base, base + 13, 0, 0) + struct.pack("<iIIIQ", 0x303, base, base + 31, 0, 0x40000000 << 32)
    extension = base + len(strings) + -(base + len(strings)) % 4
    table = struct.pack("<II", 0xEAA42174, 1) + struct.pack("<IIII", 1, 0, extension + 24, 4) + struct.pack("<I", base + 76)
    head = b"glibc-ld.so.cache1.1" + struct.pack("<IIB3xI12x", 2, len(strings), 2, extension)
    return (head + entries + strings).ljust(extension, b"\0") + table

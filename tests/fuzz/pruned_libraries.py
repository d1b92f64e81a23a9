"""Mutated libraries under prune-device-code: it refuses, or what it empties is code that another reader of fatbins (cuda_readiness) finds for a named target.

tests/cuda/test_pruned_libraries.py reads 2,000 of them.
"""
import importlib.machinery
import importlib.util
import os
import pathlib
import struct
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "cuda")]

from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import MemorySource  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.fatbin import (  # noqa: E402
    CONTAINER_MAGIC, architecture, read_container)

NAMES = frozenset(["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_100a", "sm_100f", "compute_75", "compute_90"])


def program():
    """prune-device-code as a module."""
    loader = importlib.machinery.SourceFileLoader("prune_device_code", str(ROOT / "roles" / "golden_image" / "files" / "prune-device-code"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prune_device_code", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def payloads(data, names):
    """Ranges of a file that hold code for the named targets, as cuda_readiness reads each container, wherever it lies."""
    found, place = [], data.find(CONTAINER_MAGIC)
    while place != -1 and place + 16 <= len(data):
        for entry in read_container(MemorySource(data), place).entries:
            header, = struct.unpack_from("<I", data, entry.offset + 4)
            if architecture(entry) in names:
                found.append(range(entry.offset + header, entry.offset + header + entry.size))
        place = data.find(CONTAINER_MAGIC, place + 1)
    return found


def is_cubin_alone(data, place, libzstd):
    """Whether a zstd frame around a place unpacks to a cubin for sm_100, all of whose names are among those to go: what is left of a damaged container."""
    begin = data.rfind(b"\x28\xb5\x2f\xfd", 0, place + 4)
    _size, cubin = libzstd.frame(data[begin:]) if begin != -1 else (0, b"")
    return cubin[:4] == b"\x7fELF" and cubin[18:20] == b"\xbe\0" and cubin[49 if cubin[8] >= 8 else 48] == 100


def changed(before, after):
    """Places of the bytes that differ."""
    return [place for place, (one, other) in enumerate(zip(before, after)) if one != other]


class Reader:
    """Prunes mutated files."""

    def __init__(self):
        self.program, self.folder = program(), tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with  # closed in close()
        self.path = os.path.join(self.folder.name, "libmutated.so")
        self.libzstd, self.emptied = self.program.Zstd(), 0

    def read(self, data):
        """:raises AssertionError: something was emptied that no card asked to be rid of, or a refused file was changed."""
        pathlib.Path(self.path).write_bytes(data)
        try:
            said = self.program.prune(self.path, set(NAMES))
        except (self.program.NotUnderstood, ValueError, struct.error):
            assert pathlib.Path(self.path).read_bytes() == data, "it refuses a file and changes it"
            return
        after = pathlib.Path(self.path).read_bytes()
        assert len(after) == len(data)
        self.emptied += said["emptied"]
        if after == data:
            return
        allowed = payloads(data, NAMES)
        for place in changed(data, after):
            assert any(place in one for one in allowed) or is_cubin_alone(data, place, self.libzstd), "byte %d was emptied" % place
            assert not after[place]

    def close(self):
        self.folder.cleanup()


def seeds(folder):
    """The samples that are libraries, under 64 kB."""
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_size < 1 << 16
            and path.read_bytes()[:4] == b"\x7fELF"]

"""prune-device-code on files that are written here byte by byte, by the layout of docs/cuda-readiness.md."""
import ctypes
import json
import struct
import subprocess
import sys

import pytest

from support import ROOT

PROGRAM = ROOT / "roles" / "golden_image" / "files" / "prune-device-code"
ZSTD, ONLY, FAMILY = 0x8000, 0x100000, 0x200000
PTX, CUBIN = 1, 2


def zstd(data):
    """One frame, by the system's libzstd."""
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = library.ZSTD_compressBound.restype = ctypes.c_size_t
    target = ctypes.create_string_buffer(library.ZSTD_compressBound(ctypes.c_size_t(len(data))))
    size = library.ZSTD_compress(target, ctypes.c_size_t(len(target)), data, ctypes.c_size_t(len(data)), 3)
    return target.raw[:size]


def cubin(sm):
    """The header of a CUDA ELF file of ABI 8, and some code."""
    return b"\x7fELF\2\1\1\x41\x08" + bytes(7) + struct.pack("<HHIQQQI", 2, 190, 1, 0, 0, 0, sm << 8) + bytes(12) + bytes(range(256)) * 4


def entry(kind, sm, flags, payload, packed=True):
    """An entry of a fatbin; its payload is padded to eight bytes."""
    stored = zstd(payload) if packed else payload
    padded = stored + bytes(-len(stored) % 8)
    return struct.pack("<HHIQI4xHHI8xQ8xQ", kind, 0x0101, 64, len(padded), len(stored) if packed else 0, 0, 9, sm, flags | (ZSTD if packed else 0),
                       len(payload) if packed else 0) + padded


def container(*entries):
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, sum(map(len, entries))) + b"".join(entries)


def library(*pieces):
    """An ELF file whose one section of data holds the pieces."""
    data = b"".join(pieces)
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(data), 0, 64, 0, 0, 64, 2, 0)
    return head + data + bytes(64) + struct.pack("<IIQQQQIIQQ", 0, 1, 2, 0, 64, len(data), 0, 0, 8, 0)


def prune(path, names):
    return subprocess.run([sys.executable, str(PROGRAM), names, str(path)], capture_output=True, text=True, check=False)


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "libcublas.so.13"


def test_only_what_is_named_is_emptied_and_everything_stays_where_it_is(path):
    kept = entry(CUBIN, 90, 0, cubin(90)), entry(CUBIN, 120, FAMILY, cubin(120)), entry(PTX, 75, 0, b".version 8.0\n.target sm_75\n.entry a" * 9)
    gone = entry(CUBIN, 90, ONLY, cubin(90)), entry(CUBIN, 80, 0, cubin(80), packed=False)
    path.write_bytes(library(container(kept[0], gone[0], kept[1]), b"between\0", container(gone[1], kept[2])))
    before = path.read_bytes()
    done = prune(path, "sm_80,sm_90a,sm_100")
    assert done.returncode == 0, done.stderr
    after = path.read_bytes()
    expected = before
    for one in gone:
        expected = expected.replace(one, one[:64] + bytes(len(one) - 64))
    assert after == expected != before
    said = json.loads(done.stdout)
    assert (said["entries"], said["emptied"], said["left"]) == (5, 2, ["compute_75", "sm_120f", "sm_90"])
    assert said["emptied_bytes"] == sum(len(one) - 64 for one in gone)


def test_a_second_time_it_changes_nothing(path):
    path.write_bytes(library(container(entry(CUBIN, 90, 0, cubin(90)))))
    prune(path, "sm_90")
    before = path.read_bytes()
    done = prune(path, "sm_90")
    assert (done.returncode, json.loads(done.stdout)["emptied"], path.read_bytes()) == (0, 0, before)


def test_a_cubin_in_a_frame_of_its_own_goes_where_all_its_names_do(path):
    alone = zstd(cubin(90))
    path.write_bytes(library(b"table\0\0\0", alone, b"more"))
    before = path.read_bytes()
    assert json.loads(prune(path, "sm_90,sm_90a").stdout)["emptied"] == 0
    assert path.read_bytes() == before, "nothing tells sm_90f from sm_90 there"
    done = json.loads(prune(path, "sm_90,sm_90a,sm_90f").stdout)
    assert (done["frames"], done["emptied"], done["emptied_bytes"]) == (1, 1, len(alone))
    assert path.read_bytes() == before.replace(alone, bytes(len(alone)))


def test_a_frame_that_holds_something_else_stays(path):
    path.write_bytes(library(zstd(b"heuristics, and no device code " * 40)))
    before = path.read_bytes()
    assert json.loads(prune(path, "sm_90,sm_90a,sm_90f").stdout)["frames"] == 0 and path.read_bytes() == before


def damaged(place, value):
    """A library of one entry, of which some bytes of its header are others."""
    data = bytearray(entry(CUBIN, 90, 0, cubin(90)))
    data[place:place + len(value)] = value
    return library(container(bytes(data)))


@pytest.mark.parametrize("content, said", [
    (b"no library at all" * 9, "no 64-bit ELF file"),
    (library(container(entry(CUBIN, 90, 0, cubin(90))))[:-100], "section headers"),
    (damaged(0, struct.pack("<H", 0x40)), "a header that nobody has described"),
    (damaged(2, b"\x02\x01"), "a header that nobody has described"),
    (damaged(4, struct.pack("<I", 32)), "a header that nobody has described"),
    (damaged(8, struct.pack("<Q", 1 << 40)), "a header that nobody has described"),
    (damaged(0x28, struct.pack("<Q", ZSTD | ONLY | FAMILY)), "contradict each other"),
    (damaged(0x28, struct.pack("<Q", 0)), "contradict each other"),
    (damaged(64, b"not zstd"), "not compressed as its header says"),
    (library(container(entry(CUBIN, 90, 0, cubin(90)))[:-8]), "ends behind"),
])
def test_what_is_not_understood_is_named_and_left_as_it_is(path, content, said):
    path.write_bytes(content)
    done = prune(path, "sm_90")
    assert done.returncode == 1 and said in done.stderr and "golden_image_prune: false" in done.stderr, done.stderr
    assert path.read_bytes() == content and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("names", ["", "120", "sm_120,all", "sm_1200"])
def test_a_name_that_is_none_is_refused(path, names):
    path.write_bytes(library(container(entry(CUBIN, 120, 0, cubin(120)))))
    before = path.read_bytes()
    assert prune(path, names).returncode == 1 and path.read_bytes() == before


def test_a_file_after_one_that_is_refused_is_not_touched(tmp_path):
    wrong, good = tmp_path / "wrong", tmp_path / "good"
    wrong.write_bytes(b"x" * 99)
    good.write_bytes(library(container(entry(CUBIN, 90, 0, cubin(90)))))
    before = good.read_bytes()
    done = subprocess.run([sys.executable, str(PROGRAM), "sm_90", str(wrong), str(good)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and str(wrong) in done.stderr and good.read_bytes() == before


def test_rights_and_owner_stay(path):
    path.write_bytes(library(container(entry(CUBIN, 90, 0, cubin(90)))))
    path.chmod(0o755)
    prune(path, "sm_90")
    assert path.stat().st_mode & 0o777 == 0o755

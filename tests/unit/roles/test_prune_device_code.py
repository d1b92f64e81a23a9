"""prune-device-code on files that are written here byte by byte, by the layout of docs/cuda-readiness.md."""
import hashlib
import json
import struct
import subprocess
import sys

import pytest

from support import ROOT
from support.fatbins import CUBIN, FAMILY, ONLY, PTX, ZSTD, container, cubin, entry, library, zstd

PROGRAM = ROOT / "roles" / "golden_image" / "files" / "prune-device-code"


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


@pytest.mark.parametrize("sm, too_few, all_of_them", [(90, "sm_90,sm_100,sm_100a,sm_100f", "sm_90,sm_90a"), (100, "sm_100,sm_100a", "sm_100,sm_100a,sm_100f")],
                         ids=["before there were families", "since"])
def test_a_cubin_in_a_frame_of_its_own_goes_where_all_its_names_do(path, sm, too_few, all_of_them):
    alone = zstd(cubin(sm))
    path.write_bytes(library(b"table\0\0\0", alone, b"more"))
    before = path.read_bytes()
    assert json.loads(prune(path, too_few).stdout)["emptied"] == 0
    assert path.read_bytes() == before, "nothing tells its names from each other there"
    done = json.loads(prune(path, all_of_them).stdout)
    assert (done["frames"], done["emptied"], done["emptied_bytes"]) == (1, 1, len(alone))
    assert path.read_bytes() == before.replace(alone, bytes(len(alone)))


def test_it_says_what_was_there_before(path):
    first, second, alone = entry(CUBIN, 80, 0, cubin(80)), entry(CUBIN, 80, 0, cubin(80), packed=False), zstd(cubin(90))
    path.write_bytes(library(container(first, entry(CUBIN, 90, ONLY, cubin(90))), alone, container(second)))
    said = json.loads(prune(path, "sm_80").stdout)
    code = first[64:] + second[64:]
    assert said["before"]["sm_80"] == [2, len(code), hashlib.sha256(code).hexdigest()] and sorted(said["before"]) == ["sm_80", "sm_90a"]
    assert said["frames_before"] == {"90": [1, len(alone), hashlib.sha256(alone).hexdigest()]}
    assert sorted(json.loads(prune(path, "sm_80").stdout)["before"]) == ["sm_90a"], "what is empty already is not there"


def test_a_frame_that_holds_something_else_stays(path):
    path.write_bytes(library(zstd(b"heuristics, and no device code " * 40)))
    before = path.read_bytes()
    assert json.loads(prune(path, "sm_90,sm_90a").stdout)["frames"] == 0 and path.read_bytes() == before


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

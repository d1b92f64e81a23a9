"""Devices, from captured texts and bytes of real ones."""
import json
import pathlib

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils import volume_survey

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures" / "volumes"
SUPERBLOCKS = json.loads((FIXTURES / "superblocks.json").read_text(encoding="utf-8"))


def reader(kind, **changes):
    """Reads a captured device; what was not captured is zeros. Changes: offset (oN) to bytes."""
    spots = {int(offset): bytes.fromhex(text) for offset, text in SUPERBLOCKS[kind]["bytes"].items()}
    spots.update({int(offset[1:]): content for offset, content in changes.items()})

    def read(offset, length):
        held = bytearray(length)
        for start, content in spots.items():
            for position in range(max(start, offset), min(start + len(content), offset + length)):
                held[position - offset] = content[position - start]
        return bytes(held)
    return read


def test_signatures_of_a_partition_table():
    found = volume_survey.signatures((FIXTURES / "wipefs-gpt.json").read_text(encoding="utf-8"))
    assert [(entry["type"], entry["offset"]) for entry in found] == [("gpt", 512), ("gpt", 0x18FFFE00), ("PMBR", 510)]


@pytest.mark.parametrize("text", ["", '{"signatures": []}', '{\n   "signatures": [\n\n   ]\n}\n'])
def test_no_signatures(text):
    assert volume_survey.signatures(text) == []


@pytest.mark.parametrize("text", ["wipefs: error", "[]", '{"signatures": 5}', '{"signatures": [{"type": "xfs"}]}',
                                  '{"signatures": [{"type": "xfs", "offset": "x"}]}',
                                  '{"signatures": [', '{"signatures": [{"type": 5, "offset": "0x0"}]}'])
def test_a_device_of_which_wipefs_says_nonsense_is_not_taken_for_empty(text):
    with pytest.raises(volume_survey.Unreadable, match="wipefs"):
        volume_survey.signatures(text)


@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_a_device_that_is_smaller_than_a_superblock_is_no_whole_file_system(kind):
    assert volume_survey.file_system(kind, lambda _offset, _length: b"XFSB") == {"type": kind, "size": None, "complete": False}


@pytest.mark.parametrize("start, blank", [(bytes(64), True), (b"\xff" * 64, True), (b"", True), (bytes(63) + b"\x01", False), (b"\xff" * 63 + b"\0", False)])
def test_blank(start, blank):
    assert volume_survey.is_blank(start) is blank


@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_a_fresh_file_system_fills_its_device_and_is_complete(kind):
    assert volume_survey.file_system(kind, reader(kind)) == {"type": kind, "size": SUPERBLOCKS[kind]["device_size"], "complete": True}


def test_an_ext4_without_64_bits_has_no_high_half_of_its_size():
    block = bytearray(bytes.fromhex(SUPERBLOCKS["ext4"]["bytes"]["1024"]))
    block[0x150:0x154] = b"\x01\0\0\0"
    assert volume_survey.file_system("ext4", reader("ext4", o1024=bytes(block)))["size"] == (1 << 32) * 1024 + SUPERBLOCKS["ext4"]["device_size"]
    block[96] &= 0x7F
    assert volume_survey.file_system("ext4", reader("ext4", o1024=bytes(block)))["size"] == SUPERBLOCKS["ext4"]["device_size"]


def test_the_size_of_a_mounted_xfs():
    assert volume_survey.xfs_size(bytes.fromhex(SUPERBLOCKS["xfs_fsgeometry"])) == 400 << 20


def spots(kind):
    return sorted(int(offset) for offset in SUPERBLOCKS[kind]["bytes"])


@pytest.mark.parametrize("kind, spot", [("xfs", spot) for spot in spots("xfs")[1:]] + [("ext4", spot) for spot in spots("ext4")[1:]])
def test_each_part_that_is_missing_makes_it_incomplete(kind, spot):
    found = volume_survey.file_system(kind, reader(kind, **{"o%d" % spot: bytes(4)}))
    assert found["complete"] is False and found["size"] == SUPERBLOCKS[kind]["device_size"]


def test_an_xfs_whose_mkfs_never_ended_is_incomplete():
    assert volume_survey.file_system("xfs", reader("xfs", o126=b"\x01"))["complete"] is False


def test_a_file_system_cut_off_by_the_end_of_its_device_is_incomplete():
    whole = reader("xfs")
    last = spots("xfs")[-1]
    assert volume_survey.file_system("xfs", lambda offset, length: whole(offset, length) if offset < last else b"")["complete"] is False


def test_of_another_file_system_nothing_is_said():
    assert volume_survey.file_system("btrfs", reader("xfs")) == {"type": "btrfs", "size": None, "complete": None}


FSTAB = """
# /etc/fstab: static file system information.
UUID=344bba50-D62A-430b-9a40-4987122cec22 /nvme/ xfs defaults,noatime 0 2
LABEL=two\\040words /srv/two\\040words ext4
/dev/disk/by-id/one\t/srv/one\text4\tdefaults
broken
/swap.img none swap sw 0 0
"""


def test_entries_of_fstab():
    found = volume_survey.fstab(FSTAB)
    assert [(entry["device"], entry["mount"], entry["type"]) for entry in found] == [
        ("UUID=344bba50-D62A-430b-9a40-4987122cec22", "/nvme", "xfs"), ("LABEL=two words", "/srv/two words", "ext4"),
        ("/dev/disk/by-id/one", "/srv/one", "ext4"), ("/swap.img", "none", "swap")]
    assert found[0]["options"] == ["defaults", "noatime"] and found[1]["options"] == []


FOUND = {"real": "/dev/nvme0n1", "signatures": [{"type": "xfs", "offset": 0, "uuid": "344bba50-d62a-430b-9a40-4987122cec22", "label": "two words"}]}


@pytest.mark.parametrize("device, same", [
    ("UUID=344bba50-D62A-430b-9a40-4987122cec22", True), ('UUID="344bba50-d62a-430b-9a40-4987122cec22"', True), ("UUID=0", False), ("LABEL=two words", True),
    ("LABEL=two", False),
    ("PARTUUID=344bba50-d62a-430b-9a40-4987122cec22", False), ("PARTUUID=0F7C1A2B-02", True), ('PARTUUID="0f7c1a2b-02"', True),
    ("PARTLABEL=models on nvme", True), ("PARTLABEL=models", False), ("PARTUUID=", False), ("SERIAL=1", False),
    ("/dev/disk/by-id/one", True), ("/dev/disk/by-id/other", False), ("tmpfs", False),
])
def test_whether_an_entry_of_fstab_means_the_device(device, same):
    links = {"/dev/disk/by-id/one": "/dev/nvme0n1", "/dev/disk/by-partuuid/0f7c1a2b-02": "/dev/nvme0n1",
             "/dev/disk/by-partlabel/models\\x20on\\x20nvme": "/dev/nvme0n1"}
    assert volume_survey.fstab_names_device({"device": device}, FOUND, lambda path: links.get(path, path)) is same


def test_an_empty_device_is_no_entry_without_a_uuid():
    assert volume_survey.fstab_names_device({"device": "UUID="}, {"real": "/dev/x", "signatures": []}, str) is False


@pytest.mark.parametrize("mount, unit", [  # as systemd-escape --path --suffix=mount of systemd 257 prints them
    ("/nvme/models", "nvme-models.mount"), ("/srv/a-b", "srv-a\\x2db.mount"), ("/srv/.x", "srv-.x.mount"), ("/srv/a b", "srv-a\\x20b.mount"),
    ("/srv/ü//x/", "srv-\\xc3\\xbc-x.mount"), ("/", "-.mount"), ("/.a", "\\x2ea.mount"),
])
def test_names_of_units(mount, unit):
    assert volume_survey.unit_name(mount) == unit

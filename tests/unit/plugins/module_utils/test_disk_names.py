"""Which block devices are disks, and by which name each is called."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import disk_names


@pytest.mark.parametrize(("name", "removable", "expected"), [
    ("nvme0n1", "0", True), ("sda", "0\n", True), ("vda", "0", True), ("sdb", "1\n", False), ("loop3", "0", False), ("zram0", "0", False),
    ("dm-0", "0", False), ("md127", "0", False), ("sr0", "1", False), ("fd0", "0", False)])
def test_disks_stay_in_their_host(name, removable, expected):
    assert disk_names.is_disk(name, removable) is expected


@pytest.mark.parametrize(("links", "expected"), [
    (["/dev/disk/by-id/wwn-0x5000", "/dev/disk/by-id/ata-MAKER_MODEL_0001"], "/dev/disk/by-id/ata-MAKER_MODEL_0001"),
    (["/dev/disk/by-id/nvme-eui.0025", "/dev/disk/by-id/nvme-MAKER_0001_1", "/dev/disk/by-id/nvme-MAKER_0001"], "/dev/disk/by-id/nvme-MAKER_0001"),
    (["/dev/disk/by-path/pci-0000:01:00.0-nvme-1"], "/dev/disk/by-path/pci-0000:01:00.0-nvme-1"),
    (["/dev/disk/by-path/pci-0", "/dev/disk/by-id/wwn-0x5000"], "/dev/disk/by-id/wwn-0x5000"),
    (["/dev/disk/by-uuid/abc"], None), ([], None)])
def test_the_name_that_people_read_is_taken(links, expected):
    assert disk_names.stable_name(links) == expected


def test_the_module_finds_the_links_of_each_device(tmp_path, monkeypatch):
    from ansible_collections.protocol_omni.bunker.plugins.modules import disk_info
    (tmp_path / "sda").touch()
    (tmp_path / "by-id").mkdir()
    for name in ("ata-A", "wwn-A"):
        (tmp_path / "by-id" / name).symlink_to(tmp_path / "sda")
    monkeypatch.setattr(disk_info, "FOLDERS", (str(tmp_path / "by-id"), str(tmp_path / "absent")))
    assert disk_info.links() == {str(tmp_path / "sda"): [str(tmp_path / "by-id" / "ata-A"), str(tmp_path / "by-id" / "wwn-A")]}

"""Where a draft puts data: disks by any of their names, disks that it had before, file systems that are mounted."""
import pytest
from bare_hosts import EMPTY_1, EMPTY_2, GIB, ROOT_ONLY, SYSTEM_DISK, disk, host

from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import disks

XFS = [{"type": "xfs", "offset": 0, "uuid": "u", "label": None}]


def formatted(empty, mount):
    """The disk as it is after site.yml."""
    return dict(empty, signatures=XFS, blank=False, mounted_at=[mount], file_system={"type": "xfs", "size": empty["size"], "complete": True})


def written(survey, *wanted, **values):
    found, problems = disks.chosen(wanted, survey)
    assert problems == []
    return disks.variables(found, host(**values))


def test_a_disk_may_be_given_by_any_of_its_names():
    known = dict(EMPTY_1, links=[EMPTY_1["device"], "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4"])
    found, problems = disks.chosen(["/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", EMPTY_1["real"], EMPTY_1["device"]], [SYSTEM_DISK, known])
    assert problems == [] and [one["device"] for one in found] == [EMPTY_1["device"]]


def test_a_disk_that_refuses_writes_is_refused():
    found, problems = disks.chosen([EMPTY_1["device"]], [dict(EMPTY_1, read_only=True)])
    assert found == [] and "read-only" in problems[0].rule


def test_a_disk_that_cannot_be_read_says_so():
    lost = dict(disk("ata-LOST", 0, blank=None), unreadable="Input/output error")
    found, problems = disks.chosen([lost["device"]], [lost, EMPTY_1])
    assert found == [] and "Input/output error" in problems[0].rule and EMPTY_1["device"] in problems[0].remedy
    assert disks.empty([lost, EMPTY_1]) == [EMPTY_1]


@pytest.mark.parametrize("wanted", [(), (EMPTY_2["device"],)])
def test_disks_that_the_inventory_formatted_before_stay_in_it(wanted):
    before = written([SYSTEM_DISK, EMPTY_1, EMPTY_2], EMPTY_1["device"], EMPTY_2["device"])
    after = [SYSTEM_DISK, formatted(EMPTY_1, "/srv/bunker"), formatted(EMPTY_2, "/srv/bunker/models")]
    assert written(after, *wanted, engine="28.5.2", engine_root="/srv/bunker/docker") == before
    assert before["container_engine_data_root"] == "/srv/bunker/docker"


def test_an_engine_that_was_there_first_keeps_its_data():
    assert "container_engine_data_root" not in written([formatted(EMPTY_1, "/srv/bunker")], engine="28.5.2", engine_root="/var/lib/docker")


def test_a_disk_more_leaves_the_others_where_they_are():
    found = written([formatted(EMPTY_1, "/srv/bunker"), EMPTY_2], EMPTY_2["device"])
    assert found["disk_layout_volumes"] == [{"device": EMPTY_1["device"], "mount": "/srv/bunker"}, {"device": EMPTY_2["device"], "mount": "/srv/bunker/disk2"}]
    assert found["disk_layout_directories"][:2] == [{"path": "/srv/bunker/cache"}, {"path": "/srv/bunker/models"}]


def test_a_disk_that_somebody_else_mounted_stays_his():
    found, problems = disks.chosen([EMPTY_1["device"]], [formatted(EMPTY_1, "/srv/bunkers")])
    assert found == [] and "mounted at /srv/bunkers" in problems[0].rule


def at(path, free, **values):
    return dict({"path": path, "device": "/dev/sdz1", "type": "ext4", "options": ["rw"], "size": 2 * free * GIB, "free": free * GIB}, **values)


@pytest.mark.parametrize("path", ["/mnt/usb stick", "/media/u/STICK", "/var/lib/containers/storage/overlay", "/etc/hosts", "/run/user/0", "/home"])
def test_a_file_system_that_is_not_for_models_is_not_taken(path):
    assert disks.variables([], host(mounts=[at("/", 20), at(path, 1900)])) == {}


def test_a_file_system_whose_name_begins_like_another_is_taken():
    assert disks.variables([], host(mounts=[at("/", 20), at("/homes", 1900)]))["model_store_path"] == "/homes/bunker/models"


def test_image_and_build_take_room_too():
    # host_rules.room: 772 MB and half, twice, for the image and its archive; 10.8 GB for the build
    taken = 2 * 1158000000 + 10800000000
    assert disks.room_for_models([], host()) == 400 * GIB - taken
    assert disks.room_for_models([], host(mounts=[dict(ROOT_ONLY["mounts"][0], free=6 * GIB)])) == 6 * GIB  # preflight says what is missing
    one, _problems = disks.chosen([EMPTY_1["device"]], [EMPTY_1, EMPTY_2])
    both, _problems = disks.chosen([EMPTY_1["device"], EMPTY_2["device"]], [EMPTY_1, EMPTY_2])
    assert disks.room_for_models(one, host()) == int(EMPTY_1["size"] * 0.97) - taken
    assert disks.room_for_models(both, host()) == int(EMPTY_2["size"] * 0.97)

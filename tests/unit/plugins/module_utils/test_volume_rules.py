"""An empty disk has no problems; each test spoils one thing and expects what was found, the rule and the remedy."""
import copy

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules, volume_rules

GIB = 1 << 30
WANTED = {"device": "/dev/disk/by-id/nvme-one", "mount": "/nvme", "filesystem": "xfs", "fill_limit": 90}
EMPTY = {
    "device": WANTED["device"], "mount": "/nvme", "kind": "block", "real": "/dev/nvme0n1", "number": "259:0", "size": 100 * GIB, "read_only": False,
    "signatures": [], "partitions": [], "holders": [], "blank": True, "file_system": None, "mounted_at": [], "at_mount": None, "place": "absent",
    "hidden": [], "fstab": [], "use": None,
}
XFS = {"signatures": [{"type": "xfs", "offset": 0, "uuid": "u", "label": None}], "blank": False,
       "file_system": {"type": "xfs", "size": 100 * GIB, "complete": True}}
MOUNTED = dict(XFS, mounted_at=["/nvme"], at_mount={"device": "/dev/nvme0n1", "type": "xfs", "number": "259:0"}, place="folder", use=40)
FSTAB = {"device": "UUID=u", "mount": "/nvme", "type": "xfs", "options": [], "same_device": True}


def found(*changes, **more):
    state = copy.deepcopy(EMPTY)
    for change in changes + (more,):
        state.update(copy.deepcopy(change))
    return state


def judged(state, **wanted):
    actions, problems = volume_rules.judge([dict(WANTED, **wanted)], [state])
    return actions[0], problems


def doing(action):
    return {key for key in ("format", "mount_now", "grow", "keeps") if action[key]}


def signature(kind, offset=0):
    return {"signatures": [{"type": kind, "offset": offset, "uuid": "u", "label": None}], "blank": False,
            "file_system": {"type": kind, "size": 100 * GIB, "complete": True} if kind in ("xfs", "ext4") else {"type": kind, "size": None, "complete": None}}


@pytest.mark.parametrize("state, does", [
    (found(), {"format", "mount_now"}),
    (found(place="folder"), {"format", "mount_now"}),
    (found(XFS), {"mount_now", "keeps"}),
    (found(XFS, file_system={"type": "xfs", "size": 50 * GIB, "complete": True}), {"mount_now", "keeps", "grow"}),
    (found(XFS, file_system={"type": "xfs", "size": 100 * GIB - (1 << 20), "complete": True}), {"mount_now", "keeps"}),
    (found(MOUNTED), {"keeps"}),
    (found(MOUNTED, file_system={"type": "xfs", "size": 50 * GIB, "complete": True}), {"keeps", "grow"}),
    # What its files hold may look like a signature at the device's end; nothing is formatted here, so that is no concern.
    (found(MOUNTED, signatures=XFS["signatures"] + signature("gpt", 7)["signatures"]), {"keeps"}),
    (found(MOUNTED, signatures=[], blank=True), {"keeps"}),
    # Bind mounts of what is where it belongs.
    (found(MOUNTED, mounted_at=["/nvme", "/mnt/bind"]), {"keeps"}),
    (found(XFS, fstab=[FSTAB]), {"mount_now", "keeps"}),
])
def test_sound_volumes_and_what_is_done(state, does):
    action, problems = judged(state)
    assert problems == []
    assert doing(action) == does


def test_ext4_grows_too():
    state = found(XFS, **signature("ext4", 1080))
    state["file_system"] = {"type": "ext4", "size": 50 * GIB, "complete": True}
    action, problems = judged(state, filesystem="ext4")
    assert problems == [] and doing(action) == {"mount_now", "keeps", "grow"}


@pytest.mark.parametrize("state, manager", [(found(XFS, fstab=[FSTAB]), "fstab"), (found(XFS), "unit")])
def test_fstab_stays_the_manager_of_what_it_mounts(state, manager):
    assert judged(state)[0]["manager"] == manager


def test_what_an_action_names():
    action, _problems = judged(found(), mount="/nvme/build-cache")
    assert (action["unit"], action["device"], action["filesystem"]) == ("nvme-build\\x2dcache.mount", WANTED["device"], "xfs")


@pytest.mark.parametrize("state, rule, remedy", [
    (found(kind="missing", number=None, size=0), "the device is not there", "Connect the disk"),
    (found(kind="other", number=None, size=0), "it is not a block device", "ls -l /dev/disk/by-id/"),
    (found(size=0), "no capacity", "dmesg"),
    (found(signature("ext4", 1080)), "it carries the file system or signature ext4 at byte 1080, UUID u", "wipefs --no-act /dev/disk/by-id/nvme-one"),
    (found(signature("LVM2_member", 536)), "an LVM physical volume at byte 536", "wipefs --all /dev/disk/by-id/nvme-one"),
    (found(signature("linux_raid_member", 4096)), "a member of a RAID (md)", "Only when you are sure"),
    (found(signature("crypto_LUKS")), "an encrypted volume (LUKS)", "Only when you are sure"),
    (found(signature("swap", 4086)), "swap space", "Only when you are sure"),
    (found(signature("zfs_member")), "a member of a ZFS pool", "Only when you are sure"),
    (found(signature("dos", 510)), "a partition table (dos)", "Only when you are sure"),
    (found(signature("btrfs", 65600)), "the file system or signature btrfs at byte 65600", "Only when you are sure"),
    (found(XFS, signatures=XFS["signatures"] + signature("gpt", 512)["signatures"], file_system=None), "a partition table (gpt)", "Only when you are sure"),
    (found(blank=False), "its first MiB is not blank", "dd if=/dev/zero of=/dev/disk/by-id/nvme-one bs=1M count=1"),
    (found(signature("gpt", 512), partitions=["nvme0n1p1"]), "it has partitions: nvme0n1p1", "-partN"),
    (found(signature("LVM2_member"), holders=["dm-0"]), "it is in use by dm-0", "lsblk"),
    (found(holders=["md0"]), "it is in use by md0", "lsblk"),
    (found(XFS, mounted_at=["/data"]), "it is mounted at /data", "Set mount: /data"),
    (found(read_only=True), "the device is read-only", "blockdev --getro"),
    (found(XFS, file_system={"type": "xfs", "size": 100 * GIB + 4096, "complete": True}), "shrinking is refused", "former size"),
    (found(XFS, file_system={"type": "xfs", "size": 100 * GIB, "complete": False}), "its xfs is incomplete", "interrupted"),
    (found(MOUNTED, at_mount={"device": "/dev/nvme0n1", "type": "ext4", "number": "259:0"}),
     "it is mounted with ext4, the inventory wants xfs", "Set filesystem: ext4"),
    (found(at_mount={"device": "/dev/sda1", "type": "ext4", "number": "8:1"}, place="folder"), "/dev/sda1 (ext4) is mounted at /nvme", "umount /nvme"),
    (found(place="link"), "symbolic link", "realpath"),
    (found(place="other"), "/nvme is not a folder", "Move it away"),
    (found(place="folder", hidden=["models"]), "/nvme is not empty (models); a mount would hide what is in it", "mv /nvme /nvme.before"),
    (found(fstab=[dict(FSTAB, device="UUID=v", same_device=False)]), "/etc/fstab mounts UUID=v at /nvme, which is another device", "Remove that line"),
    (found(XFS, fstab=[dict(FSTAB, mount="/data")]), "/etc/fstab mounts UUID=u at /data", "set mount: /data"),
])
def test_a_spoilt_volume_is_refused(state, rule, remedy):
    _action, problems = judged(state)
    assert len(problems) == 1, problems
    problem = problems[0]
    assert problem.value == "volume /nvme on /dev/disk/by-id/nvme-one"
    assert rule in problem.rule and remedy in problem.remedy, problem


@pytest.mark.parametrize("state", [
    found(signature("swap")), found(size=0), found(blank=False), found(partitions=["p1"]), found(holders=["dm-0"]), found(mounted_at=["/x"])])
def test_nothing_that_would_be_formatted_goes_without_a_problem(state):
    """Each of them spoils formatting on its own, whatever the other facts say."""
    action, problems = judged(state)
    assert problems and not action["format"]


@pytest.mark.parametrize("kind", ["xfs", "ext4", "btrfs", "gpt", "dos", "LVM2_member", "swap", "unheard_of"])
@pytest.mark.parametrize("mounted", [{}, {"at_mount": MOUNTED["at_mount"], "mounted_at": ["/nvme"]}])
def test_a_device_with_a_signature_is_never_formatted(kind, mounted):
    assert not judged(found(signature(kind), blank=True, **mounted))[0]["format"]


def two(**second):
    wanted = [WANTED, dict(WANTED, device="/dev/disk/by-id/nvme-two", mount="/nvme/models")]
    states = [found(), found(device="/dev/disk/by-id/nvme-two", mount="/nvme/models", real="/dev/nvme1n1", number="259:1", **second)]
    return volume_rules.judge(wanted, states)


def test_two_volumes():
    actions, problems = two()
    assert problems == [] and [action["unit"] for action in actions] == ["nvme.mount", "nvme-models.mount"]


def test_two_links_to_one_device():
    states = [found(), found(mount="/nvme/models")]
    _actions, problems = volume_rules.judge([WANTED, dict(WANTED, device="/dev/disk/by-uuid/u", mount="/nvme/models")], states)
    assert [problem.rule for problem in problems] == ["both name the device /dev/nvme0n1"]
    assert "/nvme and /nvme/models" in problems[0].value


def test_two_devices_at_one_mount_point():
    states = [found(), found(real="/dev/nvme1n1", number="259:1")]
    _actions, problems = volume_rules.judge([WANTED, dict(WANTED, device="/dev/disk/by-id/nvme-two")], states)
    assert [problem.rule for problem in problems] == ["both name the mount point /nvme"]


def test_two_missing_devices_are_two_problems_and_no_third():
    wanted = [WANTED, dict(WANTED, device="/dev/disk/by-id/nvme-two", mount="/nvme/models")]
    states = [found(kind="missing", number=None, size=0), found(kind="missing", number=None, size=0, mount="/nvme/models")]
    assert len(volume_rules.judge(wanted, states)[1]) == 2


def test_all_problems_stand_in_one_list():
    _actions, problems = two(**dict(signature("swap"), place="folder", hidden=["x"]))
    lines = inventory_rules.numbered(problems)
    assert [line[:2] for line in lines] == ["1.", "2."]
    assert "swap space" in lines[0] and "not empty (x)" in lines[1]


@pytest.mark.parametrize("state, mounted, room, observed", [
    (found(MOUNTED), True, True, "/nvme: /dev/disk/by-id/nvme-one xfs"),
    (found(MOUNTED, use=90), True, True, "/nvme: /dev/disk/by-id/nvme-one xfs"),
    (found(MOUNTED, use=91), True, False, "/nvme: /dev/disk/by-id/nvme-one xfs"),
    (found(), False, False, "/nvme: not mounted"),
    (found(at_mount={"device": "/dev/sda1", "type": "xfs", "number": "8:1"}), False, False, "/nvme: /dev/sda1 xfs"),
    (found(MOUNTED, at_mount={"device": "/dev/nvme0n1", "type": "ext4", "number": "259:0"}), False, True, "/nvme: /dev/disk/by-id/nvme-one ext4"),
])
def test_claims(state, mounted, room, observed):
    results = volume_rules.claims([WANTED], [state])
    assert results["volumes.mounted"]["holds"] is mounted and results["volumes.mounted"]["observed"] == observed
    assert results["volumes.room"]["holds"] is room


def test_one_volume_without_room_is_enough():
    states = [found(MOUNTED), found(MOUNTED, mount="/nvme/models", use=95)]
    assert volume_rules.claims([WANTED, dict(WANTED, mount="/nvme/models")], states)["volumes.room"]["holds"] is False


def test_claims_of_no_volumes_do_not_apply():
    results = volume_rules.claims([], [])
    assert all("disk_layout_volumes" in result["does_not_apply"] for result in results.values()) and len(results) == 2

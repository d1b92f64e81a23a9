"""What disk_layout does with disks that are full of surprises: real block devices, real file systems, real systemd.

docs/disk-faults.md tells what these tests prove.
"""
import re
import subprocess
import time

import pytest
from support.hosts import Host, bare

BY_ID = "/dev/disk/by-id/"
PLAYBOOK = "molecule/disk_layout/converge.yml"
VOLUMES = [
    {"device": BY_ID + "stand-in-disk-1", "mount": "/srv/fast"},
    {"device": BY_ID + "stand-in-disk-2", "mount": "/srv/fast/models", "filesystem": "ext4"},
]
DIRECTORIES = [{"path": "/srv/fast/docker", "mode": "0710"}]


class LayoutHost(Host):
    """A bare host on which the role runs."""

    def lay_out(self, *options, volumes=tuple(VOLUMES), directories=()):
        """Runs the role."""
        return self.run(PLAYBOOK, *options, extra_vars={"disk_layout_volumes": list(volumes), "disk_layout_directories": list(directories)})

    def refused(self, *volumes):
        """Runs the role, which must refuse and change nothing; returns the message."""
        run = self.lay_out(volumes=volumes)
        assert run.rc != 0 and len(run.failures) == 1 and run.changed == set(), run.output[-3000:]
        return run.failures[0]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    machine = LayoutHost("bunker-test-disk-layout", tmp_path_factory.mktemp("disks"))
    with bare(machine.host):
        machine.run("molecule/disk_layout/prepare.yml").assert_ok()
        yield machine
        own = set(machine.sh("stat --format %i /var/lib/docker/stand-in-disks/*").split())
        before = loop_files()
    assert own & before  # or the next line could not fail
    assert not own & loop_files()


def loop_files():
    """Inodes of the files behind the machine's loop devices. Other hosts may have disks of the same name."""
    return set(subprocess.run(["losetup", "--list", "--noheadings", "--output", "BACK-INO"], capture_output=True, text=True, check=True).stdout.split())


@pytest.fixture(scope="module")
def laid_out(host):
    """Two volumes, one below the other, with data on both."""
    predicted = host.lay_out("--check", "--diff", directories=DIRECTORIES).assert_ok()
    first = host.lay_out(directories=DIRECTORIES).assert_ok()
    host.sh("for file in %s; do dd if=/dev/urandom of=$file bs=1M count=20 status=none; done; sync" % " ".join(DATA))
    return predicted, first


DATA = ("/srv/fast/docker/data", "/srv/fast/models/data")


def test_check_mode_predicts_the_layout(laid_out):
    predicted, first = laid_out
    assert predicted.changed == first.changed
    assert {"Format the empty devices", "Write the mount units", "Mount the volumes", "Make the folders on the volumes"} <= first.changed
    assert "What=/dev/disk/by-id/stand-in-disk-1" in predicted.output


def test_the_volumes_are_mounted_where_they_belong(host, laid_out):
    assert host.sh("findmnt --noheadings --output FSTYPE /srv/fast") == "xfs"
    assert host.sh("findmnt --noheadings --output FSTYPE /srv/fast/models") == "ext4"
    assert host.sh("systemctl is-active srv-fast.mount srv-fast-models.mount").split() == ["active", "active"]
    assert "local-fs.target" not in host.sh("systemctl show --property Before --property RequiredBy srv-fast.mount")  # a missing disk stops no boot
    assert "noatime" in host.sh("findmnt --noheadings --output OPTIONS /srv/fast")


def test_a_second_run_changes_nothing(host, laid_out):
    assert host.lay_out(directories=DIRECTORIES).assert_ok().changed == set()


def test_changed_mount_options_take_effect(host, laid_out):
    sums = host.sums(*DATA)
    volumes = [dict(VOLUMES[0], options=["noatime", "nodev"]), VOLUMES[1]]
    assert host.lay_out(volumes=volumes, directories=DIRECTORIES).assert_ok().changed == {"Write the mount units", "Mount the volumes"}
    assert "nodev" in host.sh("findmnt --noheadings --output OPTIONS /srv/fast")
    assert host.lay_out(directories=DIRECTORIES).assert_ok().changed == {"Write the mount units", "Mount the volumes"}
    assert host.sums(*DATA) == sums


def test_growth_keeps_the_data(host, laid_out):
    """XFS. ext4 grows while mounted only where CAP_SYS_RESOURCE is, which a test host may lack; that it would be grown is a unit test."""
    sums = host.sums(*DATA)
    blocks = "stat --file-system --format %b /srv/fast"
    before = int(host.sh(blocks))
    host.sh("truncate --size 800M /var/lib/docker/stand-in-disks/stand-in-disk-1; losetup --set-capacity $(realpath %sstand-in-disk-1)" % BY_ID)
    grow = {"Grow the file systems to the size of their devices"}
    assert host.lay_out("--check", directories=DIRECTORIES).assert_ok().changed == grow
    assert host.lay_out(directories=DIRECTORIES).assert_ok().changed == grow
    after = int(host.sh(blocks))
    assert after > 1.8 * before
    assert host.sums(*DATA) == sums
    assert host.lay_out(directories=DIRECTORIES).assert_ok().changed == set()


HEARTBEAT = """
[Unit]
RequiresMountsFor=/srv/fast
BindsTo=srv-fast.mount
After=srv-fast.mount
[Install]
WantedBy=multi-user.target
[Service]
ExecStart=/bin/sh -c 'while sleep 0.1; do date +%s.%N >> /srv/fast/docker/heartbeat; done'
"""


@pytest.fixture
def heartbeat(host, laid_out):
    """A service that writes to a volume and is bound to its mount. It runs."""
    host.sh("cat > /etc/systemd/system/heartbeat.service; systemctl daemon-reload; systemctl enable --now heartbeat", HEARTBEAT)
    written = "/srv/fast/docker/heartbeat"
    host.sh("rm -f {0}; for i in $(seq 100); do sleep 0.1; test -s {0} && break; done; test -s {0}".format(written))
    yield
    host.sh("systemctl disable --now heartbeat")


def test_a_lost_mount_stops_what_is_bound_to_it_and_the_next_run_mounts_again(host, laid_out, heartbeat):
    sums = host.sums(*DATA)
    host.sh("umount --lazy /srv/fast")
    for _attempt in range(100):
        if host.execute("systemctl is-active heartbeat")[1].strip() == "inactive":
            break
        time.sleep(0.1)
    assert host.execute("systemctl is-active heartbeat")[1].strip() == "inactive"
    assert host.sh("ls -A /srv/fast") == ""

    checked = host.run("molecule/disk_layout/verify.yml", extra_vars={"disk_layout_volumes": VOLUMES})
    assert checked.rc != 0 and "/srv/fast: not mounted" in checked.failures[0]

    host.sh("mv %sstand-in-disk-1 %saway" % (BY_ID, BY_ID))
    assert host.execute("systemctl start heartbeat")[0] != 0
    assert host.sh("ls -A /srv/fast") == ""
    assert "volume /srv/fast on /dev/disk/by-id/stand-in-disk-1: the device is not there. Connect the disk" in host.refused(*VOLUMES)

    host.sh("mv %saway %sstand-in-disk-1" % (BY_ID, BY_ID))
    assert host.lay_out(directories=DIRECTORIES).assert_ok().changed == {"Mount the volumes"}
    assert host.sums(*DATA) == sums
    host.sh("systemctl start heartbeat")


def test_a_host_that_was_killed_boots_without_its_disks_and_the_next_run_mounts_them(host, laid_out, heartbeat):
    """kill -9 of everything; afterwards the disks are gone, come back, and hold what they held."""
    sums = host.sums(*DATA)
    subprocess.run(["docker", "kill", host.host], check=True, capture_output=True)
    subprocess.run(["docker", "start", host.host], check=True, capture_output=True)
    for _attempt in range(30):
        if host.execute("systemctl is-active multi-user.target")[1].strip() == "active":
            break
        time.sleep(1)
    assert host.sh("systemctl is-active multi-user.target") == "active"
    assert host.execute("systemctl is-failed srv-fast.mount")[1].strip() == "failed"
    assert host.execute("systemctl is-active heartbeat")[1].strip() == "inactive"
    assert host.sh("ls -A /srv/fast") == ""
    assert host.refused(*VOLUMES).count("the device is not there") == 2

    for name in ("stand-in-disk-1", "stand-in-disk-2"):
        host.disk(name, "800M" if name == "stand-in-disk-1" else "400M")
    assert host.lay_out(directories=DIRECTORIES).assert_ok().changed == {"Mount the volumes"}
    assert host.sums(*DATA) == sums
    host.sh("systemctl start heartbeat")


def test_what_was_written_below_a_lost_mount_is_not_hidden(host, laid_out):
    host.sh("systemctl stop srv-fast.mount; echo precious > /srv/fast/stray")
    message = host.refused(*VOLUMES)
    assert "/srv/fast is not empty (stray); a mount would hide what is in it. Move its content away" in message
    assert host.sh("cat /srv/fast/stray") == "precious"
    host.sh("rm /srv/fast/stray")
    assert host.lay_out(directories=DIRECTORIES).assert_ok().changed == {"Mount the volumes"}


def test_a_disk_with_the_wanted_file_system_keeps_its_data(host):
    """Also: a device whose name systemd would expand."""
    host.disk("carries-data", "400M")
    host.sh("mkfs.xfs -q {0}carries-data; mount {0}carries-data /mnt; dd if=/dev/urandom of=/mnt/data bs=1M count=5 status=none; umount /mnt; "
            "ln -s $(realpath {0}carries-data) {0}name-%n-of-disk".format(BY_ID))
    before = host.sh("mount -o ro {0}carries-data /mnt; sha256sum < /mnt/data; umount /mnt".format(BY_ID))
    volume = {"device": BY_ID + "name-%n-of-disk", "mount": "/srv/kept"}
    run = host.lay_out(volumes=[volume]).assert_ok()
    assert run.changed == {"Write the mount units", "Mount the volumes"}
    assert host.sh("sha256sum < /srv/kept/data") == before


def test_an_entry_of_fstab_stays_the_manager_of_its_mount(host):
    host.disk("fstab", "400M")
    host.sh("mkfs.xfs -q {0}fstab; echo \"UUID=$(blkid -o value -s UUID {0}fstab) /srv/from-fstab xfs defaults 0 0\" >> /etc/fstab".format(BY_ID))
    volume = {"device": BY_ID + "fstab", "mount": "/srv/from-fstab"}
    assert host.lay_out("--check", volumes=[volume]).assert_ok().changed == {"Mount the volumes", "Make the folders on the volumes"}
    assert host.lay_out(volumes=[volume]).assert_ok().changed == {"Mount the volumes"}
    assert host.sh("findmnt --noheadings --output FSTYPE /srv/from-fstab") == "xfs"
    assert host.execute("test -e /etc/systemd/system/srv-from\\\\x2dfstab.mount")[0] == 1
    assert host.lay_out(volumes=[volume]).assert_ok().changed == set()
    host.sh("sed -i /from-fstab/d /etc/fstab")


# A partition table with one partition.
MBR = (r"printf '\200\0\1\0\203\0\2\0\0\10\0\0\0\10\0\0' | dd of=$disk bs=1 seek=446 conv=notrunc status=none; printf '\125\252' | dd of=$disk bs=1 "
       "seek=510 conv=notrunc status=none")
# Tells the kernel of a partition (ioctl BLKPG): not every kernel reads partition tables itself.
PARTITION = ("python3 -c \"import ctypes, fcntl, os, struct; part = ctypes.create_string_buffer(struct.pack('<qqi132x', 1 << 20, 1 << 20, 1)); "
             "fcntl.ioctl(os.open('$disk', os.O_RDONLY), 0x1269, struct.pack('<iiixxxxQ', 1, 0, 152, ctypes.addressof(part)))\"")
# How each disk is spoilt (on the host, $disk being its path), the file system that is wanted on it, and what the refusal says.
SPOILT = {
    "ext4": ("mkdir -p /tmp/tree; echo precious > /tmp/tree/file; mkfs.ext4 -q -d /tmp/tree $disk", "xfs",
             r"carries the file system or signature ext4 at byte 1080, UUID .* never formatted. Look: wipefs --no-act .* wipefs --all"),
    "xfs": ("mkfs.xfs -q $disk", "ext4", "carries the file system or signature xfs at byte 0"),
    "mbr": (MBR, "xfs", r"carries a partition table \(dos\) at byte 510"),
    "partitions": (MBR + "; " + PARTITION, "xfs", "it has partitions: loop[0-9]+p1. Name a partition"),
    "swap": ("mkswap -q $disk", "xfs", "carries swap space at byte 4086"),
    "lvm": ("python3 -c \"import struct, sys, zlib; "
            "body = struct.pack('<I8s', 32, b'LVM2 001').ljust(492, b'1'); crc = zlib.crc32(body, 0xf597a6cf ^ 0xffffffff) "
            "^ 0xffffffff; sys.stdout.buffer.write(bytes(512) + b'LABELONE' + struct.pack('<QI', 1, crc) + body)\" | dd of=$disk conv=notrunc status=none",
            "xfs", "carries an LVM physical volume at byte 536"),
    "luks": (r"printf 'LUKS\272\276\0\1' | dd of=$disk conv=notrunc status=none", "xfs", r"carries an encrypted volume \(LUKS\) at byte 0"),
    "raw": ("dd if=/dev/urandom of=$disk bs=4k count=1 seek=7 conv=notrunc status=none", "xfs",
            "its first MiB is not blank though it carries no known signature"),
    "half": ("mkfs.xfs -q $disk; dd if=/dev/zero of=$disk bs=512 seek=1 count=100000 conv=notrunc status=none", "xfs",
             "its xfs is incomplete: a superblock without what mkfs writes behind it. It was interrupted"),
    "half-ext4": ("mkfs.ext4 -q $disk; dd if=/dev/zero of=$disk bs=4k seek=1 count=20000 conv=notrunc status=none", "ext4", "its ext4 is incomplete"),
    "shrunk": ("mkfs.xfs -q $disk; truncate --size 350M /var/lib/docker/stand-in-disks/refused-shrunk; losetup --set-capacity $(realpath $disk)", "xfs",
               "its xfs has 419430400 bytes, the device only 367001600; shrinking is refused. Give the device its former size"),
    "elsewhere": ("mkfs.xfs -q $disk; mkdir -p /mnt/elsewhere; mount $disk /mnt/elsewhere", "xfs",
                  "it is mounted at /mnt/elsewhere. Set mount: /mnt/elsewhere, or"),
    "taken": ("mkdir -p /srv/taken; mount -t tmpfs tmpfs /srv/taken", "xfs", r"tmpfs \(tmpfs\) is mounted at /srv/taken. Unmount it"),
    "other-fstab": ("echo '/dev/disk/by-id/another /srv/other-fstab xfs defaults 0 0' >> /etc/fstab", "xfs",
                    "/etc/fstab mounts /dev/disk/by-id/another at /srv/other-fstab, which is another device. Remove that line"),
    "link": ("ln -s /srv/nowhere /srv/link", "xfs", "the way to /srv/link goes through a symbolic link"),
    "no-device": ("rm $disk; echo file > $disk", "xfs", "it is not a block device"),
    "gone": ("rm $disk", "xfs", "the device is not there"),
}


def test_every_spoilt_disk_is_refused_in_one_list_and_keeps_its_bytes(host, laid_out):
    volumes = []
    for name, (spoil, wanted, _expected) in SPOILT.items():
        disk = host.disk("refused-" + name, "400M")
        host.sh("disk=%s; %s" % (disk, spoil))
        volumes.append({"device": disk, "mount": "/srv/" + name, "filesystem": wanted})
    host.sh("sync; ln -s $(realpath %srefused-raw) %srefused-raw-again" % (BY_ID, BY_ID))
    volumes.append({"device": BY_ID + "refused-raw-again", "mount": "/srv/again"})
    patterns = ["/var/lib/docker/stand-in-disks/refused-%s" % name for name in SPOILT if name != "elsewhere"]  # a mounted XFS may write
    sums, mounts = host.sums(*patterns), host.sh("cat /proc/self/mountinfo")

    message = host.refused(*volumes)
    print(message)
    lines = message.splitlines()
    assert "none of them was changed" in lines[0]

    for name, (_spoil, _wanted, expected) in SPOILT.items():
        own = [line for line in lines if re.match(r"\d+\. volume /srv/%s on %srefused-%s: " % (name, BY_ID, name), line)]
        assert len(own) == 1 and re.search(expected, own[0]), (name, own)
    assert len(lines) == 1 + len(SPOILT) + 2  # the last disk is named twice: it is shared, and not blank
    assert "volumes /srv/raw and /srv/again: both name the device /dev/loop" in message
    assert host.sums(*patterns) == sums
    assert host.sh("cat /proc/self/mountinfo") == mounts


def test_an_erased_disk_is_taken(host, laid_out):
    """The refusal's own remedy leads out."""
    volume = {"device": BY_ID + "refused-raw", "mount": "/srv/raw"}
    assert "wipefs --all {0} && dd if=/dev/zero of={0} bs=1M count=1".format(volume["device"]) in host.refused(volume)
    host.sh("wipefs --all {0} && dd if=/dev/zero of={0} bs=1M count=1".format(volume["device"]))
    assert "Format the empty devices" in host.lay_out(volumes=[volume]).assert_ok().changed

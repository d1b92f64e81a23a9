"""The engine's data are moved, the move and the mounts are disturbed, and nothing is lost. docs/engine-data.md tells what these tests prove.

The tests are one story on one host, in the order of this file: each goes on where the one before stopped.
"""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from support import ROOT, plays
from support.hosts import bare

pytestmark = pytest.mark.full  # eight minutes

SCENARIO = ROOT / "molecule" / "engine_data"
HOST = "bunker-test-engine-data"
JOURNAL = "/var/lib/protocol_omni/engine-move.json"
ROOTS = {"container_engine_data_root": "/nvme/docker", "container_engine_containerd_root": "/nvme/containerd"}
OWN = {"container_engine_data_root": "", "container_engine_containerd_root": ""}
MOVE = {"container_engine_move_data": True}

# An image with what a careless copy loses: a deleted file (a device node in overlay2) and a file capability (an extended attribute).
# A service as the collection's own unit binds it, that writes a ledger: consecutive numbers into a volume, one every tenth of a second.
IMAGE = r"""
set -eu
rm -rf /root/image && mkdir -p /root/image/rootfs/bin && cd /root/image
cp /bin/busybox rootfs/bin/busybox && ln -s busybox rootfs/bin/sh
cp /bin/busybox rootfs/capable && setcap cap_net_raw+ep rootfs/capable
echo gone > rootfs/deleted
head -c 30000000 /dev/urandom > rootfs/blob
tar --xattrs --xattrs-include='security.*' -C rootfs -c . | docker import - base >/dev/null
printf 'FROM base\nRUN ["/bin/busybox", "rm", "/deleted"]\nENV PATH=/bin\nRUN /bin/busybox --install -s /bin\n' > Dockerfile
docker build --quiet --network=none --tag tiny . >/dev/null
docker run --network none --name stopped tiny sh -c 'cat /kept 2>/dev/null || echo of the first start > /kept'
"""
VOLUMES = r"""
set -eu
docker run --rm --network none --volume payload:/payload tiny sh -c 'head -c 500000000 /dev/urandom > /payload/data'
cat > /root/ledger.sh <<'S'
n=$(tail -n 1 /ledger/numbers 2>/dev/null || echo 0)
trap exit TERM
while :; do n=$((n+1)); echo $n >> /ledger/numbers; sleep 0.1; done
S
cat > /etc/systemd/system/protocol-omni-ledger.service <<'U'
[Unit]
Requires=docker.service
After=docker.service network-online.target
Wants=network-online.target
RequiresMountsFor=/srv/models
[Service]
Type=exec
ExecStartPre=-/usr/bin/docker rm --force ledger
ExecStart=/usr/bin/docker run --rm --name ledger --network none --log-driver none \
  --volume ledger:/ledger --volume /root/ledger.sh:/ledger.sh:ro tiny sh /ledger.sh
ExecStop=-/usr/bin/docker stop --time 30 ledger
Restart=on-failure
RestartSec=2
[Install]
WantedBy=multi-user.target
U
systemctl daemon-reload
systemctl enable --now protocol-omni-ledger.service
"""
# What a power cut leaves: whatever belongs to the engine dies at once, in no order.
POWER_CUT = r"""
systemctl kill --signal=KILL docker.service containerd.service protocol-omni-ledger.service 2>/dev/null
for comm in $(grep -lsE '^(dockerd|containerd|containerd-shim|rsync|sh|sleep)' /proc/[0-9]*/comm); do
  folder=${comm%/comm}; [ "${folder#/proc/}" = $$ ] || kill -9 "${folder#/proc/}" 2>/dev/null
done; true
"""
BOOT = "systemctl reset-failed; systemctl start docker.service protocol-omni-ledger.service"


def execute(command, check=True):
    """A shell command on the host; its output."""
    result = subprocess.run(["docker", "exec", HOST, "timeout", "300", "sh", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 0 or not check, (command, result.stdout[-2000:], result.stderr[-2000:])
    return result.stdout.strip()


def active(unit):
    return execute("systemctl is-active %s" % unit, check=False)


def until(command, seconds=30):
    """Waits until a command on the host succeeds."""
    execute("for i in $(seq %d); do %s && exit 0; sleep 0.1; done; exit 1" % (seconds * 10, command))


class Play:
    """One run of the role, which can be killed at the start of a task or while the host is in some state."""

    def __init__(self, *options, playbook=SCENARIO / "converge.yml", **variables):
        environment = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1")
        arguments = ["ansible-playbook", "-i", plays.DEMO, "-i", plays.SCENARIOS, "-l", HOST,
                     "-e", "@%s" % (SCENARIO / "vars" / "roots.yml"), "-e", json.dumps(variables), *options, playbook]
        self.output = ""
        self.process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        start_new_session=True)

    def wait(self):
        self.output += self.process.communicate()[0]
        recap = re.search(r"changed=(\d+) .*failed=(\d+)", self.output)
        self.changed, self.failed = int(recap.group(1)), int(recap.group(2))
        return self

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_at(self, task):
        for line in self.process.stdout:
            self.output += line
            if line.startswith("TASK") and task in line:
                self.kill()
                return
        raise AssertionError("it never came to %r:\n%s" % (task, self.output[-3000:]))


def play(*options, **variables):
    run = Play(*options, **variables).wait()
    assert run.failed == 0, run.output[-4000:]
    return run


def refused(**variables):
    run = Play(**dict(ROOTS, **variables)).wait()
    assert run.failed == 1 and run.changed == 0, run.output[-4000:]
    return re.sub(r"\s+", " ", run.output)


def configuration():
    """What a refused run must not have touched."""
    return execute("cat /etc/docker/daemon.json /etc/containerd/config.toml; ls -R /etc/systemd/system; ls /nvme/*; cat %s" % JOURNAL, check=False)


def root_of_docker():
    return execute("docker info --format '{{.DockerRootDir}}'")


class Evidence:
    """Checksums of everything that must survive."""

    def __init__(self):
        self.image = execute("docker image inspect --format '{{.Id}}' tiny")
        self.blob = execute("docker run --rm --network none tiny sha256sum /blob /bin/busybox")
        self.payload = execute("docker run --rm --network none --volume payload:/payload tiny sha256sum /payload/data")
        self.ledger = self.numbers()

    def numbers(self):
        return [int(line) for line in execute("docker run --rm --network none --volume ledger:/ledger tiny cat /ledger/numbers").splitlines()]

    def assert_kept(self):
        now = Evidence()
        assert (now.image, now.blob, now.payload) == (self.image, self.blob, self.payload)
        assert now.ledger[:len(self.ledger)] == self.ledger, "the ledger lost what stood in it"
        assert now.ledger == list(range(1, len(now.ledger) + 1)), "the ledger has a gap"
        assert execute("docker start --attach stopped") == "of the first start"
        assert "No such file" in execute("docker run --rm --network none tiny cat /deleted 2>&1", check=False)
        until("docker inspect --format '{{.State.Running}}' ledger | grep -qx true")
        assert "cap_net_raw=ep" in execute("getcap /proc/$(docker inspect --format '{{.State.Pid}}' ledger)/root/capable")
        self.ledger = now.ledger


@pytest.fixture(scope="module")
def evidence():
    """A host with two empty volumes, and an engine that is in use on its own root."""
    with bare(HOST):
        play(playbook=SCENARIO / "prepare.yml")
        loops = set(execute("losetup --noheadings --output NAME,BACK-INO").splitlines())
        assert len(loops) >= 2
        play(**OWN)
        execute(IMAGE)
        execute(VOLUMES)
        until("[ $(wc -l < /var/lib/docker/volumes/ledger/_data/numbers) -gt 20 ]")
        yield Evidence()
    if not os.environ.get("BUNKER_TEST_KEEP"):
        left = subprocess.run(["losetup", "--noheadings", "--output", "NAME,BACK-INO"], capture_output=True, text=True, check=False).stdout
        assert not loops & set(left.splitlines())


def test_without_a_request_it_is_refused_and_nothing_changes(evidence):
    before = configuration()
    text = refused()
    assert re.search(r"/var/lib/docker holds 2 images, \d containers, 2 volumes, .* GB\).*existing data are moved only on request", text)
    assert "container_engine_move_data: true" in text and "or leave container_engine_data_root and container_engine_containerd_root empty" in text
    assert configuration() == before and root_of_docker() == "/var/lib/docker" and active("protocol-omni-ledger") == "active"


def test_a_place_that_is_not_empty_is_refused(evidence):
    execute("touch /nvme/docker/somebodys")
    assert "container_engine_data_root /nvme/docker holds somebodys" in refused(**MOVE)
    execute("rm /nvme/docker/somebodys")


def test_check_mode_predicts_and_changes_nothing(evidence):
    before = configuration()
    run = play("--check", "--diff", **MOVE)
    assert run.changed >= 4 and "Would copy" in run.output
    assert configuration() == before and active("protocol-omni-ledger") == "active"


def test_a_killed_rsync_leaves_the_engine_on_the_old_root(evidence):
    run = Play(**MOVE)
    execute("until [ $(du -sm /nvme/docker | cut -f 1) -gt 20 ]; do sleep 0.02; done; kill -9 $(grep -lx rsync /proc/[0-9]*/comm | cut -d / -f 3)")
    run.wait()
    assert run.failed == 1 and "it goes on where it was" in re.sub(r"\s+", " ", run.output), run.output[-3000:]
    assert root_of_docker() == "/var/lib/docker" and json.loads(execute("cat " + JOURNAL))["state"] == "copying"
    until("systemctl is-active --quiet protocol-omni-ledger")
    evidence.assert_kept()


def test_an_unfinished_move_is_named_and_goes_on_only_on_request(evidence):
    before = configuration()
    text = refused()
    assert "a move is unfinished (%s): /var/lib/docker to /nvme/docker" % JOURNAL in text and "container_engine_move_data: true" in text
    assert configuration() == before and active("protocol-omni-ledger") == "active"


@pytest.mark.parametrize("task", [
    pytest.param("Note the move in the journal", marks=pytest.mark.full), pytest.param("Stop what writes the data", marks=pytest.mark.full),
    "Copy the data and compare them", pytest.param("Read daemon.json", marks=pytest.mark.full)])
def test_a_killed_play_and_a_power_cut_lose_nothing(evidence, task):
    run = Play(**MOVE)
    run.kill_at(task)
    execute(POWER_CUT)
    execute(BOOT)
    assert root_of_docker() == "/var/lib/docker"
    evidence.assert_kept()
    assert "a move is unfinished" in refused()


@pytest.mark.full
def test_a_copy_that_outlives_its_play_is_waited_for(evidence):
    run = Play(**MOVE)
    execute("until grep -qsx rsync /proc/[0-9]*/comm; do sleep 0.02; done; kill -STOP $(grep -lsx rsync /proc/[0-9]*/comm | cut -d / -f 3)")
    run.kill()
    resume = "sleep 25; touch /run/resumed; kill -CONT $(grep -lsx rsync /proc/[0-9]*/comm | cut -d / -f 3)"
    subprocess.run(["docker", "exec", "--detach", HOST, "sh", "-c", resume], check=True)
    again = Play(**MOVE)
    again.kill_at("Copy the data and compare them")
    execute("test -e /run/resumed")  # without the wait it would have come here long before
    assert not execute("grep -lsx rsync /proc/[0-9]*/comm; true")
    execute(POWER_CUT)
    execute(BOOT)
    evidence.assert_kept()


def test_between_the_two_configurations_each_root_lives_where_its_own_says(evidence):
    """daemon.json is switched, containerd's configuration cannot be: the engine goes on with one root new and one old."""
    execute("mount --bind /etc/containerd/config.toml /etc/containerd/config.toml")
    run = Play(**MOVE).wait()
    execute("umount /etc/containerd/config.toml")
    assert run.failed == 1 and "Set containerd's root" in run.output, run.output[-3000:]
    assert root_of_docker() == "/nvme/docker" and "/nvme" not in execute("cat /etc/containerd/config.toml")
    until("systemctl is-active --quiet protocol-omni-ledger")
    evidence.assert_kept()
    written = len(evidence.ledger)
    assert written > 0 and "a move is unfinished" in refused()
    run = Play(**MOVE)
    run.kill_at("Start what ran before")  # all is switched, the journal does not say so
    execute(POWER_CUT)
    execute(BOOT)
    assert root_of_docker() == "/nvme/docker" and json.loads(execute("cat " + JOURNAL))["state"] == "copying"
    evidence.assert_kept()


def test_the_next_run_completes_it(evidence):
    run = play()  # nothing is left to copy, so it needs no request
    assert json.loads(execute("cat " + JOURNAL))["state"] == "switched"
    assert "The old data are still in /var/lib/docker, /var/lib/containerd" in re.sub(r"\s+", " ", run.output)
    assert active("protocol-omni-ledger") == "active" and execute("ls /var/lib/docker/volumes/payload/_data") == "data"
    evidence.assert_kept()
    assert play(playbook=SCENARIO / "verify.yml").changed == 0  # the claims


def test_a_second_run_changes_nothing(evidence):
    assert play(**MOVE).changed == 0


def test_a_build_leaves_the_root_file_system_alone(evidence):
    """The backing files of the volumes lie on the root file system, but took all their space when they were made."""
    used = "du --summarize --one-file-system --block-size=1M / /var/lib/docker | awk '{ sum += $1 } END { print sum }'"
    before, volume = int(execute(used)), int(execute("du -sm /nvme/docker | cut -f 1"))
    execute("cd /root/image && printf 'FROM tiny\\nRUN head -c 100000000 /dev/urandom > /one\\nRUN head -c 100000000 /dev/urandom > /two\\n' > Big && "
            "docker build --quiet --network=none --tag big --file Big .")
    assert int(execute("du -sm /nvme/docker | cut -f 1")) - volume >= 190
    assert abs(int(execute(used)) - before) <= 50


def below_the_mount_point():
    """What lies under the mount point, on the root file system."""
    return execute("mkdir -p /mnt/root && mount --bind / /mnt/root && find /mnt/root/nvme/docker /mnt/root/nvme/containerd -mindepth 1; umount /mnt/root")


@pytest.mark.parametrize("mount", ["/nvme/docker", pytest.param("/nvme/containerd", marks=pytest.mark.full)])
def test_a_lost_mount_stops_the_engine_and_its_services(evidence, mount):
    execute("umount --lazy " + mount)
    for unit in ("docker.service", "protocol-omni-ledger.service"):
        until('[ "$(systemctl is-active %s)" = inactive ]' % unit, 60)
    time.sleep(5)  # a restart would come after two seconds
    assert (active("docker.service"), active("protocol-omni-ledger.service")) == ("inactive", "inactive")
    assert below_the_mount_point() == ""
    assert "what belongs on the volume %s is never written under its mount point" % mount in refused()
    execute("systemctl start nvme-%s.mount" % mount.rsplit("/", 1)[1])  # in site.yml disk_layout does that
    assert play().changed == 1
    assert root_of_docker() == "/nvme/docker"
    execute("systemctl start protocol-omni-ledger.service")  # in site.yml inference_service does that
    evidence.assert_kept()
    assert below_the_mount_point() == ""


@pytest.mark.parametrize("volume", ["docker", pytest.param("containerd", marks=pytest.mark.full)])
def test_an_absent_mount_keeps_the_engine_from_starting(evidence, volume):
    execute("systemctl stop docker.service docker.socket containerd.service nvme-%s.mount && mv /srv/%s.img /srv/away.img" % (volume, volume))
    assert "dependency" in execute("systemctl start docker.service 2>&1; true")
    execute("systemctl start docker.socket; timeout 10 docker ps; true")  # a client would wake the engine through its socket
    assert [active(unit) for unit in ("docker.service", "docker.socket")] == ["inactive", "inactive"]
    assert below_the_mount_point() == ""
    assert "never written under its mount point" in refused()
    execute("mv /srv/away.img /srv/%s.img && systemctl reset-failed && systemctl start nvme-%s.mount" % (volume, volume))
    play()
    execute("systemctl start protocol-omni-ledger.service")
    evidence.assert_kept()


def test_old_data_go_only_when_asked_and_only_when_the_engine_answers(evidence):
    execute("systemctl stop docker.service docker.socket")
    play(container_engine_discard_moved_data=True)  # it starts the engine; what was seen before that counts
    assert execute("ls /var/lib/docker/volumes/payload/_data") == "data"
    run = play("--check", container_engine_discard_moved_data=True)
    assert run.changed >= 2 and execute("ls /var/lib/docker/volumes/payload/_data") == "data"
    play(container_engine_discard_moved_data=True)
    assert execute("ls -A /var/lib/docker /var/lib/containerd; ls %s 2>&1" % JOURNAL, check=False).count("No such file") == 1
    assert execute("ls -A /var/lib/docker /var/lib/containerd | grep -v '^/' | tr -d '\\n'") == ""
    assert play(container_engine_discard_moved_data=True).changed == 0
    execute("systemctl start protocol-omni-ledger.service")
    evidence.assert_kept()


@pytest.mark.full
def test_images_in_containerds_store_move_with_its_root_alone(evidence):
    """Docker 29's way, here switched on: images lie under containerd's root. The new place is on an ext4 file system."""
    store = {"container_engine_daemon_options": {"features": {"cdi": True, "containerd-snapshotter": True}}}
    play(**store)
    execute("systemctl stop protocol-omni-ledger.service; systemctl reset-failed")
    execute(IMAGE)
    execute("systemctl start protocol-omni-ledger.service")
    until("docker inspect ledger >/dev/null")
    before = Evidence()
    assert int(execute("du -sm /nvme/containerd | cut -f 1")) > 30
    new = dict(store, container_engine_containerd_root="/var/lib/docker/containerd")
    assert re.search(r"/nvme/containerd holds \d+ blobs, \d+ snapshots", refused(**new))
    play(**new, **MOVE)
    assert root_of_docker() == "/nvme/docker" and active("protocol-omni-ledger") == "active"
    execute("mv /nvme/containerd/io.containerd.content.v1.content /nvme/containerd/out-of-sight")  # so what is read now is the copy
    before.assert_kept()
    play(container_engine_discard_moved_data=True, **new)
    assert execute("ls -A /nvme/containerd") == ""

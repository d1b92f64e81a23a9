"""The bare hosts of the tests: containers that behave like machines, made by tests/host/create.yml as the demo's is."""
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import time

import docker
from support import ROOT, plays

CACHE = pathlib.Path(os.environ.get("BUNKER_CACHE", ".")).resolve()
KEEP = bool(os.environ.get("BUNKER_TEST_KEEP"))
"""Leaves hosts, and goes on with those that were left: for work on single tests."""


@contextlib.contextmanager
def one_at_a_time(name):
    """Only one process of the tests is in here; what they all need is made once, by whoever comes first."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / (name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def play(playbook, host, *options):
    """What a playbook of tests/host prints, which must succeed: for what is done around the hosts, not on them."""
    command = ["ansible-playbook", *("--inventory=%s" % path for path in plays.INVENTORIES), "--limit", host, ROOT / "tests" / "host" / playbook, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False,
                          env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout


def create(host):
    """A bare host of the inventories, anew."""
    if not KEEP:
        destroy(host)
    play("create.yml", host)


def destroy(host):
    """Removes the host and everything on it; it may be gone already."""
    if not KEEP:
        play("destroy.yml", host)


def pytest_configure():
    """As long as tests run, nobody removes the network that all hosts share: another worker may be about to use it."""
    os.environ["BUNKER_TESTS_RUN"] = "yes"


def pytest_unconfigure():
    if not os.environ.get("PYTEST_XDIST_WORKER") and shutil.which("docker"):
        subprocess.run(["docker", "network", "rm", "protocol-omni-test"], capture_output=True, check=False)  # it stays where a host, the demo's, uses it


@contextlib.contextmanager
def claimed(host, folder=pathlib.Path("/run/lock")):
    """Keeps another run of the tests from the host: names of containers are the engine's, and it would remove this one's.

    :raises RuntimeError: another run has it.
    """
    with open(folder / ("%s.lock" % host), "a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RuntimeError("Another run of the tests, process %s, has the host %s on this machine. Wait until it has ended." % (
                lock.read(), host)) from None
        lock.truncate(0)
        print(os.getpid(), end="", file=lock, flush=True)
        yield


@contextlib.contextmanager
def bare(host):
    """A bare host that lives as long as this context."""
    with claimed(host):
        create(host)
        try:
            yield host
        finally:
            destroy(host)


class Host:
    """A host and how to look at it and run playbooks on it.

    :param name: its name in the inventories.
    :param folder: pathlib.Path, for reports and ansible-runner's files.
    :param variables: dict, extra variables of every play.
    """

    def __init__(self, name, folder, variables=None):
        self.host = name
        self.folder = folder
        self.variables = dict(variables or {})
        self.reports = folder / "reports"
        self.count = 0

    def run(self, playbook, *options, extra_vars=None, **more):
        """Runs a playbook; see :func:`support.plays.play`."""
        self.count += 1
        variables = dict(self.variables, **(extra_vars or {}), bunker_report_path=str(self.reports))
        return plays.play(playbook, self.host, self.folder / ("run-%d" % self.count), *options, extra_vars=variables, **more)

    def module(self, name, **arguments):
        """What a module of the collection returns on the host."""
        done = subprocess.run(
            ["ansible", self.host, *("--inventory=%s" % path for path in plays.INVENTORIES[1:]), "--one-line", "-m", "protocol_omni.bunker." + name,
             "-a", json.dumps(arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert "=>" in done.stdout, done.stdout + done.stderr
        return json.loads(done.stdout.split("=>", 1)[1])

    def report(self):
        return json.loads((self.reports / (self.host + ".json")).read_text(encoding="utf-8"))

    def socket(self):
        """The address of the host's own engine."""
        return "unix:///proc/%d/root/run/docker.sock" % docker.from_env().containers.get(self.host).attrs["State"]["Pid"]

    def engine(self):
        """The host's own engine, through the docker SDK."""
        return docker.DockerClient(base_url=self.socket(), timeout=120)

    def execute(self, command):
        """A shell command on the host; returns (exit code, output)."""
        code, output = docker.from_env().containers.get(self.host).exec_run(["sh", "-c", command])
        return code, output.decode(errors="replace")  # a log may be read while half a character is written

    def sh(self, command, stdin=""):
        """A bash command that must succeed; returns its output."""
        result = subprocess.run(["docker", "exec", "-i", self.host, "bash", "-euo", "pipefail", "-c", command], input=stdin, capture_output=True,
                                text=True, check=False)
        assert result.returncode == 0, (command, result.stdout, result.stderr)
        return result.stdout.strip()

    def journal(self, since, *tags, wanted=lambda line: True):
        """The wanted lines of the journal under these tags since a moment. One is waited for, and then a moment more, so that one too many shows as well."""
        command = "journalctl --no-pager --quiet --output=cat --since '%s' %s" % (since, " ".join("-t " + tag for tag in tags))
        ends = time.monotonic() + 20
        while not any(map(wanted, self.sh(command).splitlines())) and time.monotonic() < ends:
            time.sleep(0.2)
        time.sleep(0.3)
        return [line for line in self.sh(command).splitlines() if wanted(line)]

    def disk(self, name, size):
        """A block device under /dev/disk/by-id; returns its path. Needs a host with loop devices."""
        self.sh("bash -s %s %s" % (name, size), (ROOT / "tests" / "host" / "stand-in-disk").read_text(encoding="utf-8"))
        return "/dev/disk/by-id/" + name

    def sums(self, *patterns):
        """SHA-256 of files, a line each."""
        return self.sh("sha256sum %s" % " ".join(patterns))

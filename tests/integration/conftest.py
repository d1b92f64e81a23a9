"""One bare host a session, taken through site.yml by ansible-runner; the tests look at what came of it."""
import dataclasses
import hashlib
import json
import os
import pathlib
import secrets
import ssl
import subprocess
import time

import ansible_runner
import docker
import httpx2
import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "bunker-test-default"
INVENTORY = ROOT / "molecule" / "inventory"

# A reduced image, as its name says, for tests whose point is not CUDA, built in a cache of the host's own: the other hosts share theirs with this machine.
REDUCED_IMAGE = {
    "bunker_cache_path": "/srv/cache", "golden_image_base_archive": "/var/cache/protocol_omni/base/trixie.tar",
    "golden_image_name": "omni/llama-server-reduced", "golden_image_alias": "reduced", "golden_image_cuda": False, "golden_image_keep_archive": False,
}


@dataclasses.dataclass
class Run:
    """What one ansible-playbook did."""

    rc: int
    changed: set
    failures: list
    tasks: set
    seconds: float
    output: str

    def assert_ok(self):
        assert self.rc == 0, self.output[-4000:]
        return self


class Site:
    """The host and how to run playbooks on it."""

    address = "172.29.253.10"

    def __init__(self, folder, host=HOST):
        self.host = host
        self.folder = folder
        self.reports = folder / "reports"
        self.count = 0

    def run(self, playbook, *options, extra_vars=None, environment=None, cwd=ROOT, cancel=None, watch=None):
        """Runs a playbook; ``watch`` is given each event; once ``cancel`` says so, ansible-playbook is killed."""
        self.count += 1
        private = self.folder / ("run-%d" % self.count)
        private.mkdir()
        started = time.monotonic()
        variables = dict(extra_vars or {}, bunker_report_path=str(self.reports))
        result = ansible_runner.run(
            private_data_dir=str(private), project_dir=str(cwd), playbook=str(playbook), inventory=str(INVENTORY),
            limit=self.host, cancel_callback=cancel, event_handler=watch and (lambda event: watch(event) or True),  # True keeps the event
            cmdline=" ".join(["--inventory", str(ROOT / "inventory" / "demo"), *options]), extravars=variables, quiet=True,
            envvars=dict({"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}, **(environment or {})))
        changed, failures, tasks = set(), [], set()
        for event in result.events:
            data = event.get("event_data", {})
            if event["event"] == "runner_on_ok":
                tasks.add(data["task"])
                if data["res"].get("changed"):
                    changed.add(data["task"])
            if event["event"] == "runner_on_failed" and not data.get("ignore_errors"):
                failures.append(str(data["res"].get("msg", "")))
        output = result.stdout.read()
        log = os.environ.get("BUNKER_TEST_LOG")
        if log:
            pathlib.Path(log, "%s-%d.log" % (self.host, self.count)).write_text(output, encoding="utf-8")
        return Run(result.rc, changed, failures, tasks, time.monotonic() - started, output)

    def module(self, name, **arguments):
        """What a module of the collection returns on the host."""
        done = subprocess.run(
            ["ansible", self.host, "--inventory", str(INVENTORY), "--one-line", "-m", "protocol_omni.bunker." + name, "-a", json.dumps(arguments)],
            cwd=ROOT, capture_output=True, text=True, check=False)
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

    def door(self, key=None):
        """The site's gateway, through the client of OpenAI with the operator's key."""
        certificate = self.folder / "gateway.pem"
        certificate.write_text(self.execute("cat /etc/protocol_omni/gateway/self_signed.pem")[1], encoding="ascii")
        key = key or self.execute("cat /etc/protocol_omni/gateway/operator.key")[1].strip()
        return openai.OpenAI(base_url="https://%s:8443/v1" % self.address, api_key=key, max_retries=0, timeout=60,
                             http_client=httpx2.Client(verify=ssl.create_default_context(cafile=str(certificate)), timeout=60))

    def execute(self, command):
        """A shell command on the host; returns (exit code, output)."""
        code, output = docker.from_env().containers.get(self.host).exec_run(["sh", "-c", command])
        return code, output.decode(errors="replace")  # a log may be read while half a character is written

    def bench(self, program, *arguments):
        """What a program of tests/bench prints as JSON, run on the host."""
        subprocess.run(["docker", "cp", str(ROOT / "tests" / "bench") + "/.", self.host + ":/root/bench"], check=True, capture_output=True)
        code, output = self.execute(" ".join(["python3", "/root/bench/" + program, *arguments]))
        print(output)
        assert code == 0, output
        return json.loads(output.splitlines()[-1])


class DiskHost(Site):
    """A bare host that can be given disks."""

    def sh(self, command, stdin=""):
        """A shell command that must succeed; returns its output."""
        result = subprocess.run(["docker", "exec", "-i", self.host, "bash", "-euo", "pipefail", "-c", command], input=stdin, capture_output=True,
                                text=True, check=False)
        assert result.returncode == 0, (command, result.stdout, result.stderr)
        return result.stdout.strip()

    def disk(self, name, size):
        """A block device under /dev/disk/by-id; returns its path."""
        self.sh("bash -s %s %s" % (name, size), (ROOT / "tests" / "host" / "stand-in-disk").read_text(encoding="utf-8"))
        return "/dev/disk/by-id/" + name

    def sums(self, *patterns):
        """SHA-256 of files, a line each."""
        return self.sh("sha256sum %s" % " ".join(patterns))


def molecule(*arguments):
    subprocess.run(["molecule", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def hashed(key):
    return hashlib.sha256(key.encode()).hexdigest()


class Door(DiskHost):
    """The host with the gateway and stand-ins for services; alice, bob and carol hold keys besides the operator."""

    address, port, config = "172.29.253.20", 8443, "/etc/protocol_omni/gateway"
    url = "https://%s:%d" % (address, port)

    def __init__(self, folder):
        super().__init__(folder, "bunker-test-gateway")
        self.keys = {name: secrets.token_hex(32) for name in ("alice", "bob", "carol")}
        self.provider_keys = {}
        self.outputs = []

    def deploy(self, holders=("alice", "bob", "carol"), **variables):
        found = self.run("molecule/gateway/converge.yml", "--diff", extra_vars={
            "gateway_keys": [{"name": name, "sha256": hashed(self.keys[name])} for name in holders], **variables})
        self.outputs.append(found.output)
        return found

    def read_certificate(self):
        self.certificate = str(self.folder / "certificate.pem")
        pathlib.Path(self.certificate).write_text(self.sh("cat %s/self_signed.pem" % self.config), encoding="ascii")
        self.context = ssl.create_default_context(cafile=self.certificate)
        self.keys["operator"] = self.sh("cat %s/operator.key" % self.config)

    def http(self, key="alice", headers=None):
        headers = headers or ({"Authorization": "Bearer " + self.keys[key]} if key else {})
        return httpx2.Client(base_url=self.url, headers=headers, verify=self.context, timeout=20)

    def openai(self, key="alice"):
        return openai.OpenAI(base_url=self.url + "/v1", api_key=self.keys[key], max_retries=0, http_client=httpx2.Client(verify=self.context, timeout=20))

    def control(self):
        """The gateway's control socket, as root of the host."""
        process = docker.from_env().containers.get(self.host).attrs["State"]["Pid"]
        socket = "/proc/%d/root/run/protocol-omni-gateway/control.sock" % process
        return httpx2.Client(base_url="http://gateway", transport=httpx2.HTTPTransport(uds=socket), timeout=20)

    def stand_in(self, name, address, rate=5, *more):
        self.sh("systemd-run --quiet --unit=stand-in-%s python3 /root/model_server.py %s %s %g %s" % (
            name.lower(), address, name, rate, " ".join(str(value) for value in more)))


@pytest.fixture(scope="session")
def door(tmp_path_factory):
    """The host with the gateway, for all tests of it."""
    if not os.environ.get("BUNKER_TEST_KEEP"):
        molecule("destroy", "-s", "gateway")
    molecule("create", "-s", "gateway")
    molecule("prepare", "-s", "gateway")
    found = Door(tmp_path_factory.mktemp("gateway"))
    found.deploy().assert_ok()
    found.read_certificate()
    yield found
    if not os.environ.get("BUNKER_TEST_KEEP"):
        molecule("destroy", "-s", "gateway")


@pytest.fixture(scope="session")
def site(tmp_path_factory, image_in_the_making):
    """The bare host. Nothing has run on it yet. BUNKER_TEST_KEEP leaves it, and goes on with one that was left: for work on single tests."""
    image_in_the_making()
    if not os.environ.get("BUNKER_TEST_KEEP"):
        molecule("destroy", "-s", "default")
    molecule("create", "-s", "default")
    yield Site(tmp_path_factory.mktemp("site"))
    if not os.environ.get("BUNKER_TEST_KEEP"):
        molecule("destroy", "-s", "default")


@pytest.fixture(scope="session")
def predicted(site):
    """site.yml in check mode on the bare host."""
    return site.run("site.yml", "--check", "--diff")


@pytest.fixture(scope="session")
def first(site, predicted):
    """The first run of site.yml."""
    return site.run("site.yml")


@pytest.fixture(scope="session")
def second(site, first):
    """The second run of site.yml, with nothing new."""
    first.assert_ok()
    return site.run("site.yml")

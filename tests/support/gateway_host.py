"""The host of the gateway's tests: the gateway with stand-ins for services behind it."""
import hashlib
import pathlib
import secrets
import ssl
import time

import docker
import httpx2
import openai
from support.hosts import Host


def hashed(key):
    return hashlib.sha256(key.encode()).hexdigest()


def until(condition, seconds=15):
    """Waits for it; returns what it returned. Less than what is waited for would end by itself in: the stand-ins think for 30 s."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "not within %d s" % seconds
        time.sleep(0.1)
    return condition()


class Door(Host):
    """The host with the gateway and stand-ins for services; alice, bob and carol hold keys besides the operator."""

    address, port, config = "172.29.253.20", 8443, "/etc/protocol_omni/gateway"
    url, state = "https://%s:%d" % (address, port), "/var/lib/protocol-omni-gateway/usage.json"
    answers = "for _ in $(seq 100); do (exec 3<>/dev/tcp/%s/%d) 2>/dev/null && break; sleep 0.1; done" % (address, port)

    def __init__(self, folder):
        super().__init__("bunker-test-gateway", folder)
        self.keys = {name: secrets.token_hex(32) for name in ("alice", "bob", "carol")}
        self.provider_keys = {}
        self.process = None
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

    def control_socket(self):
        """Where the gateway's control socket lies on this machine."""
        if not self.process:
            self.process = docker.from_env().containers.get(self.host).attrs["State"]["Pid"]
        return "/proc/%d/root/run/protocol-omni-gateway/control.sock" % self.process

    def control(self):
        """The gateway's control socket, as root of the host."""
        return httpx2.Client(base_url="http://gateway", transport=httpx2.HTTPTransport(uds=self.control_socket()), timeout=20)

    def stop(self):
        self.sh("systemctl stop protocol-omni-gateway")

    def restart(self):
        """A new start, until it answers; a service is taken as up meanwhile."""
        self.sh("systemctl restart protocol-omni-gateway; " + self.answers)

    def crash(self):
        """All of it dies at once, and systemd starts it anew."""
        self.sh("systemctl kill --kill-whom=all --signal KILL protocol-omni-gateway; sleep 1.5; " + self.answers)

    def log(self):
        return self.sh("journalctl --no-pager --quiet -u protocol-omni-gateway")

    def stand_in(self, name, address, rate=5, *more):
        self.sh("systemd-run --quiet --unit=stand-in-%s python3 /root/model_server.py %s %s %g %s" % (
            name.lower(), address, name, rate, " ".join(str(value) for value in more)))

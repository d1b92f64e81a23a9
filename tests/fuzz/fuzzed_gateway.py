"""The gateway's host while it is asked nonsense: the services that record what reaches them, and what is looked at on the host."""
import json
import re
import socket
import ssl
import time

from support import ROOT
from support.gateway_host import hashed

SERVICES = {"oracle": "172.30.0.10:8000", "executor": "172.30.0.20:8002"}
ERRORS = "/var/log/gateway-errors"
DROP_IN = "/run/systemd/system/protocol-omni-gateway.service.d"
# Memory of a worker may grow by so much after the first tenth: what Lua has not collected yet, and buffers of what runs at the moment.
GROWTH = 32 * 1024  # KiB
# What nginx writes at its level "error" of clients, and what is no fault of ours.
KNOWN = [re.compile(text) for text in ("client sent invalid chunked body$", "client intended to send too large body: N bytes$")]
WORKERS = """
import json, os
main = open("/run/protocol-omni-gateway/nginx.pid").read().strip()
found = {}
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        status = dict(line.split(":", 1) for line in open("/proc/%s/status" % process) if ":" in line)
        if status["PPid"].strip() == main:
            found[process] = [int(status["VmRSS"].split()[0]), len(os.listdir("/proc/%s/fd" % process))]
    except OSError:
        pass
print(json.dumps(found))
"""


class Gateway:
    """The door with recording_server.py behind it, and wide limits: what is sought is not that it says "too many".

    :param door: support.gateway_host.Door that was deployed once.
    """

    def __init__(self, door):
        self.door = door

    def begin(self):
        """Puts the services there, and nginx's errors into a file, where nothing of them is dropped."""
        door = self.door
        door.sh("cat > /root/recording_server.py", stdin=(ROOT / "tests/stand_ins/recording_server.py").read_text(encoding="utf-8"))
        for name, address in SERVICES.items():
            door.sh("systemctl stop stand-in-{0} 2>/dev/null || true; systemctl reset-failed stand-in-{0} 2>/dev/null || true".format(name))
            door.sh("systemd-run --quiet --unit=stand-in-%s python3 /root/recording_server.py %s %s" % (name, address, name))
            door.sh("for _ in $(seq 100); do (exec 3<>/dev/tcp/%s) 2>/dev/null && exit 0; sleep 0.1; done; exit 1" % address.replace(":", "/"))
        door.deploy(
            gateway_requests_per_minute=6000000, gateway_burst=100000, gateway_wrong_keys_per_minute=100000000, gateway_tokenize=True, gateway_page=True,
            gateway_aliases={"gpt-4o": "oracle"}, gateway_cors_origins=["https://page"], gateway_keys=[{"name": "alice", "sha256": hashed(door.keys["alice"])}],
            gateway_parameters=[{"model": "executor", "set": {"temperature": 0.5}, "defaults": {"top_p": 0.9}, "strip": ["logit_bias"]}]).assert_ok()
        door.sh("mkdir -p %s; printf '[Service]\\nStandardError=append:%s\\n' > %s/fuzz.conf; rm -f %s; systemctl daemon-reload" % (
            DROP_IN, ERRORS, DROP_IN, ERRORS))
        door.restart()
        door.read_certificate()

    def end(self):
        """Services as they were; the configuration is for the next test to bring."""
        self.door.sh("rm -r %s %s; systemctl daemon-reload; systemctl stop stand-in-oracle stand-in-executor" % (DROP_IN, ERRORS))
        for name, address in SERVICES.items():
            self.door.stand_in(name, address)
        self.door.restart()

    def workers(self):
        """Of each worker of nginx its memory in KiB and its descriptors: dict of its process to a list."""
        return json.loads(self.door.sh("python3 -", stdin=WORKERS))

    def recorded(self):
        """What the services were asked: dict of the name to counts."""
        asked = "import urllib.request; print(urllib.request.urlopen('http://%s/recorded').read().decode())"
        return {name: json.loads(self.door.sh("python3 -c \"%s\"" % (asked % address))) for name, address in SERVICES.items()}

    def errors(self):
        """Lines of nginx's error log, each shape once with its count."""
        found = {}
        for line in self.door.sh("cat %s 2>/dev/null || true" % ERRORS).splitlines():
            shape = re.sub(r"^\S+ \S+ ", "", re.sub(r"\d+", "N", line.split(", client:")[0]))[:300]
            found[shape] = found.get(shape, 0) + 1
        return found

    def judge(self, before, after):
        """What is wrong with the host afterwards: list of str. before: workers after the first tenth, after: at the end."""
        faults = []
        if set(before) != set(after):
            faults.append("workers of nginx ended: there were %s, and there are %s" % (sorted(before), sorted(after)))
        for process in set(before) & set(after):
            if after[process][0] - before[process][0] > GROWTH:
                faults.append("the memory of a worker grew from %d to %d KiB" % (before[process][0], after[process][0]))
            if after[process][1] > before[process][1] + 8:
                faults.append("a worker has %d descriptors, where it had %d" % (after[process][1], before[process][1]))
        for shape, count in self.errors().items():
            if not any(known.search(shape) for known in KNOWN):
                faults.append("in nginx's error log, %d times: %s" % (count, shape))
        with self.door.control() as control:
            for name, service in control.get("/services").json().items():
                if service["in_flight"] or service["waiting"]:
                    faults.append("%s is left with %d in flight and %d waiting" % (name, service["in_flight"], service["waiting"]))
        for name, seen in self.recorded().items():
            faults += seen["first"] if seen["faults"] else []
        if self.door.sh("journalctl --quiet --no-pager -u protocol-omni-gateway | grep -c -e %s -e %s || true" % (
                self.door.keys["alice"], self.door.keys["operator"])) != "0":
            faults.append("the journal tells a key")
        return faults


class Slow:
    """Clients that begin and stop: each must be sent away within 30 s, and the seconds that it takes to notice."""

    BEGUN = {"silent": None, "in its first line": b"POST /v1/chat", "in its headers": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n",
             "in its body": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Length: 100\r\n\r\n{",
             "in a chunk": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"}
    WITHIN = 45  # seconds

    def __init__(self, door, count=10):
        self.begun, self.sockets = time.monotonic(), []
        for _number in range(count):
            for name, sent in self.BEGUN.items():
                opened = socket.create_connection((door.address, door.port), timeout=10)
                if sent:
                    opened = door.context.wrap_socket(opened, server_hostname=door.address)
                    opened.sendall(sent.replace(b"%s", door.keys["alice"].encode()))
                self.sockets.append((name, opened))

    def judge(self):
        """Who is still there, and who was told something else than that it was too slow: list of str."""
        faults = []
        for name, opened in self.sockets:
            opened.settimeout(max(self.begun + self.WITHIN - time.monotonic(), .1))
            try:
                told = b"".join(iter(lambda: opened.recv(65536), b""))
                if told and (not told.startswith(b"HTTP/1.1 408 ") or b'"error"' not in told):
                    faults.append("a client that stopped %s was told %r" % (name, told[:300]))
            except ConnectionError:
                pass
            except (TimeoutError, ssl.SSLError) as error:
                faults.append("a client that stopped %s: %r" % (name, error))
            opened.close()
        return faults

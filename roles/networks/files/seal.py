# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the seal of the bunker's networks.

    seal.py hold FOLDER               load both tables of the host, own one, mend the other; seal containers as they start
    seal.py reload FOLDER             check the rules of FOLDER, have the holder load them, wait until they are in force
    seal.py inside FOLDER CONTAINER   seal a container from inside its network namespace; exit 0 once it is

FOLDER holds owned.nft, standing.nft and inside-SERVICE.nft, as the role protocol_omni.bunker.networks writes them.
Python 3.9, its standard library, and the distribution's python3-nftables.
"""
import hashlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

OWNED, STANDING = "bunker_seal", "bunker_seal_standing"
LABEL = "protocol_omni.bunker.sealed"
ENGINE_SOCKET, ENGINE_PID_FILE = "/run/docker.sock", "/run/docker.pid"
TIMEOUT = 3  # seconds for the engine to answer: what the seal does besides waits so long
# linux/netlink.h and linux/netfilter/nfnetlink.h
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_NETFILTER, NFNLGRP_NFTABLES = 270, 1, 12, 7


def say(priority, words):
    """A line for the journal, which takes its priority from <N>."""
    print("<%d>%s" % (priority, words), flush=True)


def tell_systemd(words):
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(words.encode(), address.replace("@", "\0", 1))


class Rules:
    """The rules of the folder, and what the kernel holds of them."""

    def __init__(self, folder):
        import nftables  # here, so that "inside" works in any environment
        self.folder = folder
        self.kernel = nftables.Nftables()  # one netlink socket for its whole life: that is what owns a table
        self.kernel.set_stateless_output(True)
        self.text = self.expected = None

    def load(self, name):
        """Loads a file of the folder; returns its text."""
        with open(os.path.join(self.folder, name), encoding="utf-8") as stream:
            text = stream.read()
        code, _output, error = self.kernel.cmd(text)
        if code:
            raise SystemExit("<3>%s was not loaded: %s" % (name, error.strip()))
        return text

    def standing(self):
        """The standing tables as text without counters; "" where one is missing."""
        texts = []
        for family in ("inet", "bridge"):
            code, output, _error = self.kernel.cmd("list table %s %s" % (family, STANDING))
            if code:
                return ""
            texts.append(output)
        return "".join(texts)

    def load_all(self):
        # The standing one first: while an earlier holder is being replaced it is the only one. Again where somebody removed it before it was looked at.
        for _attempt in range(10):
            self.text = self.load("standing.nft")
            self.expected = self.standing()
            if self.expected:
                return self.load("owned.nft")
        raise SystemExit("<3>somebody removes the table %s as soon as it is loaded" % STANDING)

    def mend(self):
        """Loads the standing tables anew where somebody removed or changed them: those that were in force, whatever the folder holds by now."""
        if self.standing() == self.expected:
            return
        code, _output, error = self.kernel.cmd(self.text)
        if code:
            say(3, "somebody removed or changed the table %s, and it was not loaded: %s" % (STANDING, error.strip()))
        else:
            # What is expected stays what was loaded first: looked at now, a table that is being removed again would be missing from it for ever.
            say(4, "somebody removed or changed the table %s; it is in force again. The table %s held meanwhile." % (STANDING, OWNED))


def engine_ends():
    """Whether systemd is stopping the engine."""
    try:
        said = subprocess.run(["systemctl", "is-active", "docker.service"], capture_output=True, text=True, check=False, timeout=TIMEOUT).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.strip() == "deactivating"


class Engine:
    """The engine's events. Its socket may come and go."""

    def __init__(self):
        self.stream, self.rest = None, b""

    @staticmethod
    def get(path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(ENGINE_SOCKET)
            client = http.client.HTTPConnection("localhost")
            client.sock = connection
            client.request("GET", path)
            return json.loads(client.getresponse().read())

    def connect(self):
        """Subscribes, then returns what runs already; None where no engine answers."""
        # systemd listens on the socket of a stopped engine, and starts it for whoever connects, also while it still ends.
        if not os.path.exists(ENGINE_PID_FILE) or engine_ends():
            return None
        try:
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stream.settimeout(TIMEOUT)
            stream.connect(ENGINE_SOCKET)
            filters = urllib.parse.quote(json.dumps({"type": ["container"], "event": ["start"], "label": [LABEL]}))
            stream.sendall(("GET /events?filters=%s HTTP/1.0\r\nHost: localhost\r\n\r\n" % filters).encode())
            running = self.get("/containers/json?filters=" + urllib.parse.quote(json.dumps({"label": [LABEL]})))
        except (OSError, ValueError, http.client.HTTPException):
            return None
        self.stream, self.rest = stream, b""
        return [(container["Id"], container["Labels"][LABEL]) for container in running]

    def events(self):
        """Containers that were started: list of (id, name of the service)."""
        try:
            data = self.stream.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.stream.close()
            self.stream = None
            return []
        *lines, self.rest = (self.rest + data).split(b"\n")
        found = []
        for line in lines:
            if line.startswith(b"{"):
                event = json.loads(line)
                found.append((event["Actor"]["ID"], event["Actor"]["Attributes"][LABEL]))
        return found


def in_namespace_of(pid, *command, **options):
    return subprocess.run(["nsenter", "--net=/proc/%d/ns/net" % pid, *command], capture_output=True, text=True, check=False, **options)


def seal_inside(folder, container):
    """Loads the table into the network namespace of a running container; returns what is wrong, or ""."""
    try:
        inspected = Engine.get("/containers/%s/json" % urllib.parse.quote(container, safe=""))
        pid, service = inspected["State"]["Pid"], inspected["Config"]["Labels"][LABEL]
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        return "no container %s with the label %s (%s)" % (container, LABEL, error)
    if not pid:
        return "container %s does not run" % container
    path = os.path.join(folder, "inside-%s.nft" % service)
    if not re.match(r"^[a-z0-9-]+$", service) or not os.path.exists(path):
        return "container %s: there is no %s" % (container, path)
    done = in_namespace_of(pid, "nft", "-f", path)
    return done.stderr.strip() if done.returncode else ""


def seal_started(folder, containers):
    for container, service in containers:
        problem = seal_inside(folder, container)
        say(3 if problem else 6, problem or "sealed %s from inside (container %s)" % (service, container[:12]))


def hold(folder):
    rules = Rules(folder)
    changes = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    changes.bind((0, 0))
    changes.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    received = set()
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda given, _frame: received.add(given))
    loaded = rules.load_all()
    engine = Engine()
    # The role reads this line to know what is in force.
    tell_systemd("READY=1\nSTATUS=rules %s, program %s" % (digest_in(loaded), program_digest()))
    say(6, "both tables are in force")
    while signal.SIGTERM not in received:
        if signal.SIGHUP in received:
            # Anew, code and all. The owned table goes with the socket; the standing one is in force meanwhile.
            del rules
            os.execv(sys.executable, [sys.executable, *sys.argv])
        if engine.stream is None:
            seal_started(folder, engine.connect() or [])
        readable, _w, _x = select.select([changes, wake] + ([engine.stream] if engine.stream else []), [], [], None if engine.stream else 0.5)
        if wake in readable:
            wake.recv(64)
        if changes in readable:
            try:
                changes.recv(1 << 20)
            except OSError:
                pass  # more events than fit: what counts is that there were some
            rules.mend()
        if engine.stream in readable:
            seal_started(folder, engine.events())


def program_digest():
    with open(os.path.abspath(__file__), "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()[:16]


def digest_in(text):
    return re.search(r'comment "([0-9a-f]+)"', text).group(1)


def in_force(folder):
    """Whether both tables of both families carry the rules of the folder."""
    for name, file in ((OWNED, "owned.nft"), (STANDING, "standing.nft")):
        with open(os.path.join(folder, file), encoding="utf-8") as stream:
            digest = digest_in(stream.read())
        for family in ("inet", "bridge"):
            listed = subprocess.run(["nft", "--stateless", "list", "table", family, name], capture_output=True, text=True, check=False).stdout
            if 'comment "%s"' % digest not in listed:
                return False
    return True


def reload(folder):
    for name in ("owned.nft", "standing.nft"):
        # The owner's name in a file that is only checked would be refused while it is owned.
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            text = stream.read().replace(OWNED, OWNED + "_checked")
        checked = subprocess.run(["nft", "--check", "--file", "-"], input=text, capture_output=True, text=True, check=False)
        if checked.returncode:
            raise SystemExit("%s is refused, what was in force stays: %s" % (name, checked.stderr.strip()))
    os.kill(int(os.environ["MAINPID"]), signal.SIGHUP)
    for _attempt in range(100):
        if in_force(folder):
            return
        time.sleep(0.1)
    raise SystemExit("the rules of %s are not in force after 10 s" % folder)


def inside(folder, container):
    problem, main = "", os.environ.get("MAINPID")
    for _attempt in range(300):
        problem = seal_inside(folder, container)
        if not problem:
            return
        if main and not os.path.exists("/proc/" + main):
            break  # the unit's process has ended already: there will be no container
        time.sleep(0.1)
    raise SystemExit("not sealed from inside: %s" % problem)


if __name__ == "__main__":
    {"hold": hold, "reload": reload, "inside": inside}[sys.argv[1]](*sys.argv[2:])

"""A pool on one machine: a real HAProxy for its door and for each member, configured by the role's own template, with certificates of the role's own making.

Behind each member answers tests/stand_ins/model_server.py in the place of a gateway. Everything listens on loopback alone.
"""
import contextlib
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time

from support import ROOT
from unit.roles import rendering

from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import certificates
from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool.plan import plan
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

DOOR = "127.0.27.1"
INTERVAL = 500  # milliseconds between two looks at a member; the role's default is longer, and its test would be too
PACE = 100  # tokens per second of a stand-in


def run(words):
    """What a command prints; ValueError where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout


def free_port():
    """A port of loopback that nobody has."""
    with socket.socket() as opened:
        opened.bind((DOOR, 0))
        return opened.getsockname()[1]


def wait_until(holds, seconds, what):
    """Seconds until something holds; fails after so many."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, what
        time.sleep(0.05)
    return time.monotonic() - began


def listens(address, port):
    """Whether somebody takes connections there."""
    with socket.socket() as opened:
        return opened.connect_ex((address, port)) == 0


class Rack:
    """The pool.

    :param folder: a folder that is empty.
    :param members: name to models.
    :param changes: variables of the role besides, and ``tls`` as of gateway_tls.
    """

    def __init__(self, folder, members, **changes):
        self.folder, self.processes = pathlib.Path(folder), {}
        self.addresses = {name: "127.0.27.%d" % (10 + number) for number, name in enumerate(members, 1)}
        defaults = {name: option["default"] for name, option in collection_roles.argument_options("pool").items()}
        self.variables = dict(
            defaults, pool_enabled=True, pool_address=DOOR, pool_port=free_port(), pool_member_port=free_port(), pool_agent_port=free_port(),
            pool_check_interval=INTERVAL, pool_doors=[{"name": "door", "address": DOOR}],
            pool_members=[{"name": name, "address": self.addresses[name], "models": models, "weight": 100, "streams": 64} for name, models in members.items()])
        self.gateway_tls = changes.pop("tls", "none")
        self.variables.update(changes)
        self.gateway_port = free_port()
        self.authority = certificates.Authority(str(self.make_folder("authority")), run)
        self.ca = self.authority.make()

    def make_folder(self, name):
        """A folder of the rack."""
        made = self.folder / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def plan(self, host):
        """What a host does in this pool."""
        pool = {name[len("pool_"):]: value for name, value in self.variables.items()}
        return plan(pool, host, {"address": self.addresses.get(host, ""), "port": self.gateway_port, "tls": self.gateway_tls})

    def equip(self, host, **changes):
        """Gives a host its certificate and its configuration.

        :param changes: ``days`` that the certificate holds, and the ``authority`` that signs it.
        :returns: path of the configuration.
        """
        found, folder = self.plan(host), self.make_folder(host + "/pool")
        own, authority = certificates.Own(str(folder), run), changes.get("authority", self.authority)
        own.keep(authority.sign(own.request(), found["names"], found["uses"], changes.get("days", 2)), self.ca)
        text = rendering.render_template("pool", "haproxy.cfg.j2", dict(
            self.variables, _pool_plan=found, bunker_config_path=str(self.folder / host), _pool_run=str(self.folder / host)))
        (self.folder / host / "haproxy.cfg").write_text(text, encoding="utf-8")
        return self.folder / host / "haproxy.cfg"

    def start(self, name, *words):
        """Starts a program, whose output goes to a file of the rack."""
        with (self.folder / (name + ".log")).open("ab") as log:
            self.processes[name] = subprocess.Popen(words, stdout=log, stderr=log)  # pylint: disable=consider-using-with # it outlives this function
        return self.processes[name]

    def start_haproxy(self, host, where):
        """Starts the HAProxy of a host, and waits until it listens, also on its own socket, which comes a moment later."""
        self.start(host, "haproxy", "-db", "-f", str(self.folder / host / "haproxy.cfg"))
        wait_until(lambda: listens(*where) and self.tells(host), 60, (self.folder / (host + ".log")).read_text(encoding="utf-8"))

    def tells(self, host):
        """Whether the HAProxy of a host answers on its socket."""
        try:
            return bool(self.ask_haproxy("show info", host))
        except OSError:
            return False

    def restart_haproxy(self, member):
        """Lets a member load what :meth:`equip` wrote."""
        self.processes[member].kill()
        self.processes[member].wait()
        self.start_haproxy(member, (self.addresses[member], self.variables["pool_member_port"]))

    def start_gateway(self, member):
        """Starts the stand-in for a member's gateway."""
        self.start(member + "-gateway", sys.executable, str(ROOT / "tests/stand_ins/model_server.py"),
                   "%s:%d" % (self.addresses[member], self.gateway_port), member, str(PACE), "8192", "1000000")
        wait_until(lambda: listens(self.addresses[member], self.gateway_port), 60, member)

    def start_agent(self, member):
        """Starts the role's agent of a member, which asks the stand-in for the gateway's metrics."""
        agent = self.plan(member)["member"]["agent"]
        self.start(member + "-agent", sys.executable, str(ROOT / "roles/pool/files/agent.py"), agent["address"], str(agent["port"]),
                   "http://%s:%d/metrics" % (self.addresses[member], self.gateway_port), str(self.folder / member / "hold"), *agent["doors"])
        # From an address that is no door's it takes no question, and the connection all the same.
        wait_until(lambda: listens(agent["address"], agent["port"]), 60, member)

    def start_all(self):
        """Everybody, and waits until the door knows who answers."""
        for host in [*self.addresses, "door"]:
            self.equip(host)
        for member in self.addresses:
            self.start_member(member)
        self.start_haproxy("door", (DOOR, self.variables["pool_port"]))
        for member in self.addresses:
            self.wait_for(member, "UP")

    def load_door(self, **changes):
        """Restarts the door with other variables, and waits until it knows the members."""
        self.variables.update(changes)
        self.equip("door")
        self.processes["door"].kill()
        self.processes["door"].wait()
        self.start_haproxy("door", (DOOR, self.variables["pool_port"]))
        for member in self.addresses:
            self.wait_for(member, "UP")

    def start_member(self, member):
        """The programs of a member."""
        self.start_gateway(member)
        self.start_agent(member)
        self.start_haproxy(member, (self.addresses[member], self.variables["pool_member_port"]))

    def restart(self, member):
        """Starts a member that was killed, and waits until the door knows it."""
        self.start_member(member)
        self.wait_for(member, "UP")

    def signal(self, member, which):
        """Sends all programs of a member a signal, as if the machine had got it."""
        for name in (member, member + "-gateway", member + "-agent"):
            self.processes[name].send_signal(which)

    def stop(self):
        """Ends whatever runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def ask_haproxy(self, command, host="door"):
        """What the HAProxy of a host answers on its socket."""
        with socket.socket(socket.AF_UNIX) as opened:
            opened.connect(str(self.folder / host / "admin.sock"))
            opened.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: opened.recv(65536), b"")).decode()

    def state(self, member, backend="model_oracle"):
        """What the door thinks of a member, such as "UP", "DOWN" or "DRAIN (agent)"."""
        for line in self.ask_haproxy("show stat").splitlines():
            fields = line.split(",")
            if fields[:2] == [backend, member]:
                return fields[17]
        raise ValueError("%s is not in %s" % (member, backend))

    def sent(self, backend="model_oracle"):
        """How many requests the door has sent to members."""
        lines = [line.split(",") for line in self.ask_haproxy("show stat").splitlines()]
        return sum(int(fields[7]) for fields in lines if fields[0] == backend and fields[1] != "BACKEND")

    def wait_for(self, member, state, seconds=60):
        """Seconds until the door thinks so of a member."""
        return wait_until(lambda: self.state(member).startswith(state), seconds, "%s is not %s" % (member, state))

    def client(self, port=None, address=DOOR, certificate=None):
        """A connection to the door, or to another address with a certificate (its path)."""
        context = ssl.create_default_context(cadata=self.ca)
        if certificate:
            context.check_hostname = False
            context.load_cert_chain(certificate, str(certificate) + ".key")
        return http.client.HTTPSConnection(address, port or self.variables["pool_port"], timeout=30, context=context)

    @contextlib.contextmanager
    def asked(self, messages, model="oracle", **options):
        """The answer to a conversation, whose head has come. What ends too early ends with http.client.IncompleteRead or OSError."""
        connection = self.client()
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps({"model": model, "messages": messages, **options}),
                               {"Content-Type": "application/json"})
            yield connection.getresponse()
        finally:
            connection.close()

    def chat(self, messages, **options):
        """Status of an answer, who gave it, and its body, bytes."""
        with self.asked(messages, **options) as answer:
            return answer.status, answer.getheader("X-Bunker-Member"), answer.read()

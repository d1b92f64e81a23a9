"""The bare host on a machine with a card: a container with systemd, the machine's card and driver, in an engine that was carried there.

``CardHost`` makes it, runs plays and commands on it and keeps what the steps saw. Several may stand side by side on one machine, a card each.
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
ENGINE, LIBRARIES = pathlib.Path("/opt/engine"), "/usr/lib/x86_64-linux-gnu"
sys.path.insert(0, str(HERE.parent))
SMI = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
ANSIBLE = "cd /root && ANSIBLE_NOCOLOR=1 ANSIBLE_COLLECTIONS_PATH=/opt/protocol_omni/collections /opt/protocol_omni/venv/bin/ansible"
ORACLE = "http://172.30.0.10:8000"
# Run on the host, with Python's standard library alone.
PROGRAMS = (HERE / "ask.py", HERE / "load.py", HERE.parent / "turns.py", ROOT / "tests" / "bench" / "paired.py")
UNIT = "/etc/systemd/system/protocol-omni-oracle.service"


def engine_environment():
    """That of programs of the unpacked engine. Without the last iptables finds none of its matches, and dockerd does not start."""
    return dict(os.environ, PATH="%s/bin:%s" % (ENGINE, os.environ["PATH"]), LD_LIBRARY_PATH="%s/lib" % ENGINE, XTABLES_LIBDIR="%s/lib/xtables" % ENGINE)


def docker(*words, check=True, **more):
    """A command of the carried engine's client; its output."""
    done = subprocess.run(["docker", *words], env=engine_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if check and done.returncode:
        raise RuntimeError("docker %s: %s" % (" ".join(words)[:300], done.stdout[-4000:]))
    return done.stdout


def smi(*words):
    return subprocess.run([SMI, *words], capture_output=True, text=True, check=True).stdout


def driver_folder():
    """Where this machine keeps the driver's libraries."""
    for folder in ("/usr/local/nvidia/lib64", LIBRARIES):
        if list(pathlib.Path(folder).glob("libcuda.so.[0-9]*.*")):
            return pathlib.Path(folder)
    raise RuntimeError("no libcuda.so.VERSION below /usr/local/nvidia/lib64 or %s" % LIBRARIES)


def driver_version():
    return pathlib.Path("/proc/driver/nvidia/version").read_text(encoding="ascii").split("x86_64")[1].split()[0]


def moved(words, port):
    """A service's words with another port, on the host's own address."""
    found = list(words)
    found[found.index("--port") + 1], found[found.index("--host") + 1] = str(port), "127.0.0.1"
    return found


class CardHost:
    """One bare host and what is known of it.

    :param folder: of this machine, for what all hosts share and for each host's notes.
    :param parts: folder of the carried parts.
    :param name: of the container.
    :param cards: indices of the machine's cards that the inventory names, the first one first.
    :param cpus: of the Executor, such as "0-7"; "" leaves them to the rule. Hosts side by side would give their Executors the same ones, and threads that
        wait for each other stand still there: 0.5 tok/s were seen.
    :param variants: of wrong_images.VARIANTS, those that the step ``plugins`` compiles.
    """

    def __init__(self, folder, parts, name="card-host", cards=(0,), cpus="", variants=()):
        self.shared, self.folder, self.parts, self.name, self.cards, self.cpus, self.variants = folder, folder / name, parts, name, cards, cpus, variants
        self.bundle, self.logs = folder / "bundle", folder / name / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)

    def execute(self, command, check=True):
        """A shell command on the host; its output."""
        return docker("exec", self.name, "bash", "-c", command, check=check)

    def write(self, path, text):
        """A file on the host."""
        subprocess.run(["docker", "exec", "-i", self.name, "sh", "-c", "cat > %s" % shlex.quote(path)], env=engine_environment(), input=text, text=True,
                       check=True)

    @property
    def uuids(self):
        """Of the cards that are this host's."""
        rows = dict(line.split(", ") for line in smi("--query-gpu=index,uuid", "--format=csv,noheader").splitlines())
        return [rows[str(index)] for index in self.cards]

    def vram(self, column="memory.used"):
        """MiB of the first card."""
        return int(smi("--query-gpu=" + column, "--format=csv,noheader,nounits", "--id=%d" % self.cards[0]))

    def start(self):
        """The container, with the card and the driver where a machine has them."""
        folder, version = driver_folder(), driver_version()
        toolkit = self.folder / "nvidia-ctk"  # a copy: a checkout may be exchanged under what is mounted of it
        toolkit.write_text("#!/usr/bin/env python3\n" + (HERE / "stand_in_nvidia_ctk.py").read_text(encoding="utf-8"), encoding="utf-8")
        toolkit.chmod(0o755)
        volumes = ["--volume=%s:%s/%s:ro" % (path, LIBRARIES, path.name) for path in folder.glob("*.so.%s" % version)]
        volumes += ["--volume=%s:/usr/bin/nvidia-smi:ro" % SMI, "--volume=%s:/usr/bin/nvidia-ctk:ro" % toolkit, "--volume=%s:/srv/bundle" % self.bundle]
        docker("run", "--detach", "--name", self.name, "--hostname", self.name, "--network=none", "--privileged", "--cgroupns=private", "--tmpfs=/run",
               "--tmpfs=/run/lock", "--volume=/var/lib/docker", "--volume=/srv/models", "--env=container=docker", *volumes, "protocol-omni-test/host:trixie")
        self.wait_for_systemd()
        self.execute("cd %s && ldconfig && ln -sf libcuda.so.%s libcuda.so.1 && ldconfig && nvidia-smi -L" % (LIBRARIES, version))
        for program in PROGRAMS:
            self.write("/root/" + program.name, program.read_text(encoding="utf-8"))

    def wait_for_systemd(self):
        """Until it has started. What is executed in a container meanwhile stands in the root of its cgroups, and keeps systemd from handing on its
        controllers, so nobody does for 20 seconds.
        """
        time.sleep(20)
        for _number in range(60):
            if docker("exec", self.name, "systemctl", "is-system-running", check=False).strip() in ("running", "degraded"):
                return
            time.sleep(0.5)

    def store(self):
        """Where the host's models lie on this machine."""
        mounts = json.loads(docker("inspect", "--format", "{{json .Mounts}}", self.name))
        return pathlib.Path(next(mount["Source"] for mount in mounts if mount["Destination"] == "/srv/models"))

    def deployed_services(self):
        """bunker_services as they were deployed last."""
        return json.loads(self.execute("cat /etc/protocol_omni/vram_watch/contingency.json"))["bunker_services"]

    def oracle_image(self):
        """ID of the image that the Oracle's unit runs."""
        return re.search(r"sha256:[0-9a-f]{64}", self.execute("cat " + UNIT)).group(0)

    def oracle_words(self):
        """(words of llama-server, words of the container) of the Oracle as it is deployed."""
        resolved = json.loads(self.execute("cat /etc/protocol_omni/services/oracle.json"))
        return resolved["server_arguments"], resolved["container_arguments"]

    def begin_server(self, name, image, gpus, model, words, *options):
        """A llama-server in a container of its own on the host's network, with words that name its port; its address."""
        given = ["--network", "host", "--env", "CUDA_VISIBLE_DEVICES=" + ",".join(gpus), "--volume", "/srv/models/%s:/models:ro" % model, *options]
        given += [word for uuid in gpus for word in ("--device", "nvidia.com/gpu=" + uuid)]
        self.execute("docker rm -f %s >/dev/null 2>&1; docker run --detach --name %s %s" % (name, name, shlex.join([*given, image, *words])))
        return "http://127.0.0.1:" + words[words.index("--port") + 1]

    def apps(self):
        """What computes on which card, a line each."""
        return self.execute("nvidia-smi --query-compute-apps=gpu_uuid,used_memory --format=csv,noheader").splitlines()

    def write_inventory(self, ladder=None):
        """tests/gpu/site/inventory.yml with what only this machine can say, and another ladder where one is given (list of names of plans)."""
        text = (HERE / "inventory.yml").read_text(encoding="utf-8").replace("UUID_OF_THE_CARD", ", ".join(self.uuids))
        if ladder:
            text = re.sub(r"ladder: \[.*\]", "ladder: [%s]" % ", ".join(ladder), text)
            text = text.replace("          device: cpu\n", "          device: cpu\n          ladder: []\n")  # the default one names plans that are not there
        if self.cpus:
            first, last = map(int, self.cpus.split("-"))
            text = text.replace("          batch: 512\n", "          batch: 512\n          threads: %d\n          cpuset: %s\n" % (last - first + 1, self.cpus))
        # The name of the archive is one of the image's inputs, so it is what it was where the image was built.
        text = text.replace("NAME_OF_THE_BASE", "base.tar" if (self.bundle / "inputs" / "base.tar").exists() else "trixie.tar")
        self.write("/root/inventory.yml", text.replace("HASH_OF_THE_BASE", (self.shared / "base.sha256").read_text(encoding="ascii").strip()))

    def play(self, name, playbook="protocol_omni.bunker.site", changed=None):
        """Runs a playbook of the collection on the host itself; what it said stays in a log.

        :param changed: dict, variables that are others than the inventory's.
        :returns: {"status", "ok", "changed", "failures", "seconds"}; "end" is what it said at last where it failed.
        """
        begun = time.monotonic()
        self.execute("rm -rf /root/reports")  # what is read afterwards is of this play
        output = self.execute("%s-playbook -i /root/inventory.yml %s -e bunker_bundle=/srv/bundle -e bunker_report_path=/root/reports -e %s; echo status $?"
                              % (ANSIBLE, playbook, shlex.quote(json.dumps(changed or {}))), check=False)
        (self.logs / (name + ".log")).write_text(output, encoding="utf-8")
        counts = re.findall(r"card +: ok=(\d+) +changed=(\d+) +unreachable=\d+ +failed=(\d+)", output)
        found = {"status": int(re.search(r"status (\d+)\s*$", output).group(1)), "seconds": round(time.monotonic() - begun, 1)}
        if counts:
            found.update(zip(("ok", "changed", "failures"), map(int, counts[-1])))
        if found["status"]:
            found["end"] = [line for line in output.splitlines() if "fatal:" in line or "failed:" in line or "FAILED" in line][-1:] or [output[-1500:]]
            found["end"] = [line[:3000] for line in found["end"]]
        return found

    def report(self):
        """The claims of the last play, id to entry."""
        text = self.execute("cat /root/reports/card.json 2>/dev/null", check=False)
        return {entry["id"]: entry for entry in json.loads(text or "{}").get("claims", ())}

    def not_holding(self):
        """Claims of the last play that are others than expected on such a machine: id to [status, what was observed]."""
        expected = json.loads((HERE / "expected_claims.json").read_text(encoding="utf-8"))
        expected.update({"executor.tuned": "does not apply"} if self.cpus else {})
        report = self.report()
        return {name: [entry["status"], str(entry.get("observed") or entry.get("reason") or "")[:400]]
                for name, entry in report.items() if entry["status"] != expected.get(name)}

    def ask(self, service="oracle", tokens=64, seconds=120, address=""):
        """What a service answers, as soon as it does; through the gateway where no address is given."""
        return json.loads(self.execute("python3 /root/ask.py %s %d %d %s" % (service, tokens, seconds, address)).splitlines()[-1])

    def answers(self, words):
        """What a program of PROGRAMS prints as JSON in its last line."""
        return json.loads(self.execute("cd /root && python3 " + words).splitlines()[-1])

    def begin_load(self, *clients):
        """Clients that ask through the gateway until end_load(): words such as "oracle:2"."""
        docker("exec", "--detach", self.name, "bash", "-c",
               "cd /root; rm -f over load.json; python3 load.py over %s > load.part; mv load.part load.json" % " ".join(clients))

    def end_load(self):
        """What they saw: service to what load.py says of it."""
        self.execute("touch /root/over; for i in $(seq 600); do [ -e /root/load.json ] && break; sleep 0.5; done")
        return json.loads(self.execute("cat /root/load.json").splitlines()[-1])["services"]

    def says(self, unit="protocol-omni-oracle", lines=40):
        """The last words of a unit's journal that are about a failure, and its state."""
        found = self.execute("journalctl -u %s -n %d --no-pager -o cat" % (unit, lines), check=False).splitlines()
        return {"state": self.execute("systemctl is-active %s" % unit, check=False).strip(),
                "said": [line[:300] for line in found if re.search(r"does not start|error|fail|no kernel image|CUDA|CDI", line, re.IGNORECASE)][-12:]}

    def is_alive(self, address=ORACLE):
        """Whether the Oracle says that it is healthy, asked from its host."""
        words = "python3 -c 'import urllib.request as u; u.urlopen(\"%s/health\", timeout=1)' 2>/dev/null && echo yes" % address
        return self.execute(words, check=False).strip() == "yes"

    def wait_until(self, alive, seconds, address=ORACLE):
        """Waits for the Oracle to be alive or not; the seconds that it took, or None."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            if self.is_alive(address) == alive:
                return round(time.monotonic() - begun, 1)
            time.sleep(0.2)
        return None


def start_engine(folder):
    """Unpacks the carried engine and starts it; its version."""
    ENGINE.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "engine.tar.xz") as archive:
        archive.extractall(ENGINE, filter="fully_trusted")
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    with open(folder / "dockerd.log", "w", encoding="utf-8") as log:
        subprocess.Popen(["dockerd", "--data-root", str(folder / "engine-data")], env=engine_environment(), stdout=log, stderr=log, start_new_session=True)
    for _number in range(60):
        if "Server Version" in docker("info", check=False):
            return docker("version", "--format", "{{.Server.Version}}").strip()
        time.sleep(0.5)
    return sys.exit("the engine does not answer: %s/dockerd.log" % folder)

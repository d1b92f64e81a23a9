"""The whole site on a machine that has a card, a driver and nothing else: no network, no packages, no systemd.

    python3 tests/gpu/site/card_site.py --parts FOLDER [--state FOLDER] STEP...

Steps, in their order: join engine host install site again claims; then each of the experiments; at the end down. Each but site fits ten minutes,
notes in the state's folder (default /opt/card-site) that it is done, and is passed over from then on. ``results`` prints what was seen as JSON,
for tests/gpu/results/site.json.

The bare host is a container with systemd, the machine's card, the driver's libraries and nvidia-smi, as a host has them; its engine, image, networks, services,
gateway and watcher are what site.yml makes of the bundle in it. NVIDIA's container toolkit cannot be installed there: stand_in_nvidia_ctk.py takes its place.
"""
import argparse
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
sys.path.insert(0, str(ROOT / "tests"))

from support import provenance  # noqa: E402

ENGINE, HOST, LIBRARIES = pathlib.Path("/opt/engine"), "card-host", "/usr/lib/x86_64-linux-gnu"
SMI = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
RECORD = "tests/gpu/results/site.json"
ANSIBLE = "cd /root && ANSIBLE_NOCOLOR=1 ANSIBLE_COLLECTIONS_PATH=/opt/protocol_omni/collections /opt/protocol_omni/venv/bin/ansible-playbook"
steps = {}


def step(function):
    steps[function.__name__] = function
    return function


class State:
    """What is done, kept in a folder: {step: what it saw}."""

    def __init__(self, folder, parts):
        self.folder, self.parts = folder, parts
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "state.json"
        self.seen = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}

    def run(self, name):
        if name in self.seen and name != "down":
            print("%s: done before" % name)
            return
        begun = time.monotonic()
        found = steps[name](self)
        self.seen[name] = dict(found or {}, seconds=round(time.monotonic() - begun, 1))
        self.path.write_text(json.dumps(self.seen, indent=1), encoding="utf-8")
        print("%s: %s" % (name, json.dumps(self.seen[name])[:2000]), flush=True)


def engine_environment():
    """That of programs of the unpacked engine. Without the last iptables finds none of its matches, and dockerd does not start."""
    return dict(os.environ, PATH="%s/bin:%s" % (ENGINE, os.environ["PATH"]), LD_LIBRARY_PATH="%s/lib" % ENGINE, XTABLES_LIBDIR="%s/lib/xtables" % ENGINE)


def docker(*words, check=True, **more):
    done = subprocess.run(["docker", *words], env=engine_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if check and done.returncode:
        sys.exit("docker %s: %s" % (" ".join(words)[:300], done.stdout[-4000:]))
    return done.stdout


def on_host(command, check=True):
    """A shell command on the bare host; its output."""
    return docker("exec", HOST, "bash", "-c", command, check=check)


def driver_folder():
    """Where this machine keeps the driver's libraries."""
    for folder in ("/usr/local/nvidia/lib64", LIBRARIES):
        if list(pathlib.Path(folder).glob("libcuda.so.[0-9]*.*")):
            return pathlib.Path(folder)
    return sys.exit("no libcuda.so.VERSION below /usr/local/nvidia/lib64 or %s" % LIBRARIES)


def smi(*words):
    return subprocess.run([SMI, *words], capture_output=True, text=True, check=True).stdout


@step
def join(state):
    """The parts to the files that pack cut."""
    parts = sorted(state.parts.glob("part.*"))
    unpack = subprocess.Popen(["tar", "-x", "-C", str(state.folder)], stdin=subprocess.PIPE)
    for part in parts:
        with open(part, "rb") as stream:
            shutil.copyfileobj(stream, unpack.stdin, 1 << 22)
    unpack.stdin.close()
    if unpack.wait():
        sys.exit("%d parts are no whole archive: carry the missing ones over" % len(parts))
    subprocess.run(["sha256sum", "--check", "--quiet", "whole.sha256"], cwd=state.folder, check=True)


@step
def engine(state):
    """Unpacks the engine and starts it."""
    ENGINE.mkdir(parents=True, exist_ok=True)
    with tarfile.open(state.folder / "engine.tar.xz") as archive:
        archive.extractall(ENGINE, filter="fully_trusted")
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    with open(state.folder / "dockerd.log", "w", encoding="utf-8") as log:
        subprocess.Popen(["dockerd", "--data-root", str(state.folder / "engine-data")], env=engine_environment(), stdout=log, stderr=log,
                         start_new_session=True)
    for _number in range(60):
        if "Server Version" in docker("info", check=False):
            return {"version": docker("version", "--format", "{{.Server.Version}}").strip()}
        time.sleep(0.5)
    return sys.exit("the engine does not answer: %s/dockerd.log" % state.folder)


@step
def host(state):
    """The bare host, with the card and the driver where a machine has them."""
    docker("load", "--input", str(state.folder / "host.tar.xz"))
    (state.folder / "bundle").mkdir(exist_ok=True)
    with tarfile.open(state.folder / "bundle.tar.gz") as archive:
        archive.extractall(state.folder, filter="fully_trusted")
    folder = driver_folder()
    version = pathlib.Path("/proc/driver/nvidia/version").read_text(encoding="ascii").split("x86_64")[1].split()[0]
    toolkit = state.folder / "nvidia-ctk"  # a copy: a checkout may be exchanged under what is mounted of it
    toolkit.write_text("#!/usr/bin/env python3\n" + (HERE / "stand_in_nvidia_ctk.py").read_text(encoding="utf-8"), encoding="utf-8")
    toolkit.chmod(0o755)
    libraries = list(folder.glob("*.so.%s" % version))
    volumes = ["--volume=%s:%s/%s:ro" % (path, LIBRARIES, path.name) for path in libraries]
    volumes += ["--volume=%s:/usr/bin/nvidia-smi:ro" % SMI, "--volume=%s:/usr/bin/nvidia-ctk:ro" % toolkit,
                "--volume=%s:/srv/bundle" % (state.folder / "bundle")]
    docker("run", "--detach", "--name", HOST, "--hostname", HOST, "--network=none", "--privileged", "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock",
           "--volume=/var/lib/docker", "--volume=/srv/models", "--env=container=docker", *volumes, "protocol-omni-test/host:trixie")
    for _number in range(60):
        if docker("exec", HOST, "systemctl", "is-system-running", check=False).strip() in ("running", "degraded"):
            break
        time.sleep(0.5)
    on_host("cd %s && ldconfig && ln -sf libcuda.so.%s libcuda.so.1 && ldconfig && nvidia-smi -L" % (LIBRARIES, version))
    return {"driver": version, "card": smi("--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader").strip()}


def write_inventory(state):
    """tests/gpu/site/inventory.yml with what only this machine can say, on the host."""
    text = (HERE / "inventory.yml").read_text(encoding="utf-8")
    text = text.replace("UUID_OF_THE_CARD", smi("--query-gpu=uuid", "--format=csv,noheader").split()[0])
    text = text.replace("HASH_OF_THE_BASE", (state.folder / "base.sha256").read_text(encoding="ascii").strip())
    (state.folder / "bundle" / "inventory.yml").write_text(text, encoding="utf-8")
    on_host("mv /srv/bundle/inventory.yml /root/inventory.yml")


def play(state, name, playbook="protocol_omni.bunker.site", changed=None):
    """Runs a playbook of the collection on the host itself; what it said stays in the state's folder.

    :param changed: dict, variables that are others than the inventory's.
    """
    on_host("rm -rf /root/reports")  # what is read afterwards is of this play
    output = on_host("%s -i /root/inventory.yml %s -e bunker_bundle=/srv/bundle -e bunker_report_path=/root/reports -e %s; echo status $?"
                     % (ANSIBLE, playbook, shlex.quote(json.dumps(changed or {}))), check=False)
    (state.folder / (name + ".log")).write_text(output, encoding="utf-8")
    status = int(re.search(r"status (\d+)\s*$", output).group(1))
    counts = re.findall(r"card +: ok=(\d+) +changed=(\d+)", output)
    return {"status": status, "ok": int(counts[-1][0]), "changed": int(counts[-1][1])} if counts else {"status": status, "end": output[-1500:]}


@step
def install(state):
    """The bundle's own installer."""
    on_host("/srv/bundle/install")
    return {"manifest": on_host("sha256sum /srv/bundle/SHA256SUMS").split()[0]}


def judged(state, found):
    """Ends here where a play ended otherwise than by the claims that fail on such a machine (tests/gpu/site/expected_claims.json)."""
    statuses = {entry["id"]: entry["status"] for entry in json.loads(on_host("cat /root/reports/card.json", check=False) or "{}").get("claims", ())}
    expected = json.loads((HERE / "expected_claims.json").read_text(encoding="utf-8"))
    others = {name: statuses.get(name) for name in {*statuses, *expected} if statuses.get(name) != expected.get(name)}
    if others:
        sys.exit("claims that are others than in expected_claims.json: %s; the play: %s" % (others, found))
    return found


@step
def site(state):
    """site.yml, unchanged. Its exit status is 2 where claims fail, as some do on a machine whose driver came without packages."""
    write_inventory(state)
    return judged(state, play(state, "site"))


@step
def again(state):
    """A second run changes nothing."""
    found = judged(state, play(state, "again"))
    if found["changed"]:
        sys.exit("the second run changed something: %s/again.log" % state.folder)
    return found


@step
def claims(state):
    """Every claim with its status, and why where it does not apply."""
    report = json.loads(on_host("cat /root/reports/card.json"))
    return {"claims": {entry["id"]: [entry["status"], entry.get("observed") or entry.get("reason") or ""] for entry in report["claims"]}}


ORACLE = "http://172.30.0.10:8000"


def ask(state, service="oracle", tokens=64, seconds=120, address=""):
    """What a service answers, as soon as it does; through the gateway where no address is given."""
    shutil.copy(HERE / "ask.py", state.folder / "bundle" / "ask.py")
    return json.loads(on_host("python3 /srv/bundle/ask.py %s %d %d %s" % (service, tokens, seconds, address)).splitlines()[-1])


def service_says(unit="protocol-omni-oracle"):
    """The last words of a unit's journal that are about a failure, and its state."""
    lines = on_host("journalctl -u %s -n 40 --no-pager -o cat" % unit, check=False).splitlines()
    return {"state": on_host("systemctl is-active %s" % unit, check=False).strip(),
            "said": [line[:300] for line in lines if re.search(r"does not start|error|fail|no kernel image|CUDA|CDI", line, re.IGNORECASE)][-12:]}


@step
def speed(state):
    """Ten answers of each service, and what of the card the Oracle holds."""
    found = {service: [ask(state, service, 200) for _number in range(10)] for service in ("oracle", "executor")}
    return {**{name: {"generation": sorted(one["generation"] for one in answers), "words": answers[0]["words"]} for name, answers in found.items()},
            "on_the_card": smi("--query-compute-apps=used_memory,process_name", "--format=csv,noheader").splitlines()}


# What is done to the host, and what brings it back where it does not come by itself.
# /dev/nvidia0 taken away is none of them: nvidia-smi, which the unit asks before each start, makes the file anew.
FAULTS = {
    "the server killed": ("kill -9 $(docker inspect --format '{{.State.Pid}}' oracle)", ""),
    "the engine killed": ("systemctl kill --signal=KILL docker.service", ""),
    "a CDI specification of another card": ("sed -i 's/GPU-[0-9a-f]*/GPU-00000000/' /var/run/cdi/nvidia.yaml; systemctl restart protocol-omni-oracle",
                                            "systemctl restart protocol-omni-cdi"),
}


def alive():
    """Whether the Oracle says that it is healthy, asked from its host."""
    words = "python3 -c 'import urllib.request as u; u.urlopen(\"%s/health\", timeout=1)' 2>/dev/null && echo yes" % ORACLE
    return on_host(words, check=False).strip() == "yes"


def wait_until(alive_or_not, seconds):
    """Waits for the Oracle to be so; the seconds that it took, or None."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if alive() == alive_or_not:
            return round(time.monotonic() - begun, 1)
        time.sleep(0.2)
    return None


@step
def faults(state):
    """Each fault: seconds until the Oracle is down, and until it serves by itself again or after what mends it; what the journal tells meanwhile."""
    found = {}
    for name, (harm, mend) in FAULTS.items():
        on_host("systemctl reset-failed protocol-omni-oracle; systemctl start protocol-omni-oracle", check=False)
        wait_until(True, 60)
        on_host(harm, check=False)
        found[name] = {"down_after": wait_until(False, 30)}
        if mend:
            time.sleep(5)
            found[name].update(service_says(), gateway=ask(state, seconds=5))
            on_host(mend, check=False)
        found[name].update(serves_after=wait_until(True, 90), answer=ask(state, address=ORACLE))
    begun = time.monotonic()
    docker("restart", HOST)
    # What is executed in a container while its systemd starts stands in the root of its cgroups, and keeps systemd from handing on its controllers.
    time.sleep(20)
    wait_until(True, 120)
    found["the host restarted"] = {"serves_after": round(time.monotonic() - begun, 1), "answer": ask(state, address=ORACLE)}
    return {"faults": found}


SHADOW = """
import json
path = "/var/run/cdi/nvidia.yaml"
spec = json.load(open(path))
edits, inside = spec["containerEdits"], "/usr/lib/x86_64-linux-gnu/"
edits["mounts"].append({"hostPath": "/opt/compat/NAME", "containerPath": inside + "NAME", "options": ["ro", "nosuid", "nodev", "bind"]})
edits["hooks"][0]["args"] = ["NAME::" + inside + "libcuda.so.1" if word.endswith("/libcuda.so.1") else word for word in edits["hooks"][0]["args"]]
json.dump(spec, open(path, "w"))
"""


@step
def shadowed(state):
    """CUDA's compat library takes the name libcuda.so.1 in the Oracle's container: what the claim says, then and after it is gone."""
    compat, = pathlib.Path("/usr/local/cuda/compat").glob("libcuda.so.[0-9]*.*")
    on_host("mkdir -p /opt/compat; systemctl reset-failed protocol-omni-oracle")
    docker("cp", str(compat), "%s:/opt/compat/%s" % (HOST, compat.name))

    def seen():
        on_host("systemctl restart protocol-omni-oracle", check=False)
        answer = ask(state, seconds=60, address=ORACLE)
        play(state, "shadowed", "protocol_omni.bunker.verify")
        report = {entry["id"]: entry for entry in json.loads(on_host("cat /root/reports/card.json"))["claims"]}
        return {"answer": answer, "claim": {name: report["oracle.libcuda"].get(name) for name in ("status", "expected", "observed")}}
    docker("exec", HOST, "python3", "-c", SHADOW.replace("NAME", compat.name))
    found = {"library": compat.name, "there": seen()}
    on_host("systemctl restart protocol-omni-cdi")
    return dict(found, gone=seen())


@step
def down(state):
    """Removes the host and ends the engine; from then on nothing is done."""
    state.seen.clear()
    docker("rm", "--force", "--volumes", HOST)
    pid = pathlib.Path("/var/run/docker.pid")
    if pid.exists():
        os.kill(int(pid.read_text(encoding="ascii")), 15)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=pathlib.Path, required=True)
    parser.add_argument("--state", type=pathlib.Path, default=pathlib.Path("/opt/card-site"))
    parser.add_argument("steps", nargs="+", choices=[*steps, "results"])
    options = parser.parse_args()
    state = State(options.state, options.parts)
    for name in options.steps:
        if name == "results":
            record = json.dumps({"provenance": provenance.made(RECORD), "steps": state.seen}, indent=1, ensure_ascii=False)
            print(re.sub(r"GPU-[0-9a-f]{8}[0-9a-f-]+", "GPU-…", record))  # the card's identity is nobody's business
        else:
            state.run(name)


if __name__ == "__main__":
    main()

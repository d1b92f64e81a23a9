"""The whole site on a machine that has a card, a driver and nothing else: no network, no packages, no systemd.

    python3 tests/gpu/site/card_site.py --parts FOLDER [--state FOLDER] [--name NAME] [--cards 0[,1]] [--cpus 0-7] [--go-on] STEP...

Steps, in their order: join engine host install site again claims; then each of the experiments (faults.py, wrong_images.py, pruned_image.py, gap.py,
large_model.py, two_cards.py); at the end down. Each fits ten minutes, notes in the state's folder (default /opt/card-site) that it is done, and is
passed over from then on. ``results`` prints what was seen as JSON, for tests/gpu/results/site.json. With --go-on a step that fails is noted, and the next
one is begun.

The bare host is a container with systemd, the machine's card, the driver's libraries and nvidia-smi, as a host has them; its engine, image, networks, services,
gateway and watcher are what site.yml makes of the bundle in it. NVIDIA's container toolkit cannot be installed there: stand_in_nvidia_ctk.py takes its place.
Hosts of several names stand side by side, a card each.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import time
import traceback

import compiled
import faults
import gap
import large_model
import pruned_image
import two_cards
import wrong_images
from card_host import ROOT, CardHost, docker, driver_version, smi, start_engine

sys.path.insert(0, str(ROOT / "tests"))

from support import provenance  # noqa: E402

RECORD = "tests/gpu/results/site.json"
COMMAND = "python3 tests/gpu/site/card_site.py --parts FOLDER %s results"


def join(host):
    """The parts to the files that pack cut."""
    parts = sorted(host.parts.glob("part.*"))
    with subprocess.Popen(["tar", "-x", "-C", str(host.shared)], stdin=subprocess.PIPE) as unpack:
        for part in parts:
            with open(part, "rb") as stream:
                shutil.copyfileobj(stream, unpack.stdin, 1 << 22)
    if unpack.returncode:
        raise RuntimeError("%d parts are no whole archive: carry the missing ones over" % len(parts))
    subprocess.run(["sha256sum", "--check", "--quiet", "whole.sha256"], cwd=host.shared, check=True)
    with tarfile.open(host.shared / "bundle.tar.gz") as archive:
        archive.extractall(host.shared, filter="fully_trusted")


def engine(host):
    """Unpacks the engine and starts it; it has the bare host's image then."""
    version = start_engine(host.shared)
    docker("load", "--input", str(host.shared / "host.tar.xz"))
    return {"version": version}


def bare_host(host):
    """The bare host."""
    host.start()
    return {"driver": driver_version(), "cards": smi("--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader").splitlines()}


def install(host):
    """The bundle's own installer."""
    host.execute("/srv/bundle/install")
    return {"manifest": host.execute("sha256sum /srv/bundle/SHA256SUMS").split()[0]}


def judged(host, found):
    """Ends the step where a play ended otherwise than by the claims that fail on such a machine (expected_claims.json)."""
    others = host.not_holding()
    if others or not host.report():
        raise RuntimeError("claims that are others than in expected_claims.json: %s; the play: %s" % (others, found))
    return found


def site(host):
    """site.yml, unchanged. Its exit status is 2 where claims fail, as some do on a machine whose driver came without packages."""
    host.write_inventory()
    return judged(host, host.play("site"))


def again(host):
    """A second run changes nothing."""
    found = judged(host, host.play("again"))
    if found["changed"]:
        raise RuntimeError("the second run changed something: %s/again.log" % host.logs)
    return found


def claims(host):
    """Every claim with its status, and why where it does not apply."""
    return {"claims": {name: [entry["status"], entry.get("observed") or entry.get("reason") or ""] for name, entry in host.report().items()}}


def speed(host):
    """Ten answers of each service, and what of the card the Oracle holds."""
    found = {service: [host.ask(service, 200) for _number in range(10)] for service in ("oracle", "executor")}
    return {**{name: {"generation": sorted(one["generation"] for one in answers), "words": answers[0]["words"]} for name, answers in found.items()},
            "on_the_card": smi("--query-compute-apps=used_memory,process_name", "--format=csv,noheader").splitlines()}


def down(host):
    """Removes the host; the engine ends with the last one."""
    docker("rm", "--force", "--volumes", host.name)
    shutil.rmtree(host.folder)
    pid = pathlib.Path("/var/run/docker.pid")
    if pid.exists() and not docker("ps", "--quiet").strip():
        os.kill(int(pid.read_text(encoding="ascii")), 15)


SHARED = {"join": join, "engine": engine, "plugins": wrong_images.plugins}  # once for all hosts of this machine
STEPS = {"host": bare_host, "install": install, "site": site, "again": again, "claims": claims, "speed": speed,
         **compiled.STEPS, **faults.STEPS, **wrong_images.STEPS, **pruned_image.STEPS, **gap.STEPS, **large_model.STEPS, **two_cards.STEPS}


def run(host, name, go_on):
    """One step, unless it is done; what it saw stands in the notes."""
    path = (host.shared if name in SHARED else host.folder) / "seen.json"
    seen = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if name in seen and "failed" not in seen[name]:
        print("%s: done before" % name, flush=True)
        return
    begun = time.monotonic()
    try:
        found = {**SHARED, **STEPS}[name](host) or {}
    except Exception as error:  # pylint: disable=broad-except  # the machine is lent for minutes: what else there is to see is not lost with this
        traceback.print_exc()
        found = {"failed": str(error)[:4000]}
    seen = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}  # once more: steps of other hosts went on meanwhile
    seen[name] = dict(found, seconds=round(time.monotonic() - begun, 1))
    path.write_text(json.dumps(seen, indent=1, ensure_ascii=False), encoding="utf-8")
    print("%s %s: %s" % (host.name, name, json.dumps(seen[name], ensure_ascii=False)[:3000]), flush=True)
    if "failed" in found and not go_on:
        sys.exit(1)


def results(host):
    """What all hosts of this machine have seen, as the record has it."""
    read = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(host.shared.glob("*/seen.json"))}
    shared = json.loads((host.shared / "seen.json").read_text(encoding="utf-8"))
    names = " ".join([*shared, *(name for seen in read.values() for name in seen)])
    record = json.dumps({"provenance": provenance.made(RECORD, command=COMMAND % names), "steps": {**shared, **{
        name: found for seen in read.values() for name, found in seen.items()}}, "hosts": {name: list(seen) for name, seen in read.items()}},
        indent=1, ensure_ascii=False)
    return re.sub(r"GPU-[0-9a-f]{8}[0-9a-f-]*", "GPU-…", record)  # the card's identity is nobody's business


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=pathlib.Path, required=True)
    parser.add_argument("--state", type=pathlib.Path, default=pathlib.Path("/opt/card-site"))
    parser.add_argument("--name", default="card-host", help="of the bare host")
    parser.add_argument("--cards", default="0", help="indices of the machine's cards that are this host's")
    parser.add_argument("--cpus", default="", help="of its Executor, a range, where other hosts stand beside it")
    parser.add_argument("--variants", default=",".join(wrong_images.VARIANTS), help="what the step plugins compiles; all of it takes six minutes")
    parser.add_argument("--go-on", action="store_true")
    parser.add_argument("steps", nargs="+", choices=[*SHARED, *STEPS, "down", "results"])
    options = parser.parse_args()
    host = CardHost(options.state, options.parts, options.name, [int(one) for one in options.cards.split(",")], options.cpus, options.variants.split(","))
    for name in options.steps:
        if name == "results":
            print(results(host))
        elif name == "down":
            down(host)
        else:
            run(host, name, options.go_on)


if __name__ == "__main__":
    main()

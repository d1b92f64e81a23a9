"""A host that runs release 0.5.0 is taken to this checkout by site.yml: services go on, the seal never opens, old files are gone, the rung is kept.

The release is taken out of the checkout's own history and runs in an environment of its own, by its own lock file. Both releases have an image without CUDA.
"""
import json
import os
import pathlib
import subprocess
import sys
import threading

import pytest
from support import ROOT, plays
from support.hosts import Host, bare

sys.path.append(str(ROOT / "tests" / "sequences"))
import comparing  # noqa: E402
import streams  # noqa: E402

from ansible_collections.protocol_omni.bunker.plugins.module_utils.egress_probe import frames  # noqa: E402

pytestmark = pytest.mark.full
RELEASE, COMMIT = "0.5.0", "92b8e90941bda29eb4adc6bf9601278696cf037c"  # its last one
NAME, FRESH = "bunker-test-upgrade", "bunker-test-upgrade-fresh"
ADDRESSES = {NAME: "172.29.253.38", FRESH: "172.29.253.39"}
VARIABLES = {"golden_image_name": "omni/llama-server-without-cuda", "golden_image_alias": "cpu", "golden_image_cuda": False, "inference_service_speed_bound": 2}
RUNG = 3  # of the Oracle's ladder: a shorter context
RUNS = "/run/upgrade-runs"
# Both hosts have them, and each says its own address in it, as it is or in a digest.
WITH_THE_ADDRESS = ("/etc/protocol_omni/gateway/nginx.conf", "/etc/protocol_omni/vram_watch/settings.json")


class Earlier:
    """The release, with its own environment."""

    def __init__(self, folder):
        self.tree, self.environment = folder / "release", folder / "environment"
        self.tree.mkdir()
        archived = subprocess.run(["git", "-C", str(ROOT), "archive", COMMIT], capture_output=True, check=False)
        assert archived.returncode == 0, "release %s is not in the history of this checkout (%s): git fetch --unshallow" % (RELEASE, archived.stderr.decode())
        subprocess.run(["tar", "-x", "-C", str(self.tree)], input=archived.stdout, check=True)
        assert "version: %s\n" % RELEASE in (self.tree / "galaxy.yml").read_text(encoding="utf-8")
        subprocess.run([sys.executable, "-m", "venv", str(self.environment)], check=True)
        self.called("python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", "requirements/run.txt")

    def called(self, program, *words, attempts=1):
        """Runs a program of its environment in its tree, more than once where it fails."""
        for _attempt in range(attempts):
            done = subprocess.run([str(self.environment / "bin" / program), *map(str, words)], cwd=self.tree, capture_output=True, text=True, check=False,
                                  env=dict(os.environ, ANSIBLE_CONFIG=str(self.tree / "ansible.cfg"), ANSIBLE_NOCOLOR="1",
                                           PATH="%s/bin:%s" % (self.environment, os.environ["PATH"])))
            if done.returncode == 0:
                return
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]

    def play(self, playbook, variables):
        """Runs a playbook of the release on the host, by the release's own inventory of the demo.

        That release listens for its own probe on a port that the kernel may have given to a connection, and then fails: so it is run again.
        """
        self.called("ansible-playbook", "-i", self.tree / "inventory" / "demo", *("--inventory=%s" % path for path in plays.INVENTORIES[1:]), "--limit", NAME,
                    playbook, "-e", json.dumps(variables), attempts=3)


def inventory(host):
    """All that a host has, as tests/sequences/host_inventory.py reads it."""
    program = (ROOT / "tests" / "sequences" / "host_inventory.py").read_text(encoding="utf-8")
    return comparing.elsewhere(json.loads(host.sh("python3 -", stdin=program)), ADDRESSES[host.host], host.host)


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory):
    """The host after the first run of this checkout's site.yml; ``seen`` has what was seen meanwhile."""
    folder = tmp_path_factory.mktemp("upgrade")
    earlier = Earlier(folder)
    with bare(NAME):
        host = Host(NAME, folder, VARIABLES)
        earlier.play("site.yml", VARIABLES)
        earlier.play("playbooks/contingency.yml", dict(VARIABLES, contingency_service="oracle", contingency_rung=RUNG))
        host.former = host.sh("docker image ls --filter reference=omni/* --format '{{.Repository}}:{{.Tag}}' | grep -v ':cpu$'")
        host.sh("touch %s" % RUNS)
        host.leaks = None
        meter = threading.Thread(target=measure_leaks, args=(host,))
        meter.start()
        try:
            key = host.sh("cat /etc/protocol_omni/gateway/operator.key")
            with streams.Streams(ADDRESSES[NAME], 8443, key, {"oracle": 0.5, "executor": 0.5}) as clients:
                run = host.run("site.yml", "--skip-tags", "verify")  # the proof of the seal has the same outside as the meter, so it waits for its end
        finally:
            host.sh("rm %s" % RUNS)
            meter.join()
        host.seen = {"run": run, "counts": clients.counts, "notes": clients.notes}
        print(json.dumps([host.leaks, clients.counts, clients.notes], indent=1))
        yield host


def measure_leaks(host):
    """What the Oracle gets out as long as the upgrade runs, in each of its lives."""
    bridge = host.sh("cat /sys/class/net/br-omni/address")
    datagram = frames.udp("172.30.0.10", "198.51.100.2", 4243, 4242, b"frame")
    frame = frames.ethernet(bridge, "02:42:ac:1e:00:0a", frames.IPV4, frames.ipv4("172.30.0.10", "198.51.100.2", frames.UDP, datagram))
    program = (ROOT / "tests" / "host" / "leak_meter.py").read_text(encoding="utf-8")
    waits = "while [ -e %s ]; do sleep 0.2; done" % RUNS
    host.leaks = json.loads(host.sh("LEAK_METER_SECONDS=1500 python3 - oracle %s sh -c '%s'" % (frame.hex(), waits), stdin=program))


def test_site_takes_it_to_this_release_and_every_claim_holds(upgraded):
    upgraded.seen["run"].assert_ok()
    upgraded.run("playbooks/verify.yml").assert_ok()
    assert {claim["status"] for claim in upgraded.report()["claims"]} <= {"holds", "does not apply"}


def test_nothing_got_out_meanwhile(upgraded):
    """The Oracle was followed into the life that the upgrade gave it, and the way out was open all the time."""
    assert upgraded.leaks["lives"] >= 2 and upgraded.leaks["sent"]["frame"] > 1000 and upgraded.leaks["heard"].pop("caller") > 10000
    assert upgraded.leaks["heard"] == {}


def test_no_answer_is_lost_but_where_the_gateway_is_made_anew(upgraded):
    """Its unit is another one, so it is restarted: that cuts the one stream that each client has then, and may refuse its next request."""
    assert set(upgraded.seen["counts"]) == {"oracle", "executor"}
    for model, counts in upgraded.seen["counts"].items():
        assert counts["ended"] > 10 and counts["broken"] <= 1 and counts["refused"] <= 1, (model, counts, upgraded.seen["notes"])


def test_the_rung_is_kept(upgraded):
    claim = {claim["id"]: claim for claim in upgraded.report()["claims"]}["oracle.rung"]
    assert claim["status"] == "holds" and "--ctx-size 2048" in claim["observed"], claim


def test_the_second_run_changes_nothing(upgraded):
    assert upgraded.run("site.yml").assert_ok().changed == set()


def test_it_has_what_a_fresh_host_of_this_release_has_and_nothing_besides(upgraded):
    """Files, units, tables, routes, listeners, networks, containers and images, once the host is back at rung 0. The former image stays, for the way back."""
    upgraded.run("playbooks/contingency.yml", extra_vars={"contingency_service": "oracle", "contingency_rung": 0}).assert_ok()
    with bare(FRESH):
        fresh = Host(FRESH, pathlib.Path(upgraded.folder) / "fresh", VARIABLES)
        fresh.run("site.yml").assert_ok()
        fresh.run("playbooks/contingency.yml", extra_vars={"contingency_service": "oracle", "contingency_rung": 0}).assert_ok()
        differs = comparing.difference(inventory(fresh), inventory(upgraded))
    print("\n".join(differs))
    known = ("besides: image " + upgraded.former, *("other: file %s: " % path for path in WITH_THE_ADDRESS))
    assert [line for line in differs if not line.startswith(known)] == []

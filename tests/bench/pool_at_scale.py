"""What a pool would cost at 10, 100 and 1,000 hosts: looks at members, keys, a rolling change. A simulation: nothing of that size has been run.

    PYTHONPATH=tests:collections python3 tests/bench/pool_at_scale.py tests/bench/results/pool_at_scale.json

Measured on this machine is one thing, the processor time of a look's TLS handshake with the pool's own certificates. Taken from records or defaults is the
rest, and it stands in ASSUMED. The same seed gives the same draws.
"""
import json
import pathlib
import random
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

from support import provenance

from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import certificates
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

RECORD = "tests/bench/results/pool_at_scale.json"
HOSTS = (10, 100, 1000)
DEFAULTS = {name: option.get("default") for name, option in collection_roles.argument_options("pool").items()}
ASSUMED = {
    "doors": 2, "models": 2, "interval": DEFAULTS["pool_check_interval"] / 1000,  # seconds
    "patience": 2.0, "fall": 2,  # seconds of a look, and looks in vain: haproxy.cfg.j2
    "requests": 0.1,  # a second, for a model and a member
    "tasks_of_a_key": 60, "task": 0.5, "spread": 0.5, "forks": (5, 50),  # tasks of site.yml --tags gateway; seconds of one, as it is drawn (lognormal)
    "deployed": 119.0,  # seconds of a second run of site.yml with its claims, docs/measured.md
    "notice": 4.0,  # seconds for doors to notice that it is held back, and that it is back
    "streams": 16, "stream": 20.0, "drain": float(DEFAULTS["pool_drain"]),  # streams of a member, their mean length in seconds, and what they are given
    "faults": (0.001, 0.01),  # of a host's turn
}


def handshakes(count):
    """Seconds of processor time of a handshake with certificates on both sides, of the door and of the member: medians of so many."""
    def run(words):
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as made:
        folders = {name: pathlib.Path(made, name) for name in ("authority", "door", "member")}
        for folder in folders.values():
            folder.mkdir()
        authority = certificates.Authority(str(folders["authority"]), run)
        trusted = authority.make()
        contexts = {}
        for name, side, use in (("door", ssl.PROTOCOL_TLS_CLIENT, "clientAuth"), ("member", ssl.PROTOCOL_TLS_SERVER, "serverAuth")):
            own = certificates.Own(str(folders[name]), run)
            own.keep(authority.sign(own.request(), ["DNS:" + name], [use], 2), trusted)
            contexts[name] = ssl.SSLContext(side)
            contexts[name].load_cert_chain(folders[name] / "host.pem", folders[name] / "host.pem.key")
            contexts[name].load_verify_locations(cadata=trusted)
            contexts[name].verify_mode = ssl.CERT_REQUIRED
        taken = [handshake(contexts) for _number in range(count)]
    return tuple(statistics.median(one[side] for one in taken) for side in ("door", "member"))


def handshake(contexts):
    """Processor time of one, by side."""
    there, back, spent = ssl.MemoryBIO(), ssl.MemoryBIO(), {"door": 0.0, "member": 0.0}
    sides = {"door": contexts["door"].wrap_bio(back, there, server_hostname="member"), "member": contexts["member"].wrap_bio(there, back, server_side=True)}
    open_ = set(sides)
    while open_:
        for name in sorted(open_):
            began = time.thread_time()
            try:
                sides[name].do_handshake()
                open_.discard(name)
            except ssl.SSLWantReadError:
                pass
            spent[name] += time.thread_time() - began
    return spent


def looks(hosts, cost, assumed):
    """What the looks come to.

    :param hosts: how many, each with all models.
    :param cost: seconds of processor time of a look, of the door and of the member.
    """
    servers = hosts * (assumed["models"] + 1)  # and the backend of requests that name no model
    rate = servers / assumed["interval"]
    return {"looks_of_a_door_per_second": 2 * rate,  # a request to the gateway, and a question to the agent
            "cores_of_a_door": rate * cost[0], "cores_of_a_member": assumed["doors"] * rate / hosts * cost[1]}


def unnoticed(draw, assumed, requests):
    """Seconds until a door has taken a host that is gone out of all of its backends: one death, drawn.

    Each of its servers is looked at by itself; the first request that finds nobody takes it out at once, after the time for a connection.
    """
    longest = 0.0
    for _backend in range(assumed["models"] + 1):
        by_looks = draw.uniform(0, assumed["interval"]) + (assumed["fall"] - 1) * (assumed["interval"] + assumed["patience"]) + assumed["patience"]
        by_request = draw.expovariate(requests) + assumed["patience"] if requests else float("inf")
        longest = max(longest, min(by_looks, by_request))
    return longest


def distributed(draw, hosts, forks, assumed):
    """Seconds until the last host has a key: each task on all hosts before the next, so many at the same time (Ansible's strategy linear)."""
    total = 0.0
    for _task in range(assumed["tasks_of_a_key"]):
        ends = [0.0] * min(forks, hosts)
        for _host in range(hosts):
            place = ends.index(min(ends))
            ends[place] += draw.lognormvariate(0, assumed["spread"]) * assumed["task"]
        total += max(ends)
    return total


def turn(draw, assumed):
    """Seconds of a host's turn in a rolling change: it is drained, deployed and let in."""
    longest = max(draw.expovariate(1 / assumed["stream"]) for _stream in range(assumed["streams"]))
    return min(longest, assumed["drain"]) + assumed["notice"] + assumed["deployed"]


def rolled(draw, hosts, assumed):
    """A rolling change one by one: hours, and how likely it is that nothing stops it."""
    return {"hours": sum(turn(draw, assumed) for _host in range(hosts)) / 3600, "out": 1 / hosts,
            "ends": {str(fault): (1 - fault) ** hosts for fault in assumed["faults"]}}


def simulated(hosts, cost, seed, assumed):
    """All of it for so many hosts."""
    draw = random.Random(seed)
    times = {name: sorted(unnoticed(draw, assumed, requests) for _death in range(2000))
             for name, requests in (("quiet", 0), ("busy", assumed["requests"]))}
    return {"looks": looks(hosts, cost, assumed),
            "seconds_until_a_dead_host_is_out": {name: {"median": statistics.median(found), "99 of 100": found[1979]} for name, found in times.items()},
            "key": {str(forks): statistics.median(distributed(draw, hosts, forks, assumed) for _run in range(5)) for forks in assumed["forks"]},
            "rolling": rolled(draw, hosts, assumed)}


def rounded(value):
    """Figures with three digits that mean something."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return float("%.3g" % value) if isinstance(value, float) else value


def main(path):
    cost = handshakes(300)
    found = {str(hosts): simulated(hosts, cost, 27, ASSUMED) for hosts in HOSTS}
    record = {"provenance": provenance.made(RECORD), "assumed": ASSUMED, "handshake_milliseconds": {"door": 1e3 * cost[0], "member": 1e3 * cost[1]},
              "hosts": found}
    pathlib.Path(path).write_text(json.dumps(rounded(record), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Plays random sequences of five inventory changes each on one host, and records each: tests/sequences/results/sequences.json.

    python tests/sequences/play_sequences.py --seeds 1 100 [--minutes 60] [--keep]

A change is one run of site.yml with the tags of the roles that it concerns. After the five a whole run must change nothing, every claim must hold, and all
that is on the host (host_inventory.py) must be what a fresh deployment of that inventory has: the host is torn down and deployed anew with it. A sequence
begins with what the one before left. Run it as root beside a Docker engine, as the tests are; it makes its host, and removes it.
"""
import argparse
import json
import os
import sys
import time

import changes
import comparing
import machine

from support import hosts, provenance

RECORD = "tests/sequences/results/sequences.json"


def play(host, seed, length, kinds):
    """One sequence of changes of some kinds; returns what is recorded of it."""
    begun, start = time.monotonic(), dict(host.states)
    drawn = changes.sequence(host.data, seed, length, states=start, only=kinds)
    found = {"begins with": {name: state for name, state in start.items() if state != changes.ABSENT}, "wrong": [],
             "changes": ["%s: %s" % (kind, move) for kind, move, _states in drawn]}
    for kind, move, states in drawn:
        print("-- seed %d: %s %s" % (seed, kind, move), flush=True)
        done = host.to(states, changes.roles_of(host.data, [kind]))
        if done.rc:
            found["wrong"].append("%s: %s: site.yml failed: %s" % (kind, move, machine.words(" ".join(done.failures)[-400:])))
    again = host.to(host.states)
    found["wrong"] += ["a further run changes: " + name for name in sorted(again.changed)]
    found["wrong"] += (["a further run fails: " + machine.words(" ".join(again.failures)[-400:])] if again.rc else []) + host.failing()
    after = host.inventory()
    fresh = host.fresh(host.states)
    found["wrong"] += ["no fresh deployment to compare with"] if fresh is None else comparing.difference(fresh, after)
    found["compared"], found["seconds"] = len(comparing.compared(after)), round(time.monotonic() - begun)
    print("== seed %d: %s, %d s" % (seed, found["wrong"] or "as the inventory says", found["seconds"]), flush=True)
    return found


def write(record):
    """Writes what is known so far, so that an interruption loses nothing."""
    record["provenance"] = provenance.made(RECORD)
    record["played"], record["as_said"] = len(record["sequences"]), sum(not one["wrong"] for one in record["sequences"].values())
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (provenance.ROOT / RECORD).write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", nargs=2, type=int, metavar=("FIRST", "LAST"), required=True)
    parser.add_argument("--kinds", nargs="+", help="of which kinds changes are drawn; all that can be by default")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no further sequence after so many minutes")
    parser.add_argument("--keep", action="store_true", help="go on with the host that is there, which has the base, and leave it")
    parser.add_argument("--length", type=int, default=5, help="changes of a sequence")
    parser.add_argument("--without-cuda", action="store_true", help="the image of ./bunker demo --quick, which a host compiles in minutes")
    parser.add_argument("--host", choices=sorted(machine.ADDRESSES), default="bunker-test-sequences")
    given = parser.parse_args()
    os.chdir(provenance.ROOT)
    begun, data = time.monotonic(), changes.matrix()
    kinds = given.kinds or [kind["kind"] for kind in data["kinds"] if "drawn" not in kind]
    variables = machine.of_image(given.without_cuda)
    if not given.keep:
        hosts.create(given.host)
    host = machine.Machine(given.host, data, variables)
    record = {"sequences": {}, "image": host.image(), "kinds": kinds}
    try:
        if not given.keep:
            host.to({}, changes.ROLES).assert_ok()
            host.give()
        for seed in range(given.seeds[0], given.seeds[1] + 1):
            if time.monotonic() - begun > given.minutes * 60:
                break
            record["sequences"]["%03d" % seed] = play(host, seed, given.length, kinds)
            write(record)
    finally:
        if not given.keep:
            hosts.destroy(given.host)
    return 0 if record["sequences"] and not any(one["wrong"] for one in record["sequences"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())

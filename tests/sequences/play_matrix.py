"""Plays the cells of matrix.yml on one host, and records what became of requests and of the host: tests/sequences/results/matrix.json.

    python tests/sequences/play_matrix.py [--steps added changed renamed removed cut] [--keep]

All changes that keep requests happen at once, those of a move in one run of site.yml, while a client asks the Oracle and one the Executor. Each cell is then
judged by itself. What drains a service, or cuts its answers, has a run of its own, while that service answers without a pause. After the last move the host
must be what it was before the first, and a further run must change nothing. Run it as root beside a Docker engine, as the tests are; it makes its host, and
removes it.
"""
import argparse
import json
import os
import sys

import changes
import comparing
import machine
import streams

from support import hosts, provenance

RECORD = "tests/sequences/results/matrix.json"
TOGETHER = ("added", "changed", "renamed", "removed")


def playable(cell):
    """Whether a cell is one that this program plays."""
    return "never" not in cell and "tests" not in cell


def together(data, move):
    """The kinds whose cell of a move keeps requests: all of them at once."""
    return [kind for kind, of, cell in changes.cells(data) if of == move and playable(cell) and cell["requests"] == "kept"]


def alone(data):
    """(kind, move, cell) of what cuts requests, in the order of the moves."""
    return [(kind, move, cell) for kind, move, cell in changes.cells(data) if playable(cell) and cell["requests"] != "kept"]


def after(kind, move):
    """The state of a thing after a move."""
    return changes.ABSENT if move == "removed" else move


def as_said(outcome, requests):
    """Whether what became of requests is what a cell says. A client that waits while a service is drained sees that its answers end well, and no more."""
    return outcome == ("kept" if requests == "drained" else requests)


def judge(host, cells, move, asked, done, record):
    """Judges the cells of one run, and writes them to the record.

    :param cells: list of (kind, cell). :param asked: the clients, :class:`streams.Streams`. :param done: the run.
    """
    found = host.inventory() if done.rc == 0 else {}
    for kind, cell in cells:
        wrong = host.holds(cell, found) if done.rc == 0 else ["site.yml failed: " + machine.words(" ".join(done.failures)[-400:])]
        requests = {model: streams.judged(asked.counts[model]) for model in cell.get("asked", asked.counts)}
        wrong += ["requests of %s: %s, not %s (%s)" % (model, outcome, cell["requests"], asked.counts[model]) for model, outcome in requests.items()
                  if not as_said(outcome, cell["requests"])]
        record["cells"]["%s: %s" % (kind["kind"], move)] = {"requests": requests, "asked": asked.counts, "wrong": wrong, "seconds": round(done.seconds)}
        print("%s %s: %s" % (kind["kind"], move, wrong or "as the matrix says"), flush=True)
    for note in asked.notes[:6]:
        print("    " + note, flush=True)
    write(record)


def write(record):
    """Writes what is known so far, so that an interruption loses nothing."""
    record["provenance"] = provenance.made(RECORD)
    record["played"], record["as_said"] = len(record["cells"]), sum(not cell["wrong"] for cell in record["cells"].values())
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (provenance.ROOT / RECORD).write_text(text, encoding="utf-8")


def go_on(host, played, record):
    """Takes over what was played: the states of things, and the record, in which the last move is judged anew by what is on the host."""
    record.update(json.loads((provenance.ROOT / RECORD).read_text(encoding="utf-8")))
    found = host.inventory()
    for before in played:
        host.states.update({kind["kind"]: after(kind, before) for kind in together(host.data, before)})
    before = played[-1]
    for kind in together(host.data, before):
        cell = record["cells"]["%s: %s" % (kind["kind"], before)]
        cell["wrong"] = [line for line in cell["wrong"] if line.startswith("requests of ")] + host.holds(kind["cells"][before], found)
        print("%s %s, once more: %s" % (kind["kind"], before, cell["wrong"] or "as the matrix says"), flush=True)


def play(host, steps, record, before):
    """The steps, on a host that has what comes before them; at the end it must be as it was."""
    for move in [move for move in TOGETHER if move in steps]:
        kinds = together(host.data, move)
        with host.streams({"oracle": 2, "executor": 2}) as asked:
            done = host.to({**host.states, **{kind["kind"]: after(kind, move) for kind in kinds}}, changes.roles_of(
                host.data, [kind["kind"] for kind in kinds]))
        judge(host, [(kind, kind["cells"][move]) for kind in kinds], move, asked, done, record)
    if "cut" in steps:
        for kind, move, cell in alone(host.data):
            with host.streams(dict.fromkeys(cell["asked"], 0)) as asked:
                done = host.to({**host.states, kind["kind"]: after(kind, move)}, changes.roles_of(host.data, [kind["kind"]]))
            judge(host, [(kind, cell)], move, asked, done, record)
    back = host.to({})
    again = host.to({})
    record["at the end"] = {"rc": [back.rc, again.rc], "changed by a further run": sorted(again.changed), "claims that fail": host.failing(),
                            "other than before": comparing.difference(before, host.inventory()) if before else ["not known: played in parts"]}
    write(record)
    print(json.dumps(record["at the end"], indent=1), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--steps", nargs="+", choices=[*TOGETHER, "cut"], default=[*TOGETHER, "cut"])
    parser.add_argument("--keep", action="store_true", help="go on with the host that is there, and leave it")
    parser.add_argument("--go-on", nargs="+", choices=TOGETHER, help="the moves that were played on it and are in the record")
    parser.add_argument("--without-cuda", action="store_true", help="the image of ./bunker demo --quick, which a host compiles in minutes")
    parser.add_argument("--host", choices=sorted(machine.ADDRESSES), default="bunker-test-sequences")
    given = parser.parse_args()
    os.chdir(provenance.ROOT)
    variables = machine.of_image(given.without_cuda)
    if not given.keep:
        hosts.create(given.host)
    host = machine.Machine(given.host, changes.matrix(), variables)
    record = {"cells": {}, "image": host.image()}
    try:
        if given.go_on:
            go_on(host, given.go_on, record)
        else:
            host.to({}, changes.ROLES).assert_ok()
            host.give()
            record["base"] = host.inventory()
        play(host, given.steps, record, record.pop("base", None))
    finally:
        if not given.keep:
            hosts.destroy(given.host)
    return 0 if record["played"] == record["as_said"] and not any(record["at the end"][name] for name in record["at the end"] if name != "rc") else 1


if __name__ == "__main__":
    sys.exit(main())

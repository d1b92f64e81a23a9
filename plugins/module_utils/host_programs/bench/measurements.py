# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One measurement: a service alone, all of them together, or answers with and without speculation."""
from __future__ import annotations

import shutil
import time

from ...throughput import choice, speculation, sweep
from .containers import Container, OutOfTime, Server, command, remove_containers

TIDY = 5  # seconds of the budget that are kept for the end
MANY = 100000  # runs: more than there will be time for
LEAST_RUNS = 5  # of each service, while all of them generate


def busy(seconds):
    """Share of all CPUs that works for somebody else, before a measurement begins."""
    def ticks():
        with open("/proc/stat", encoding="ascii") as stream:
            fields = [int(field) for field in stream.readline().split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    first = ticks()
    time.sleep(seconds)
    total, idle = (after - before for after, before in zip(ticks(), first))
    return round(1 - idle / total, 3) if total else 0.0


def measure_alone(plan, world, step, deadline):
    """One service by itself."""
    service = next(one for one in world["services"] if one["name"] == step["service"])
    others = busy(plan["seconds"]["look"])
    container = Container(command(plan, service, step["settings"], step["work"], world["repetitions"]))
    container.wait(deadline)
    seconds = time.monotonic() - container.started
    entries, failed = container.entries()
    found = dict(step, command=container.words, seconds=round(seconds, 2), busy=others, failed=failed, generation=None, prompt=None, overhead=seconds)
    for entry in entries:
        what = "generation" if entry["n_gen"] else "prompt"
        found[what] = choice.summary(entry["samples_ts"])
        # The warm-up of a prompt is one more prompt, that of generation one token.
        found["overhead"] -= sum(entry["samples_ns"]) / 1e9 * (1 + (1 / world["repetitions"] if what == "prompt" else 0))
    # The context at a depth is computed too, and not told: how long it took is no overhead.
    found["overhead"] = round(min(max(found["overhead"], 0.2), 3.0 if step["work"]["depth"] else seconds), 2)
    return found


def measure_together(plan, world, results, step, deadline):
    """All services at once, each on its CPUs: what each generates while all of them do.

    They are ended from outside: how long they take together is not known before, and one that has ended leaves the memory to the others.
    """
    containers, tokens = {}, {}
    for service in world["services"]:
        speed = sweep.speed(world, service, results, step["settings"][service["name"]]["threads"], "generation")
        tokens[service["name"]] = min(max(int(speed / 2), 2), 256)  # half a second a run, alone
        work = dict(step["work"], generate=tokens[service["name"]])
        containers[service["name"]] = Container(command(plan, service, step["settings"][service["name"]], work, MANY))
    started, begin, spans = time.monotonic(), None, {}
    while True:
        time.sleep(0.2)
        now = time.monotonic()
        if now > deadline:
            raise OutOfTime()
        ended = [name for name, container in containers.items() if container.process.poll() is not None]
        if begin is None and all(container.begun for container in containers.values()):
            begin = now
        if begin is not None:
            spans = {name: [speed for first, speed in container.runs(tokens[name]) if first >= begin] for name, container in containers.items()}
            enough = all(len(span) >= LEAST_RUNS for span in spans.values())
            if now > begin + world["together"] * (1 if enough else sweep.PATIENCE):
                break
        if ended:
            break
    remove_containers()
    for container in containers.values():
        container.wait(deadline + TIDY)
    found = dict(step, command={name: container.words for name, container in containers.items()}, seconds=round(time.monotonic() - started, 2), failed="",
                 generation={name: choice.summary(span) for name, span in spans.items()}, tokens=tokens)
    if ended:
        return dict(found, failed="%s: %s" % (ended[0], containers[ended[0]].entries()[1] or "it ended before the others had begun"), generation=None)
    if any(len(span) < 2 for span in spans.values()):
        slow = ", ".join(name for name, span in spans.items() if len(span) < 2)
        return dict(found, failed="not two runs of %s in %d s" % (slow, world["together"] * sweep.PATIENCE), generation=None)
    return found


def measure_served(plan, world, step, deadline):
    """The answers to the inventory's sample prompts of two llama-servers: one that speculates and one that does not. On the CPU both run and answer in turns,
    so that what disturbs one disturbs the other; cards hold one at a time. A first answer warms each up."""
    service = next(one for one in world["services"] if one["name"] == step["service"])
    work, ways = step["work"], [speculation.OFF, step["settings"]["speculation"]]
    places = [number % work["prompts"] for number in range(work["rounds"] * work["prompts"])]
    started, servers = time.monotonic(), {}
    try:
        for group in [ways] if service["device"] == "cpu" else [ways[:1], ways[1:]]:
            for way in group:
                servers[way] = Server(plan, service, dict(step["settings"], speculation=way), deadline)
            whole = all(servers[way].answer(service, 0, work["generate"], deadline, counts=False) for way in group)
            for number, place in enumerate(places if whole else []):
                # Each goes first every other time.
                if not all(servers[way].answer(service, place, work["generate"], deadline) for way in (group if number % 2 else group[::-1])):
                    break
            if service["device"] != "cpu":
                remove_containers()
    finally:
        remove_containers()
        for server in servers.values():
            shutil.rmtree(server.folder, ignore_errors=True)
    for server in servers.values():
        server.container.wait(deadline + TIDY)
    silent = [way for way, server in servers.items() if len(server.answers) < len(places)]
    failed = "%s stopped answering: %s" % (silent[0], " · ".join(servers[silent[0]].container.errors)[-400:]) if silent else ""
    without, answers = (servers[way].answers for way in ways)
    return dict(step, command={way: server.container.words for way, server in servers.items()}, seconds=round(time.monotonic() - started, 2),
                overhead=round(max(server.loaded for server in servers.values()), 2), answers=answers, without=without, prompt=None,
                generation=choice.summary([one["speed"] for one in answers]), failed=failed)

"""Asks a real gateway much nonsense by real HTTP, and looks what comes of it: python tests/fuzz/gateway_http.py --requests 1000000 [--seed 1] [--result FILE]

Makes the host of the gateway's tests (root, Docker) and puts recording_server.py behind the door. What is asked: http_requests.py; what may be answered:
http_answers.py. Besides, at the end: no service got what no right key had sent, no worker of nginx ended, their memory and descriptors are as they were after
the first tenth, nobody is counted as waiting or in flight, slow clients were sent away, and nothing but known lines stands in nginx's error log.

A failure names its conversation: --only C asks that one alone and prints both sides.
"""
import argparse
import asyncio
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import ssl
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import http_answers  # noqa: E402
import http_requests  # noqa: E402

RECORD = "tests/fuzz/results/gateway_http.json"
SHARE = 100  # conversations of a job
MEAN = sum(http_requests.LENGTHS) / len(http_requests.LENGTHS)
BESIDE = 24  # of them at once
PATIENCE, UNSURE = 20, 0.5  # seconds for an answer, and for one of a request that may be none
KEPT = 20  # faults that are told


@dataclasses.dataclass
class Door:
    """Where to ask: all that a process of its own needs to know."""
    address: str
    port: int
    certificate: str
    key: str
    keys: list

    def context(self):
        return ssl.create_default_context(cafile=self.certificate)


class Conversation:
    """One connection: all requests are sent in pieces, without waiting, and answers read until each has one or the connection ends."""

    def __init__(self, door, seed, number):
        self.number, self.door = number, door
        writer = http_requests.Writer(seed, number, door.key)
        self.asked = writer.conversation()
        self.choices = writer.choices
        self.data, self.at, self.answers, self.faults, self.ended, self.extra = bytearray(), 0, [], [], False, 0

    def fault(self, what, asked):
        self.faults.append("conversation %d, %s, %s: %s" % (self.number, asked.mark, asked.family, what))

    def take(self):
        """Reads whole answers of what has come; whether that was all."""
        while len(self.answers) < len(self.asked) and not (self.answers and self.answers[-1].closes):
            asked = self.asked[len(self.answers)]
            try:
                found = http_answers.read(self.data, self.at, asked, self.ended)
            except http_answers.Unreadable as error:
                self.fault(str(error), asked)
                return True
            if not found:
                return False
            answer, self.at = found
            self.answers.append(answer)
            problem = http_answers.judge(asked, answer, self.door.keys)
            if problem:
                self.fault("%s: %d %r %r" % (problem, answer.status, answer.body[:300], answer.headers), asked)
        return True

    def rest(self):
        """Of a last request in which several were read: what came behind its answer, all of it refusals."""
        asked = self.asked[-1]
        while asked.unsure and len(self.answers) >= len(self.asked) and self.at < len(self.data):
            hidden = dataclasses.replace(asked, right=False, served=False, ordered=0, bare=True)
            try:
                found = http_answers.read(self.data, self.at, hidden, self.ended)
            except http_answers.Unreadable as error:
                return self.fault(str(error), asked)
            if not found:
                return None
            answer, self.at = found
            self.extra += 1
            problem = http_answers.judge(hidden, answer, self.door.keys) or ("" if answer.status not in (200, 204) else "the hidden request was served")
            if problem:
                self.fault("behind it: %s: %d %r" % (problem, answer.status, answer.body[:300]), asked)
        return None

    async def send(self, writer):
        data = b"".join(asked.raw for asked in self.asked)
        pieces = self.choices.choice([1, 1, 1, 2, 5])
        ends = sorted(self.choices.randrange(len(data)) for _number in range(pieces - 1)) + [len(data)]
        begun = 0
        try:
            for end in ends:
                writer.write(data[begun:end])
                await writer.drain()
                begun = end
                if pieces > 1:
                    await asyncio.sleep(.002)
        except (ConnectionError, ssl.SSLError):
            pass  # it was sent away; what it was told can still be read

    async def hold(self, context):
        reader, writer = await asyncio.wait_for(asyncio.open_connection(self.door.address, self.door.port, ssl=context, limit=1 << 24), PATIENCE)
        sending = asyncio.create_task(self.send(writer))
        try:
            while not self.ended and not (self.take() and not self.asked[-1].unsure):
                last = self.asked[-1].unsure and len(self.answers) >= len(self.asked) - 1
                try:
                    came = await asyncio.wait_for(reader.read(1 << 20), UNSURE if last else PATIENCE)
                except (ConnectionError, ssl.SSLError):
                    came = b""
                except asyncio.TimeoutError:
                    break
                self.data += came
                self.ended = not came
            self.take()
            self.rest()
            self.left()
        finally:
            sending.cancel()
            writer.transport.abort()

    def left(self):
        """A request that nobody answered, though it was read."""
        if self.faults or len(self.answers) >= len(self.asked) or (self.answers and self.answers[-1].closes):
            return
        asked = self.asked[len(self.answers)]
        if not asked.unsure:
            self.fault("closed without an answer" if self.ended else "no answer in %d s" % PATIENCE, asked)


async def _share(door, seed, numbers, shown=None):
    counts, faults, context, free = collections.Counter(), [], door.context(), asyncio.Semaphore(BESIDE)

    async def one(number):
        async with free:
            talk = Conversation(door, seed, number)
            try:
                await talk.hold(context)
            except (OSError, asyncio.TimeoutError) as error:
                talk.fault("cannot be asked: %r" % error, talk.asked[0])
        counts.update({"requests": len(talk.asked), "answers": len(talk.answers), "answers to what was hidden": talk.extra, "conversations": 1})
        counts.update("family %s" % asked.family for asked in talk.asked)
        counts.update("status %d" % answer.status for answer in talk.answers)
        counts["served"] += sum(1 for answer in talk.answers if answer.header("x-bunker-service"))
        faults.extend(talk.faults)
        if shown:
            shown(talk)
    await asyncio.gather(*(one(number) for number in numbers))
    return counts, faults


def share(door, seed, first):
    """SHARE conversations from that one on, in a process of its own: (Counter, list of faults)."""
    return asyncio.run(_share(door, seed, range(first, first + SHARE)))


def show(talk):
    for asked, answer in zip(talk.asked, [*talk.answers, *[None] * len(talk.asked)]):
        print("> %s %s %r\n< %r\n" % (asked.family, asked.mark, asked.raw[:1500], answer))
    print("rest %r, ended %s, %s" % (bytes(talk.data[talk.at:])[:1000], talk.ended, talk.faults))


def ask(door, seed, requests, processes, after_a_tenth=lambda: None, seconds=float("inf")):
    """So many requests at least, unless the seconds are over before: (Counter, list of faults)."""
    counts, faults, begun, tenth, ends = collections.Counter(), [], 0, False, time.monotonic() + seconds

    def enough():
        return counts["requests"] >= requests or len(faults) >= KEPT or time.monotonic() > ends
    with concurrent.futures.ProcessPoolExecutor(processes) as pool:
        running = set()
        while running or not enough():
            while not enough() and len(running) < processes and (not running or counts["requests"] + len(running) * SHARE * MEAN < requests):
                running.add(pool.submit(share, door, seed, begun))
                begun += SHARE
            done, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for one in done:
                counts += one.result()[0]
                faults += one.result()[1]
            if not tenth and (counts["requests"] >= requests / 10 or time.monotonic() > ends - seconds * .9):
                tenth = True
                after_a_tenth()
    return counts, faults


def fuzz(door, seed, requests, processes, bound=float("inf")):
    """All of it on a host that was deployed once.

    :param door: support.gateway_host.Door.
    :returns: dict of what was counted, with "faults".
    """
    from fuzzed_gateway import Gateway, Slow  # pylint: disable=import-outside-toplevel  # needs Docker's library
    gateway, warm = Gateway(door), {}
    gateway.begin()
    known = Door(door.address, door.port, door.certificate, door.keys["alice"], [door.keys["alice"], door.keys["operator"]])
    slow, begun, first = Slow(door), time.monotonic(), gateway.workers()
    counts, faults = ask(known, seed, requests, processes, lambda: warm.update(gateway.workers()), bound)
    seconds = time.monotonic() - begun
    faults += slow.judge()
    time.sleep(3)  # what was left by us ends
    last, recorded = gateway.workers(), gateway.recorded()
    faults += gateway.judge(warm or first, last)
    if sum(seen["clients"] for seen in recorded.values()) < counts["served"]:
        faults.append("answers say that services gave them, %d; services gave %r" % (counts["served"], recorded))
    errors = gateway.errors()
    gateway.end()
    return {**{name: counts[name] for name in ("requests", "answers", "answers to what was hidden", "conversations", "served")}, "seconds": round(seconds),
            "families": {name[7:]: count for name, count in sorted(counts.items()) if name.startswith("family ")},
            "statuses": {name[7:]: count for name, count in sorted(counts.items()) if name.startswith("status ")},
            "reached services": {name: seen["clients"] for name, seen in recorded.items()}, "slow clients": len(slow.sockets),
            "workers": {"KiB after a tenth": [rss for rss, _fds in (warm or first).values()], "KiB at the end": [rss for rss, _fds in last.values()],
                        "descriptors at the end": [fds for _rss, fds in last.values()]}, "error log": errors, "faults": faults}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="what is asked does not depend on it")
    parser.add_argument("--for", type=float, default=float("inf"), dest="seconds", metavar="SECONDS", help="begin no conversation after that")
    parser.add_argument("--only", type=int, metavar="C", help="asks this conversation alone, of a host that was left (BUNKER_TEST_KEEP=1)")
    parser.add_argument("--result", type=pathlib.Path)
    given = parser.parse_args()
    from support import provenance  # pylint: disable=import-outside-toplevel  # what the processes of share() do not need
    from support.gateway_host import Door as Host  # pylint: disable=import-outside-toplevel  # the same
    from support.hosts import bare  # pylint: disable=import-outside-toplevel  # the same
    bound = "" if given.seconds == float("inf") else " --for %g" % given.seconds
    command = "python tests/fuzz/gateway_http.py --requests %d --seed %s%s --result %s" % (given.requests, given.seed, bound, RECORD)
    origin = provenance.made(RECORD, command=command)
    with tempfile.TemporaryDirectory() as folder:
        door = Host(pathlib.Path(folder))
        with bare(door.host):
            door.run("molecule/gateway/prepare.yml").assert_ok()
            door.deploy().assert_ok()
            door.read_certificate()
            if given.only is not None:
                from fuzzed_gateway import Gateway  # pylint: disable=import-outside-toplevel  # the same
                Gateway(door).begin()
                known = Door(door.address, door.port, door.certificate, door.keys["alice"], [door.keys["alice"], door.keys["operator"]])
                return bool(asyncio.run(_share(known, given.seed, [given.only], show))[1])
            result = {"provenance": origin, "seed": given.seed, **fuzz(door, given.seed, given.requests, given.processes, given.seconds)}
    print(json.dumps(result, indent=1))
    if given.result:
        given.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())

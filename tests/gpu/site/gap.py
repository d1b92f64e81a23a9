"""The gap closes on a real card while clients ask through the gateway: the deployed watcher under systemd, with NVML, and the play that it runs.

Another program (tests/gpu/filler.py) takes VRAM in steps. The model is small, so the limits are MiB where the role's defaults are GiB, and the rungs are
contexts: each frees what its KV cache was. What each run saw: steps, requests that failed, and what a rung freed against what was predicted.
"""
import collections
import datetime
import json
import time

from card_host import ORACLE, docker
from filler_process import Filler

MIB = 1 << 20
WARN, ACT, BEGIN = 160, 60, 220  # MiB
# MiB of a step, seconds between two: 2.7 to 4 MiB a second. Slow, for the play that takes a rung needs 20 seconds, and what is left here are MiB, not GiB.
RUNS = ((2, 0.5), (4, 1.0), (3, 1.0), (6, 2.0), (2, 0.6), (8, 3.0), (4, 1.2), (3, 0.8), (5, 1.5), (2, 0.75))
SECONDS = 560  # of a step, after which no run is begun
ALONE = 15  # seconds that each service is asked alone
PLANS = {"context_6144": {"context": 6144}, "context_4096": {"context": 4096}, "context_2048": {"context": 2048}}
LADDER = [*PLANS, "kv_to_ram"]
LAST_BEGUN = 2  # a run begins at this rung at most: one or two more are to follow, since a rung that would not be enough is passed over
EVENTS = ("warn", "skip", "step", "done", "failed", "latch", "oom", "exit", "filled")
LONGEST = 150  # seconds of a run at most
TOGETHER = 600  # seconds of both services under load; the longest step, so it is begun alone
CHANGED = {
    "inference_service_plans": dict(PLANS, kv_to_ram={"kv_cache": "ram"}),
    "gateway_requests_per_minute": 60000,  # a small model answers more often than anybody asks
    "vram_watch_interval": 1, "vram_watch_warn": WARN / 1024, "vram_watch_act": ACT / 1024, "vram_watch_samples": 2,
    "vram_watch_window": 20, "vram_watch_lead": 25, "vram_watch_cooldown": 5, "vram_watch_steps_per_hour": 100,
    "vram_watch_margin": 0.02, "vram_watch_ram_reserve": 0.5, "vram_watch_drain": 20}


def filler_on(uuid, leave, step=1, every=1.0, then=0, *more):
    """A filler beside the host, on a card of the machine; more are further words of filler.py."""
    return Filler({"CUDA_VISIBLE_DEVICES": uuid}, leave, step, every, then, "--hold", "1500", *more)


class Watched:
    """The watcher of a host, and the Oracle that it watches."""

    def __init__(self, host):
        self.host = host
        self.offset = 0  # MiB that NVML calls free and CUDA does not

    def filler(self, step, every, then, *more):
        """A filler that has left, by NVML's figures, what a run begins with."""
        for _turn in range(3):
            filler = filler_on(self.host.uuids[0], BEGIN - self.offset, step, every, then, *more)
            missed = self.host.vram("memory.free") - BEGIN
            if abs(missed) <= 4:
                return filler
            filler.end()
            self.offset += missed
        raise RuntimeError("the filler leaves %d MiB other than %d" % (missed, BEGIN))

    def status(self):
        text = self.host.execute("cat /run/protocol-omni-vram-watch/status.json", check=False)
        try:
            return json.loads(text)
        except ValueError:
            return {"rung": None, "stepping": None, "latched": None, "events": [], "predicted": [], "headroom": None}  # it is being written, or starts

    def events(self, since):
        """[event, seconds since then, text] of the watcher."""
        found = [(one["event"], datetime.datetime.fromisoformat(one["time"]).timestamp() - since, one["text"]) for one in self.status()["events"]]
        return [[event, round(when, 1), text[:300]] for event, when, text in found if when >= -0.01 and event in EVENTS]

    def held(self):
        """MiB of the card that llama-server holds, by the driver."""
        pid = docker("exec", self.host.name, "docker", "inspect", "--format", "{{.State.Pid}}", "oracle", check=False).strip()
        rows = self.host.execute("nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits", check=False).splitlines()
        return next((int(row.split(",")[1]) for row in rows if row.split(",")[0] == pid), None)

    def back(self, rung=0):
        """To a rung, by hand; the watcher is calm then."""
        found = self.host.play("rung", "protocol_omni.bunker.contingency", {"contingency_service": "oracle", "contingency_rung": rung})
        if found["status"]:
            raise RuntimeError("contingency.yml: %s" % found)
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            status = self.status()
            if status["rung"] == rung and status["stepping"] is None and not status["latched"] and status["headroom"]:
                break
            time.sleep(0.5)
        time.sleep(CHANGED["vram_watch_cooldown"])


def closing(watched, number, step, every):
    """One run: the filler takes in steps what rung 0 leaves, and 30 MiB more than the present rung."""
    host, begun = watched.host, time.time()
    before, status = watched.held(), watched.status()
    filler = watched.filler(step, every, BEGIN + 20)
    host.begin_load("oracle:2")
    time.sleep(4)
    filler.begin()
    ends = time.monotonic() + LONGEST
    while time.monotonic() < ends:
        seen = {event for event, _when, _text in watched.events(begun)}
        if seen & {"done", "failed", "latch"} and filler.times("complete") and watched.status()["stepping"] is None:
            break
        time.sleep(0.5)
    time.sleep(4)  # it has to answer at the new rung
    after = watched.status()
    told, events = host.end_load()["oracle"], watched.events(begun)
    held = watched.held()
    free = host.vram("memory.free")
    refused = len(filler.times("refused"))
    filler.end()
    names = [event for event, _when, _text in events]
    left = status["predicted"][after["rung"]] if after["rung"] is not None else None
    return {"run": number, "step_mib": step, "every_s": every, "rung": [status["rung"], after["rung"]], "events": events, "clients": told, "refused": refused,
            "held_mib": [before, held], "free_mib": free, "freed_mib": (before or 0) - (held or 0),
            "predicted_freed_mib": None if left is None or status["headroom"] is None else round((left - status["headroom"]) / MIB),
            "in_time": "step" in names and "done" in names and not {"oom", "exit", "failed", "latch"} & set(names) and not refused and not told["failed"]}


def ladder(host):
    """The site with the small ladder: the first deployment of a host, or of one that had others before. {} where it is there."""
    if len(Watched(host).status()["predicted"]) == len(LADDER) + 1:
        return {}
    host.write_inventory(LADDER)
    found = host.play("ladder", changed=CHANGED)
    if not host.report():
        raise RuntimeError("the ladder was not deployed: %s" % found)
    return {"deployed": found}


def runs(host, numbers):
    """Runs down the ladder, and from its top again: some in a step, so that one fits ten minutes."""
    watched, rows, begun = Watched(host), [], time.monotonic()
    found = ladder(host)
    watched.back()
    predicted = watched.status()["predicted"]
    for number in numbers:
        if time.monotonic() - begun > SECONDS:
            break
        if (watched.status()["rung"] or 0) > LAST_BEGUN:
            watched.back()
        rows.append(closing(watched, number, *RUNS[number - 1]))
        print(json.dumps(rows[-1])[:1500], flush=True)
    return dict(found, predicted_at_rest=predicted, rows=rows, in_time=sum(row["in_time"] for row in rows))


def cliff(host):
    """All at once; then the server is killed while nothing is free for it: seconds until it serves again."""
    watched, found = Watched(host), {}
    for name, kill in (("all at once", False), ("killed while the card is full", True)):
        watched.back()
        begun = time.time()
        filler = watched.filler(BEGIN, 0.0, BEGIN, "--to-the-last")
        host.begin_load("oracle:2")
        time.sleep(4)
        filler.begin()
        if kill:
            filler.wait("full", 20)
            host.execute("docker kill oracle", check=False)
        ends = time.monotonic() + LONGEST
        while time.monotonic() < ends and not {"done", "latch"} & {event for event, _when, _text in watched.events(begun)}:
            time.sleep(0.5)
        served = host.ask(seconds=60, address=ORACLE)
        clients = host.end_load()["oracle"]
        found[name] = {"events": watched.events(begun), "rung": watched.status()["rung"], "answer": served, "clients": clients}
        filler.end()
    return found


def together(host):
    """Oracle and Executor alone, then both for ten minutes with all claims proven in their middle: what each gives, and what was lost."""
    found = ladder(host)
    found["alone"] = {name: host.answers("load.py %d %s:2" % (ALONE, name))["services"][name] for name in ("oracle", "executor")}
    begun = time.monotonic()
    host.begin_load("oracle:2", "executor:2")
    time.sleep(TOGETHER / 2)
    found["verify"] = host.play("under_load", "protocol_omni.bunker.verify", CHANGED)  # as it was deployed: the ladder's plans are among them
    found["others"], found["status"] = host.not_holding(), collections.Counter(entry["status"] for entry in host.report().values())
    time.sleep(max(0, TOGETHER - (time.monotonic() - begun)))
    return dict(found, both=host.end_load())


STEPS = {"ladder": ladder, "together": together, "gap": lambda host: runs(host, range(1, 5)), "gap_further": lambda host: runs(host, range(5, 8)),
         "gap_last": lambda host: runs(host, range(8, len(RUNS) + 1)), "cliff": cliff}

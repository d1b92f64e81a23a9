# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches the free VRAM of a service: watch.py SETTINGS.

Samples, has module_utils/vram_watch decide, has act.py act, tells Prometheus and the journal. What must outlive it is written to state_path after each
decision: a watcher that was killed, or whose host was, goes on with the step that it had begun.
"""
import collections
import dataclasses
import datetime
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import service
from cards import Cards
from contained import Contained
from exits import Exits
from exporter import Exporter
from kernel_log import KernelLog
from watch_trace import Trace

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf, model_memory, placement
from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import decision, forecast

HERE = pathlib.Path(__file__).resolve().parent
SAVE_EVERY = 60  # seconds between two writes of a state in which nothing was decided
EVENTS = 50
# What else holds the cards open, and keeps nvidia-smi from resetting one: the watcher itself, and the persistence daemon.
HOLDERS = ["protocol-omni-vram-watch.service", "nvidia-persistenced.service"]
LONGEST_HOLD = 86400  # seconds; more than that is a time of another clock
TRIES = 3  # to fill the context of a service that does not say how long it is, or is not idle in time
PRIORITIES = {"info": 6, "warning": 4, "error": 3}  # of syslog, as sd-daemon(3) has them at the beginning of a line


def write(path, value):
    """JSON, never seen half written, and on the disk before anything is done on the strength of it."""
    new = pathlib.Path(str(path) + ".new")
    with open(new, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    new.rename(path)


def clock():
    """Seconds since the host was started, also those in which it slept: nobody sets it, and it never jumps. What is decided goes by it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot():
    """A name of the host's present start."""
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def held_by_another(path):
    """Whether another play than its own changes the services now: it wrote until when at most, by :func:`clock` (tasks/hold.yml)."""
    try:
        return clock() < float(pathlib.Path(path).read_text(encoding="ascii")) <= clock() + LONGEST_HOLD
    except (OSError, ValueError):
        return False


def read(path, otherwise):
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return otherwise


def notify(word):
    """Tells systemd (sd_notify(3)); it restarts a watcher that hangs."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.sendto(word.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            pass  # the next word is soon


def available_memory():
    """MemAvailable of the host, bytes."""
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


class Watcher:
    """One service and its cards."""

    def __init__(self, settings_path):
        self.settings_path = settings_path
        self.settings = settings = json.loads(pathlib.Path(settings_path).read_text(encoding="utf-8"))
        self.name, self.endpoint = settings["service"], settings["endpoint"]
        self.limits = decision.Limits(**{
            name: int(value * decision.GIB) if name in ("warn", "act", "margin") else value for name, value in settings["limits"].items()})
        self.state_path = pathlib.Path(settings["state_path"])
        kept = read(self.state_path, {})
        self.definition = self.defined()
        known = kept.get("definition") == self.definition  # what was learned of another service is worth nothing
        self.events = collections.deque(kept.get("events", []), maxlen=EVENTS)
        # Most that the service held of each card since its present start, and at other rungs since they ran last: rung to card to bytes.
        self.learned = {int(rung): held for rung, held in kept.get("learned", {}).items()} if known else {}
        filled = kept.get("filled", {}) if known else {}
        self.filled = filled if "headroom" in filled or "ended" in filled else {}  # what was interrupted begins anew
        self.exporter = Exporter(settings["metrics_port"])
        if self.exporter.fault:
            self.tell("unexported", self.exporter.fault, "error")
        self.kernel = KernelLog(kept.get("kernel") if kept.get("boot") == boot() else None)
        if self.kernel.fault and settings["gpus"]:
            self.tell("unheard", self.kernel.fault, "warning")
        self.cards = Cards(settings["gpus"], settings["source"], kept.get("cards", []), self.exporter, self.tell, self.kernel, [settings["unit"], *HOLDERS])
        self.exits = Exits(self.name, settings["unit"], kept.get("container", ""), kept.get("cursor", ""), self.exporter, self.tell)
        self.contained = Contained(self.name, settings["unit"], self.endpoint, settings["drain"], settings["step_timeout"], self.tell,
                                   lambda: held_by_another(settings["hold_path"]), kept.get("restarted") if kept.get("boot") == boot() else None)
        # What had an error and was not restarted yet is looked at when it is seen whether it still runs.
        self.cards.contained.update(kept.get("contained", []) if kept.get("boot") == boot() else [])
        self.reload()
        try:
            self.state = decision.from_json(json.dumps(kept["decision"]))
            if kept.get("boot") != boot():  # times of another start; without one, of the day
                self.state = decision.moved(self.state, clock() - kept.get("clock", time.time()))
            if not known:  # another definition: nothing is remembered but that it does not step too often
                self.state = decision.State(rung=self.rung, since=self.since, steps=self.state.steps, ended=self.state.ended)
        except (KeyError, ValueError):
            self.state = decision.State(rung=self.rung, since=self.since)
        self.trace = Trace(settings.get("trace_path", ""), lambda: (self.limits, self.state))
        self.trace.started()
        self.child, self.began, self.saved, self.last, self.returning = None, 0.0, 0.0, 0.0, False
        self.filler, self.chosen, self.up, self.pid = None, decision.Decision("hold"), False, 0
        if self.state.stepping is None:
            service.let_in(self.name)  # a step may have been abandoned with the service drained
        for kind in ("warn", "step", "back", "latch", "lift", "skip"):
            self.exporter.count("bunker_decisions", 0, service=self.name, decision=kind)
        for result in ("done", "failed"):
            self.exporter.count("bunker_steps", 0, service=self.name, result=result)
        for name in ("bunker_oom_exits", "bunker_exits"):
            self.exporter.count(name, 0, service=self.name)
        self.exporter.set("bunker_headroom_warn_bytes", self.limits.warn, service=self.name)
        self.exporter.set("bunker_headroom_act_bytes", self.limits.act, service=self.name)

    def defined(self):
        """A mark of what it watches: the inventory's definition, and where the role has placed it."""
        return "%s %s" % (self.settings["definition"], json.dumps(read(self.settings["resolved_path"], {}).get("placement"), sort_keys=True))

    def reload(self):
        """Reads which rung the host is at, and what each would free. The role inference_service writes both."""
        self.resolved = read(self.settings["resolved_path"], {"ladder": [], "rung": 0})
        noted = read(self.settings["facts_path"], {}).get("rungs", {}).get(self.name, {})
        self.rung, self.since, self.why = self.resolved["rung"], noted.get("since", ""), noted.get("reason", "")
        metadata, tensors = {}, {}
        for number, path in enumerate(self.settings["model_files"]):
            try:
                header = gguf.read_file(path)
            except gguf.GGUFError as error:
                self.tell("unreadable_model", str(error), "warning")
                continue
            metadata = header.metadata if number == 0 else metadata
            tensors.update(header.tensors)
        definition, plans = self.resolved.get("definition"), [entry["plan"] for entry in self.resolved["ladder"]]
        self.shares = placement.layer_shares(self.resolved["placement"]) if "placement" in self.resolved else {}
        self.relief = [model_memory.rung_relief(definition, plan, metadata, tensors) for plan in plans]
        self.experts = [model_memory.moved_experts(definition, plan, metadata, tensors) for plan in plans]
        self.ram = [model_memory.ram_need(definition, plan, metadata, tensors) for plan in plans]

    def tell(self, event, text, priority="info", **more):
        """A structured line for the journal; the last ones are on the status page too."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        print("<%d>%s" % (PRIORITIES[priority], json.dumps(dict(more, event=event, service=self.name, text=text))), flush=True)
        self.events.append({"time": now, "event": event, "text": text})

    def rung_name(self, rung):
        ladder = self.resolved["ladder"]
        return "%d (%s)" % (rung, ladder[rung]["name"] if rung < len(ladder) else "unknown")

    # --- sees

    def look_at_service(self, other_hand):
        """Whether it is healthy, and "oom" where it exited for lack of VRAM since the last look. While somebody changes it an exit is no accident.

        :param other_hand: another play than its own does.
        """
        container, pid = service.container(self.name)
        self.pid = pid or self.pid  # the cards were read a moment before, and may know it still: what a dead one holds will be free
        self.up = bool(container) and service.ask(self.endpoint + "/health") is not None
        if other_hand:
            self.pass_over(container)
        if other_hand or self.state.stepping is not None:
            return ""
        if container and container != self.exits.container:
            self.learned.pop(self.rung, None)  # what it held before its present start is past
            self.cards.last = {}
            self.cards.contained.clear()
        return self.exits.look(container, self.up)

    def pass_over(self, container):
        """Whatever became of the service until now was asked for; an error of the container that it had before is past."""
        if container and container != self.exits.container:
            self.cards.contained.clear()
        self.exits.pass_over(container)

    def holds(self, cards):
        """What the service holds of each card, bytes; where the driver does not tell by process, all that is in use."""
        found = {}
        for uuid, card in cards.items():
            used = card.processes.get(self.pid, 0) if self.pid else 0
            found[uuid] = card.used if used is None else used
        return found

    # --- decides

    def other_hand(self):
        """Who else than a step of its own changes the service now, in words; "" for nobody."""
        if self.contained.goes_on():
            if self.contained.thread is None:  # it has ended: what the service held before its present start is past
                self.learned.pop(self.rung, None)
                self.cards.last = {}
            return "the service is restarted after a contained error"
        return "another play changes the services" if held_by_another(self.settings["hold_path"]) else ""

    def tick(self):
        now = clock()
        interval = self.settings["interval"]
        if self.last and now - self.last >= 3 * interval:
            self.exporter.count("bunker_sample_gaps")
            self.tell("gap", "the last sample is %.0f s old, not %g" % (now - self.last, interval), "warning")
        self.last = now
        self.finish_step(now)  # before the look: what is seen from here on is of the rung that it is at now
        other_hand = self.state.stepping is None and self.other_hand()
        busy = other_hand or self.state.stepping is not None
        if not busy:
            noted = read(self.settings["facts_path"], {}).get("rungs", {}).get(self.name, {})
            if noted.get("since", "") != self.since or read(self.settings["resolved_path"], {}).get("rung") != self.rung or self.defined() != self.definition:
                if self.defined() != self.definition:
                    self.definition, self.learned = self.defined(), {}
                self.reload()
                self.cards.forget()
                self.filled.pop("ended", None)
        self.cards.pid = self.pid
        cards = self.cards.look(time.time())
        event = self.look_at_service(other_hand)
        known_cards = {**self.cards.last, **(cards or {})}  # of one that does not answer this time, what it said last, since the present start
        complete = set(self.settings["gpus"]) <= set(cards or {})
        foreseeable = bool(cards) and set(self.settings["gpus"]) <= set(known_cards)
        held = self.holds(known_cards)
        if self.up and not busy and complete and any(held.values()):
            known = self.learned.setdefault(self.rung, {})
            self.learned[self.rung] = {uuid: max(size, known.get(uuid, 0)) for uuid, size in held.items()}
        free = {uuid: card.free for uuid, card in (cards or {}).items()}
        memory = available_memory()
        # While it is down all that it held is free, which says nothing of the gap.
        headroom = min(free.values()) if free and self.up else None
        seen = decision.Observation(
            time=now, rung=self.rung, since=self.since, headroom=headroom, event="lost" if self.cards.lost else event, complete=complete,
            predicted=forecast.headrooms({uuid: card.free for uuid, card in known_cards.items()} if foreseeable else {}, held, forecast.needs(
                self.learned, self.relief, self.experts, next(iter(self.settings["gpus"]), ""), self.shares)),
            barred=forecast.barred(self.resolved["ladder"], self.ram, self.rung, memory, self.settings["ram_reserve"] * decision.GIB))
        if other_hand:
            self.filled = {} if self.filler is not None else self.filled  # what is measured now is measured again
            self.chosen = decision.Decision("hold", self.rung, other_hand + "; until it ends no step is taken")
        else:
            self.state, self.chosen = decision.decide(self.state, seen, self.limits)
            self.trace.looked(seen, self.chosen)
            self.announce(seen)
        if self.chosen.kind in ("step", "back"):
            if self.try_to_save():
                self.begin_step()
            else:  # a watcher that is killed would not know of it: tried again at the next sample
                self.state = dataclasses.replace(self.state, stepping=None, steps=self.state.steps[:-1])
                self.trace.became(self.state)
        elif self.state.stepping is not None and self.child is None:
            self.begin_step()
        elif self.chosen.kind != "hold" or now - self.saved >= SAVE_EVERY:
            self.try_to_save()
        if not other_hand:
            self.prove_context(cards)
            self.restart_contained(now)
        self.publish(seen, cards or {}, held, memory)
        notify("WATCHDOG=1")

    def restart_contained(self, now):
        """After an error that a card contained: the service is drained and restarted, unless it is down, or somebody is at it: a drain is somebody's."""
        idle = self.up and self.state.stepping is None and self.filler is None and not self.cards.lost
        if self.cards.contained and idle and not service.drained(self.name) and self.contained.begin(self.exits.container, now, self.cards.contained):
            self.try_to_save()  # the next watcher is to know of it

    def announce(self, seen):
        chosen = self.chosen
        if chosen.kind == "hold":
            return
        self.exporter.count("bunker_decisions", service=self.name, decision=chosen.kind)
        for rung, why in chosen.skipped:
            self.exporter.count("bunker_decisions", service=self.name, decision="skip")
            self.tell("skip", "rung %s is passed over: %s" % (self.rung_name(rung), why), rung=rung)
        text = {"warn": chosen.reason, "lift": chosen.reason + "; what is needed is looked at anew",
                "latch": "given up: %s. Set a rung to go on: ansible-playbook -i INVENTORY site.yml -e bunker_rung=0" % chosen.reason}.get(
            chosen.kind, "to rung %s: %s" % (self.rung_name(chosen.rung), chosen.reason))
        self.tell(chosen.kind, text, "error" if chosen.kind == "latch" else "warning", headroom=seen.headroom, predicted=seen.predicted)

    # --- acts

    def begin_step(self):
        """Starts act.py; also for a step that was begun by a watcher that is no more."""
        rung = self.state.stepping
        if self.chosen.kind not in ("step", "back") and not self.returning:
            self.tell("resume", "the step to rung %s had been begun and is begun again" % self.rung_name(rung), "warning")
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            [sys.executable, str(HERE / "act.py"), self.settings_path, str(rung),
             str(self.settings["drain"]) if self.up else "0",  # of a dead service there is nothing to drain
             self.state.reason], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

    def finish_step(self, now):
        if self.child is None:
            return
        took = time.monotonic() - self.began
        if self.child.poll() is None:
            if took > self.settings["step_timeout"]:
                self.tell("timeout", "the step takes longer than %d s and is ended" % self.settings["step_timeout"], "error")
                self.child.terminate()
            return
        lines = self.child.stdout.read().splitlines()
        try:
            answer = json.loads(lines[-1])
        except (IndexError, ValueError):
            answer = {"done": False, "message": "act.py ended with status %d" % self.child.returncode}
        wanted, before, self.child = self.state.stepping, self.state.rung, None
        self.reload()
        done = answer["done"] and self.rung == wanted
        self.learned.pop(self.rung, None)
        self.cards.last = {}
        self.state = decision.finished(self.state, now, self.rung, self.since, done)
        self.trace.finished(now, self.rung, self.since, done)
        # A play that was ended goes not back by itself: what it was about to replace is deployed once more, once.
        self.returning = not done and self.rung == wanted != before and not self.returning
        if self.returning:
            self.state = dataclasses.replace(self.state, stepping=before, reason="the step to rung %s did not come to its end" % self.rung_name(wanted))
            self.trace.became(self.state)
        self.try_to_save()
        self.exporter.count("bunker_steps", service=self.name, result="done" if done else "failed")
        self.exporter.set("bunker_step_seconds", took, service=self.name)
        self.tell("done" if done else "failed", "rung %s after %.0f s%s" % (self.rung_name(self.rung), took, "" if done else ": " + answer["message"][:1000]),
                  "info" if done else "error", seconds=round(took, 1))
        container, pid = service.container(self.name)
        self.pid = pid or self.pid
        self.pass_over(container)  # what it wrote meanwhile was part of the step
        self.try_to_save()

    # --- proves

    def prove_context(self, cards):
        """After each start: one prompt that fills the context. Most is allocated at load; what is left after it is the headroom that counts."""
        container = self.exits.container
        if self.filler is not None and not self.filler.is_alive():
            self.filler = None
            if self.state.stepping is not None or not self.filled:
                self.filled = {}  # a step came between
            elif self.filled["container"] != container or not self.up:
                # It may have died of it. It is not filled again until somebody sets a rung: systemd would give it up after three deaths.
                self.filled["ended"] = "the service exited while its context was filled at rung %s" % self.rung_name(self.filled["rung"])
                self.tell("unfilled", self.filled["ended"], "error")
            elif not self.filled["tokens"]:
                self.filled = {"tries": self.filled["tries"]}  # it was too busy
            elif cards:
                self.filled["headroom"] = min(card.free for card in cards.values())
                self.tell("filled", "with its whole context used (%d tokens, %.0f s), %s are left" % (
                    self.filled["tokens"], self.filled["seconds"], decision.gib(self.filled["headroom"])), headroom=self.filled["headroom"])
            self.try_to_save()
        if not (self.settings["fill_context"] and cards and self.up and self.state.stepping is None) or self.filler is not None or self.state.latched:
            return
        if self.filled.get("container") == container or "ended" in self.filled or self.filled.get("tries", 0) >= TRIES:
            return
        if service.drained(self.name):
            return  # by hand: it would be opened in the middle of somebody's work
        self.filled = {"container": container, "rung": self.rung, "tries": self.filled.get("tries", 0) + 1}
        filled = self.filled

        def fill():
            began = time.monotonic()
            # The slots share one context: of a prompt that fills it and answers beside it llama-server refuses both. So the door is shut meanwhile.
            service.keep_out(self.name, self.settings["step_timeout"])
            try:
                idle = service.wait_until_idle(self.endpoint, self.settings["drain"])
                tokens = service.fill_context(self.endpoint, self.settings["step_timeout"]) if idle else 0
            finally:
                if self.state.stepping is None:  # a step that began meanwhile opens it by itself
                    service.let_in(self.name)
            filled.update(tokens=tokens, seconds=round(time.monotonic() - began, 1))
        self.filler = threading.Thread(target=fill, daemon=True)
        self.filler.start()

    # --- tells

    def publish(self, seen, cards, held, memory):
        export, label = self.exporter.set, {"service": self.name}
        for uuid, card in cards.items():
            export("bunker_vram_total_bytes", card.total, gpu=uuid)
            export("bunker_vram_used_bytes", card.used, gpu=uuid)
            export("bunker_vram_free_bytes", card.free, gpu=uuid)
            export("bunker_vram_service_bytes", held[uuid], gpu=uuid, **label)
        export("bunker_headroom_bytes", float("nan") if seen.headroom is None else seen.headroom, **label)
        ends = decision.time_to_zero(self.state.history, self.limits) if self.state.history else float("inf")
        export("bunker_time_to_zero_seconds", ends, **label)
        export("bunker_rung", self.rung, **label)
        export("bunker_latched", bool(self.state.latched), **label)
        export("bunker_last_sample_timestamp_seconds", self.cards.read_at)
        export("bunker_host_memory_available_bytes", memory)
        services = {}
        for name, endpoint in self.settings["endpoints"].items():
            up = self.up if name == self.name else service.ask(endpoint + "/health") is not None
            counts = service.counts(endpoint) if up else {}
            export("bunker_service_up", up, service=name)
            if counts:
                export("bunker_service_generation_tokens_per_second", service.speed(counts, "generation") or 0, service=name)
                export("bunker_service_requests_processing", counts.get("requests_processing", 0), service=name)
            services[name] = {"endpoint": endpoint, "up": up, "generation": service.speed(counts, "generation"),
                              "prompt": service.speed(counts, "prompt"), "processing": counts.get("requests_processing")}
        status = {
            "time": time.time(), "clock": seen.time, "read_at": self.cards.read_at, "unreadable": self.cards.odd,
            "interval": self.settings["interval"], "service": self.name, "source": self.cards.name,
            "gpus": [dict(dataclasses.asdict(card), processes=None, held=held[uuid]) for uuid, card in cards.items()], "lost": self.cards.lost,
            "faults": self.cards.faults,
            "headroom": seen.headroom, "warn": self.limits.warn, "act": self.limits.act, "time_to_zero": None if ends == float("inf") else ends,
            "rung": self.rung, "ladder": [entry["name"] for entry in self.resolved["ladder"]], "predicted": seen.predicted, "barred": seen.barred,
            "why": self.why, "since": self.since, "stepping": self.state.stepping, "latched": self.state.latched,
            "reason": self.chosen.reason, "filled": self.filled, "filling": self.filler is not None and self.filler.is_alive(),
            "restarting": self.contained.thread is not None,
            "services": services, "memory_available": memory, "events": list(self.events),
            "gateway": self.settings["gateway"],
        }
        path = pathlib.Path(self.settings["status_path"])
        new = pathlib.Path(str(path) + ".new")
        try:
            new.write_text(json.dumps(status), encoding="utf-8")  # a tmpfs, and of no worth after a crash: no fsync
            new.rename(path)
        except OSError as error:
            print("<3>%s: %s" % (path, error), flush=True)  # vram_watch.samples fails, and bunker-status is stale

    def save(self):
        self.saved = clock()
        write(self.state_path, {
            "clock": self.saved, "boot": boot(),
            "decision": json.loads(decision.to_json(self.state)), "events": list(self.events), "learned": self.learned, "filled": self.filled,
            "container": self.exits.container, "cursor": self.exits.cursor, "cards": sorted(self.cards.seen),
            "kernel": self.kernel.sequence, "contained": sorted(self.cards.contained), "restarted": self.contained.began, "definition": self.definition})

    def try_to_save(self):
        """Whether it could be written: a full disk is no reason not to watch."""
        try:
            self.save()
        except OSError as error:
            self.tell("unsaved", "%s: %s" % (self.state_path, error), "error")
            return False
        return True


def main(settings_path):
    watcher = Watcher(settings_path)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_args: stopping.set())
    watcher.tell("start", "watching %s, at rung %s" % (watcher.name, watcher.rung_name(watcher.rung)))
    notify("READY=1")
    while not stopping.is_set():
        began = time.monotonic()
        watcher.tick()
        stopping.wait(max(watcher.settings["interval"] - (time.monotonic() - began), 0.1))
    if watcher.child is not None or watcher.contained.thread is not None:
        service.let_in(watcher.name)  # systemd ends the play too, which does it no more
    watcher.try_to_save()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes the gap on a real card, and sees whether the watcher steps down before anything fails.

    python3 tests/gpu/vram_gap.py --server BUILD/bin/llama-server --model /dev/shm/moe.gguf ladder control gap burst

The watcher is the role's own (roles/vram_watch/files/watch.py) with the inventory's ladder and the role's defaults; only its hand and its eye for the service
are native_service.py's, because there is no container engine where this runs. The parts:

ladder   starts llama-server at each rung, fills its context once, compares what it frees of VRAM with the prediction
control  nobody watches, and a filler takes all: what fails then, and what becomes of a start
gap      ten runs: a filler closes the gap in steps while clients ask; all limits are the role's defaults
burst    the same, and the filler takes all at once, faster than anybody samples: what the watcher makes of that

Writes tests/gpu/results/vram_gap.json: parts that are not run stay as they were. Exits 1 where the watcher was too late in more than one of ten runs.
"""
import argparse
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import native_service
from common import provenance
from filler_process import Filler
from native_service import ROOT

import gpus  # of the role vram_watch, as service and watch
import service
import watch
import yaml

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf, model_memory, service_plan
from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import decision

HERE = pathlib.Path(__file__).resolve().parent
UTILS = ROOT / "plugins" / "module_utils"
GIB, MIB = 2 ** 30, 2 ** 20
PORT = 18000
TUNING = {"threads": os.cpu_count(), "batch": 2048, "arguments": []}
# How the filler closes the gap, by run: MiB of a step, and seconds between two. From 0.2 to 0.43 GiB a second.
RUNS = [(256, 1.0), (512, 2.5), (1024, 3.0), (256, 0.6), (512, 1.5), (128, 0.4), (1024, 5.0), (384, 1.0), (768, 2.0), (256, 0.75)]
BEGIN = 7.5 * 1024  # MiB free when a run begins: above the warning
BEYOND = 1024       # MiB that the filler takes beyond what rung 0 leaves: rung 0 would not fit
EVENTS = ("warn", "skip", "step", "done", "failed", "latch", "oom", "exit")  # of the watcher, kept with a run
LONGEST = 120       # seconds of one run at most
# Changes to the definition whose ladder is measured. The doctrine's plan keeps layers in RAM from the beginning; a long context makes the KV cache visible.
DEFINITIONS = {"all layers on the card": {}, "one layer of experts on the card": {"gpu_layers": "2"}, "context of 131072": {"context": 131072}}


def definition(**changes):
    """The inventory's Oracle, as far as the ladder needs it: the role's defaults, and all layers on the card."""
    inventory = yaml.safe_load((ROOT / "inventory/omni_prime/group_vars/all/bunker.yml").read_text(encoding="utf-8"))
    options = yaml.safe_load((ROOT / "roles/inference_service/meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = options["argument_specs"]["main"]["options"]["inference_service_definition"]["options"]
    oracle = next(entry for entry in inventory["bunker_services"] if entry["name"] == "oracle")
    found = {name: option.get("default") for name, option in options.items()}
    found.update(name="oracle", device="gpu", gpu_layers="99", context=oracle["context"], ladder=oracle["ladder"] + ["micro_batch_128"], port=PORT)
    return dict(found, **changes)


def defaults(role):
    return yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text(encoding="utf-8"))


class Model:
    """The header of a GGUF file."""

    def __init__(self, path):
        self.path = str(path)
        self.metadata, self.tensors = gguf.read_model([path])


def prepare(binary, model, spec, number=0):
    """A folder with all that the watcher and its hand read.

    :returns: the settings.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vram-gap-"))
    ladder = service_plan.ladder(spec, defaults("inference_service")["inference_service_plans"], model.metadata)
    words = []
    for rung in ladder:
        line = service_plan.server_arguments(spec, {"files": [{"name": "x"}]}, TUNING, rung["arguments"])
        line[line.index("--model") + 1], line[line.index("--host") + 1] = model.path, "127.0.0.1"
        words.append(line)
    watching = {name[len("vram_watch_"):]: value for name, value in defaults("vram_watch").items()}
    limits = {name: watching[name] for name in ("warn", "act", "samples", "window", "lead", "cooldown", "steps_per_hour", "failures", "quiet", "margin")}
    endpoint = "http://127.0.0.1:%d" % PORT
    settings = {
        "folder": str(folder), "binary": str(binary), "arguments": words, "environment": {}, "endpoint": endpoint, "service": spec["name"],
        "unit": str(folder / "log"), "limits": limits, "state_path": str(folder / "state.json"), "definition": "of this run",
        "metrics_port": PORT + 1 + number, "resolved_path": str(folder / "resolved.json"), "facts_path": str(folder / "facts.json"),
        "model_files": [model.path], "source": "auto", "gpus": [], "interval": watching["interval"], "ram_reserve": watching["ram_reserve"],
        "drain": watching["drain"], "step_timeout": 120, "fill_context": watching["fill_context"], "endpoints": {spec["name"]: endpoint}, "gateway": "",
        "status_path": str(folder / "status.json"), "hold_path": str(folder / "hold")}
    native_service.write(settings["resolved_path"], {"definition": spec, "ladder": ladder, "rung": 0})
    card = look(settings)[1]
    settings["gpus"], settings["environment"] = [card.uuid], {"CUDA_VISIBLE_DEVICES": card.uuid}
    native_service.write(folder / "settings.json", settings)
    return settings


def look(settings, source=[]):  # pylint: disable=dangerous-default-value  # it is opened once for all calls
    """Bytes that the server holds, and the card. The first one of the host, unless the settings name it."""
    if not source:
        source.append(gpus.open_source("auto")[0])
    cards = source[0].read()
    card = next((one for one in cards if one.uuid in settings["gpus"]), cards[0])
    held = card.processes.get(native_service.process(settings["folder"])[1], 0)
    return card.used if held is None else held, card  # where the driver does not tell by process, as the watcher has it


BUFFERS = re.compile(r"(\S+)\s+(model|KV|compute|output) buffer size\s*=\s*([0-9.]+) MiB")


def measure_ladder(arguments, model):
    """Yields a row for each definition and rung."""
    for name, changes in DEFINITIONS.items():
        spec = definition(**changes)
        settings = prepare(arguments.server, model, spec)
        settings["environment"]["LLAMA_ARG_LOG_VERBOSITY"] = "4"  # it tells the sizes of its buffers
        resolved = native_service.read(settings["resolved_path"])
        first = None
        for rung, entry in enumerate(resolved["ladder"]):
            if time.monotonic() > arguments.ends:
                print("no time is left for %s, %s" % (name, entry["name"]))
                continue
            mark = native_service.log_since(settings["unit"], None)[1] if os.path.exists(settings["unit"]) else "0"
            began = time.monotonic()
            why = native_service.launch(settings, rung)
            loaded, seconds = look(settings)[0], time.monotonic() - began
            began, tokens = time.monotonic(), 0 if why else service.fill_context(settings["endpoint"], arguments.fill_timeout)
            held = look(settings)[0]
            native_service.stop(settings, 0)
            text = native_service.log_since(settings["unit"], mark)[0]
            relief = model_memory.rung_relief(spec, entry["plan"], model.metadata, model.tensors)
            first = held if first is None else first
            row = {"definition": name, "changes": changes, "rung": rung, "name": entry["name"],
                   "arguments": " ".join(settings["arguments"][rung][settings["arguments"][rung].index("--ctx-size"):]),
                   "error": why, "loaded": loaded, "held": held, "tokens": tokens, "start_seconds": round(seconds, 1),
                   "fill_seconds": round(time.monotonic() - began, 1), "predicted": relief, "freed": first - held if held and first else None,
                   "buffers_mib": {"%s %s" % (where, what): float(size) for where, what, size in BUFFERS.findall(text)}}
            print("%-34s %d %-26s held %6.0f MiB, loaded %6.0f, freed %6s MiB, predicted %6.0f, %5d tokens in %5.1f s, start %4.1f s %s" % (
                name, rung, entry["name"], held / MIB, loaded / MIB, "-" if row["freed"] is None else round(row["freed"] / MIB), relief / MIB, tokens,
                row["fill_seconds"], seconds, why), flush=True)
            yield row


class Watcher(watch.Watcher):
    """The role's own, and all that it told is kept with its time."""

    def __init__(self, path):
        self.told = []
        super().__init__(path)

    def tell(self, event, text, priority="info", **more):
        self.told.append(dict(more, time=time.time(), event=event, text=text))
        super().tell(event, text, priority, **more)


class Watching(threading.Thread):
    """The watcher at work, as watch.main() has it."""

    def __init__(self, settings):
        super().__init__(daemon=True)
        self.watcher, self.stopping, self.error = Watcher(settings["folder"] + "/settings.json"), threading.Event(), ""

    def run(self):
        try:
            while not self.stopping.is_set():
                began = time.monotonic()
                self.watcher.tick()
                self.stopping.wait(max(self.watcher.settings["interval"] - (time.monotonic() - began), 0.1))
        except Exception as error:  # pylint: disable=broad-except  # it is told in the run's row, and the run counts as lost
            self.error = "%s: %s" % (type(error).__name__, error)


class Client(threading.Thread):
    """Asks on and on, prompts of 24 to 1500 tokens; waits while the door is closed, as the gateway lets it."""

    LENGTHS = (24, 400, 1500)

    def __init__(self, settings, model, seed):
        super().__init__(daemon=True)
        self.settings, self.random, self.stopping = settings, random.Random(seed), threading.Event()
        self.last_token = model.metadata["deepseek2.vocab_size"] - 1
        self.begun = time.time()
        self.asked = []  # (when it began, when it ended, whether it was answered)
        self.waited = 0

    def run(self):
        closed, number = pathlib.Path(self.settings["folder"]) / "closed", 0
        while not self.stopping.is_set():
            if closed.exists():
                self.waited += 1
                while closed.exists() and not self.stopping.wait(0.05):
                    pass
                continue
            prompt = [self.random.randint(940, self.last_token) for _token in range(self.LENGTHS[number % 3])]
            began, number = time.time(), number + 1
            answer = service.ask(self.settings["endpoint"] + "/completion", {"prompt": prompt, "n_predict": 24, "ignore_eos": True, "cache_prompt": False}, 60)
            self.asked.append((began, time.time(), answer is not None))
            self.stopping.wait(0.1)


def run_gap(arguments, model, number, step, every):
    """One run.

    :param step: MiB of a step of the filler.
    :param every: seconds between two; 0 for all at once.
    :returns: its row.
    """
    settings = prepare(arguments.server, model, definition(), number)
    service.container = lambda _name: native_service.process(settings["folder"])  # the watcher's eye
    row = {"run": number, "step_mib": step, "every_s": every, "gib_per_s": round(step / 1024 / every, 2) if every else None}
    why = native_service.launch(settings, 0)
    if why:
        return dict(row, error=why, in_time=False)
    service.fill_context(settings["endpoint"], 60)
    held = look(settings)[0]
    filler = Filler(settings["environment"], BEGIN, step, every, BEGIN + BEYOND)
    clients = [Client(settings, model, 100 * number + seed) for seed in range(2)]
    watching = Watching(settings)
    for thread in [watching, *clients]:
        thread.start()
    time.sleep(7)  # two samples of calm
    filler.begin()
    began = time.monotonic()
    while time.monotonic() - began < LONGEST and not watching.error:
        done = any(told["event"] in ("done", "failed", "latch") for told in watching.watcher.told)
        if done and filler.times("complete"):
            break
        time.sleep(0.2)
    time.sleep(6)  # it has to answer at the new rung, and the watcher to look at it once more
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(60)
    watching.stopping.set()
    watching.join(60)
    after, card = look(settings)
    row.update(judge(settings, watching, clients, filler), held=held, held_after=after, free_after=card.free, error=watching.error)
    # The contract: a rung was taken because of the samples, not after an exit, and no allocation failed on the card, neither the server's nor the filler's.
    row["in_time"] = bool(row["stepped"] and row["rung"] and not row["server_exits"] and not row["oom_lines"] and not row["refused"]
                          and row["completed"] and not row["error"])
    filler.end()
    native_service.stop(settings, 0)
    return row


def judge(settings, watching, clients, filler):
    """What came of a run, of all that was told."""
    told = watching.watcher.told
    first = next((one for one in told if one["event"] == "step"), None)
    taken = pathlib.Path(settings["folder"]) / "step.json"
    step = native_service.read(taken) if taken.exists() else {}
    under = next((line["time"] for line in filler.lines if line["free"] < settings["limits"]["warn"] * GIB), None)
    begun = clients[0].begun
    asked = sorted(entry for client in clients for entry in client.asked)
    answered = sorted(end for _began, end, right in asked if right)
    return {
        "stepped": first is not None, "reason": first["text"] if first else "", "headroom_at_step": first["headroom"] if first else None,
        "predicted_at_step": first["predicted"][1] if first else None, "rung": native_service.read(settings["resolved_path"])["rung"],
        "detect_s": round(first["time"] - under, 1) if first and under else None,
        "least_free": min(line["free"] for line in filler.lines), "refused": len(filler.times("refused")),
        "refused_at_s": [round(refused - begun, 1) for refused in filler.times("refused")][:5], "step_at_s": round(first["time"] - begun, 1) if first else None,
        "stopped_at_s": round(step["stopped"] - begun, 1) if step else None, "completed": bool(filler.times("complete")),
        "server_exits": sum(one["event"] == "exit" for one in told),
        "oom_lines": len(service.OUT_OF_MEMORY.findall(native_service.log_since(settings["unit"], None)[0])),
        "requests": len(asked), "failed": sum(not right for _began, _end, right in asked),
        "failed_at_s": [round(end - begun, 1) for _began, end, right in asked if not right],
        "filled_at_s": [round(one["time"] - begun, 1) for one in told if one["event"] == "filled"],
        "waited_at_the_door": sum(client.waited for client in clients),
        "drain_s": round(step["stopped"] - step["closed"], 1) if step else None, "closed_s": round(step["opened"] - step["closed"], 1) if step else None,
        "longest_pause_s": round(max((later - earlier for earlier, later in zip(answered, answered[1:])), default=0), 1),
        "events": ["%s: %s" % (one["event"], one["text"]) for one in told if one["event"] in EVENTS]}


def control(arguments, model):
    """What fails where nobody watches: a filler takes all that the card has, then the server is asked for more than before, then started anew.

    Yields a row for a server whose context was not filled before, and one for a server whose was.
    """
    for filled in (False, True):
        settings = prepare(arguments.server, model, definition())
        native_service.launch(settings, 0)
        service.ask(settings["endpoint"] + "/completion", {"prompt": "a short prompt", "n_predict": 8, "ignore_eos": True}, 60)
        if filled:
            service.fill_context(settings["endpoint"], 60)
        before = look(settings)[0]
        filler = Filler(settings["environment"], BEGIN, 256, 0.0, 1 << 20, "--to-the-last")
        filler.begin()
        filler.wait("full", 60)
        left = look(settings)[1].free
        tokens = service.fill_context(settings["endpoint"], 60)
        time.sleep(1)
        row = {"context_filled_before": filled, "held": before, "free_when_full": left, "held_after": look(settings)[0],
               "a_prompt_that_fills_the_context": "answered" if tokens else "not answered", "server_alive": bool(native_service.process(settings["folder"])[1])}
        if row["server_alive"]:
            clients = [Client(settings, model, seed) for seed in range(4)]
            for client in clients:
                client.start()
            time.sleep(5)
            for client in clients:
                client.stopping.set()
            for client in clients:
                client.join(60)
            asked = [entry for client in clients for entry in client.asked]
            row.update(requests_at_once=len(asked), failed=sum(not right for _began, _end, right in asked),
                       alive_after_them=bool(native_service.process(settings["folder"])[1]))
        text = native_service.log_since(settings["unit"], None)[0]
        row["lines"] = [line[:300] for line in text.splitlines() if re.search(r"out of memory|CUDA error|ALLOC_FAILED|failed to allocate", line)][:8]
        row["recognised_as_out_of_memory"] = bool(service.OUT_OF_MEMORY.search(text))
        native_service.stop(settings, 0)
        # The room that it gave back is taken too, but for half: what a restart at rung 0 finds where others have grown meanwhile.
        other = Filler(settings["environment"], before / MIB / 2, 256, 1.0, 1)
        row["restart_at_rung_0"] = native_service.launch(settings, 0) or "it serves"
        native_service.stop(settings, 0)
        other.end()
        filler.end()
        print(json.dumps(row), flush=True)
        yield row


def host():
    """The card and what drives it."""
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, check=True)
        cuda = subprocess.run(["nvidia-smi"], capture_output=True, text=True, check=True)
        name, driver, memory = [part.strip() for part in done.stdout.splitlines()[0].split(",")]
        version = re.search(r"CUDA Version: ([0-9.]+)", cuda.stdout)
    except (OSError, subprocess.CalledProcessError):
        return {"gpu": "none"}
    return {"gpu": name, "driver": driver, "memory": memory, "driver_cuda": version.group(1) if version else ""}


def keep(path, part, rows, model, arguments):
    """Writes a part of the result beside those that are there."""
    result = native_service.read(path) if path.exists() else {}
    said = subprocess.run([arguments.server, "--version"], capture_output=True, text=True, check=False)
    result[part] = dict(host(), provenance=provenance.made("tests/gpu/results/vram_gap.json", part), llama_cpp=(said.stdout + said.stderr).strip()[:200],
                        model={"bytes": os.path.getsize(model.path), "layers": model.metadata["deepseek2.block_count"],
                               "dense": model.metadata["deepseek2.leading_dense_block_count"], "experts": model.metadata["deepseek2.expert_count"],
                               "expert_bytes": max(model_memory.expert_bytes(model.tensors).values())},
                        limits={name[len("vram_watch_"):]: value for name, value in defaults("vram_watch").items() if isinstance(value, (int, float))},
                        rows=rows)
    native_service.write(path, result)


def table(rows):
    """The runs, a line each."""
    print(" run  GiB/s  headroom at step  after s   least free  requests failed waited  closed s  pause s  freed    in time")
    for row in rows:
        if row.get("error"):
            print("%4d  %s" % (row["run"], row["error"]))
            continue
        print("%4d  %5s  %16s  %7s  %11s  %8d %6d %6d  %8s  %7s  %7s  %s" % (
            row["run"], row["gib_per_s"], decision.gib(row["headroom_at_step"] or 0), row["detect_s"], decision.gib(row["least_free"]), row["requests"],
            row["failed"], row["waited_at_the_door"], row["closed_s"], row["longest_pause_s"], decision.gib(row["held"] - row["held_after"]), row["in_time"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="llama-server with its libraries beside it")
    parser.add_argument("--model", required=True, help="of tests/gpu/moe_model.py")
    parser.add_argument("--result", type=pathlib.Path, default=HERE / "results" / "vram_gap.json")
    parser.add_argument("--fill-timeout", type=float, default=45, help="seconds for the prompt that fills the context of a rung")
    parser.add_argument("--seconds", type=float, default=3600, help="after so many no further rung or run is begun")
    parser.add_argument("--runs", type=int, nargs="*", default=range(1, len(RUNS) + 1), help="of gap, which; all of them")
    parser.add_argument("parts", nargs="+", choices=["ladder", "control", "gap", "burst"])
    arguments = parser.parse_args()
    arguments.ends, model = time.monotonic() + arguments.seconds, Model(arguments.model)
    # The watcher's hand, and what it reads of the log.
    watch.HERE = HERE / "native"
    service.journal = native_service.log_since
    late = False
    for part in arguments.parts:
        if part in ("ladder", "control"):
            rows = []
            for row in {"ladder": measure_ladder, "control": control}[part](arguments, model):
                rows.append(row)
                keep(arguments.result, part, rows, model, arguments)
            continue
        rows, more = [], [(256, 0.0), (256, 0.0)]
        for number, (step, every) in enumerate(RUNS if part == "gap" else more, 1 if part == "gap" else 11):
            if part == "gap" and number not in arguments.runs:
                continue
            if time.monotonic() > arguments.ends:
                print("no time is left for run %d" % number)
                continue
            rows.append(run_gap(arguments, model, number, step, every))
            print(json.dumps(rows[-1]), flush=True)
            keep(arguments.result, part, rows, model, arguments)
        table(rows)
        if part == "gap":
            right = sum(row["in_time"] for row in rows)
            closed = [row["closed_s"] for row in rows if row.get("closed_s")]
            print("in time in %d of %d runs; the door was closed for %s s (median)" % (right, len(rows), statistics.median(closed) if closed else "-"))
            late = len(rows) - right > 1
    sys.exit(1 if late else 0)


if __name__ == "__main__":
    main()

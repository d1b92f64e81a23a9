# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures services with llama-bench from their image, each measurement in a container of its own that ends with it. Standard library only.

bench.py PLAN STATE, both JSON; the collection is on PYTHONPATH. Each result is in STATE before the next measurement begins, so an interrupted run goes on
where it was. What is measured next is plugins/module_utils/throughput/sweep.py's business. Prints a line for each measurement, with the time that is left.
"""
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from ansible_collections.protocol_omni.bunker.plugins.module_utils import (
    gguf, local_http, memory_bandwidth, model_memory, placement, small_file,
)
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import container
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import choice, reading, roofline, speculation, sweep, topology, tuning

LABEL = "protocol_omni.bunker.bench"
NAME = "protocol-omni-bench-%s"
RUN = re.compile(r"generation run (\d+)/\d+")
TIDY = 5  # seconds of the budget that are kept for the end
MANY = 100000  # runs: more than there will be time for
UNSTEADY = 0.1  # deviation of a sample relative to the mean, above which a measurement is made once more
LEAST_RUNS = 5  # of each service, while all of them generate


class OutOfTime(Exception):
    """The budget ended within a measurement."""


def remove_containers():
    """Removes the containers of measurements: this program's own, or what one that was killed left."""
    found = subprocess.run(["docker", "ps", "--all", "--quiet", "--filter", "label=" + LABEL], capture_output=True, text=True, check=False).stdout.split()
    if found:
        subprocess.run(["docker", "rm", "--force", *found], capture_output=True, check=False)


def container_words(plan, service, settings, program, *more):
    """The words up to the program's: hardened as the service's own container, and without any network."""
    chosen = service["placements"][settings["placement"]] if settings["placement"] else {"gpus": [], "load_mode": ""}
    words = ["docker", "run"] + container.hardened(NAME % service["name"]) + container.locked_memory(chosen["load_mode"]) + [
        "--label", LABEL, "--network", "none", "--volume", "%s:/models:ro" % service["folder"]]
    gpus = chosen["gpus"]
    words += ["--env", "CUDA_VISIBLE_DEVICES=%s" % ",".join(gpus)]
    if settings["cpuset"]:
        words += ["--cpuset-cpus", settings["cpuset"]]
    if settings["mems"]:
        words += ["--cpuset-mems", settings["mems"]]
    for gpu in gpus:
        words += ["--device", "%s=%s" % (plan["cdi_kind"], gpu)]
    words += [*more, "--entrypoint", plan["programs"] + "/" + program, plan["image"], "--model", "/models/" + service["files"][0]]
    return words if gpus else words + ["--n-gpu-layers", "0"]


def command(plan, service, settings, work, repetitions):
    """The words of one measurement with llama-bench."""
    words = container_words(plan, service, settings, "llama-bench")
    if settings["placement"]:
        words += placement.bench_words(service["placements"][settings["placement"]])
    return words + tuning.bench_words(settings, work, repetitions) + ["--output", "json", "--progress"]


def server_command(plan, service, settings, folder):
    """The words of a llama-server that answers on a socket in a folder, and nowhere else."""
    way = speculation.words(service["speculations"], settings["speculation"], service["draft_file"])
    drafts = ["--volume", "%s:/draft:ro" % service["draft_folder"]] if service["draft_folder"] else []
    words = container_words(plan, service, settings, "llama-server", "--volume", folder + ":/socket", "--tmpfs", "/tmp:rw,noexec,nosuid,size=64m", *drafts)
    if settings["placement"]:
        words += placement.server_words(service["placements"][settings["placement"]])
    return words + ["--host", "/socket/llama.sock", "--ctx-size", str(service["context"]), "--ubatch-size", str(service["micro_batch"]),
                    *tuning.server_words(settings), *way, "--no-ui"]


class Container:
    """One llama-bench that runs: what it prints, and when each of its runs began."""

    def __init__(self, words):
        self.words, self.out, self.errors, self.begun = words, "", [], {}
        self.started = time.monotonic()
        # A session of its own: a signal to this program reaches this program first, which then removes the container.
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        self.readers = [threading.Thread(target=reader, daemon=True) for reader in (self._read_out, self._read_errors)]
        for reader in self.readers:
            reader.start()

    def _read_out(self):
        self.out = self.process.stdout.read()

    def _read_errors(self):
        for line in self.process.stderr:
            match = RUN.search(line)
            if match:
                self.begun[int(match.group(1))] = time.monotonic()
            elif "llama-bench: benchmark" not in line:
                self.errors = (self.errors + [line.strip()])[-5:]

    def wait(self, deadline):
        """Waits for its end.

        :raises OutOfTime: it has not ended by then.
        """
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            raise OutOfTime() from None
        for reader in self.readers:
            reader.join()

    def runs(self, tokens):
        """(when it began, tokens per second) of each run that has ended: the next one has begun."""
        begun = [self.begun[number] for number in sorted(self.begun)]
        return [(first, tokens / (second - first)) for first, second in zip(begun, begun[1:])]

    def entries(self):
        """(llama-bench's entries, why there are none)."""
        if self.process.returncode == 0:
            try:
                return json.loads(self.out), ""
            except ValueError:
                return [], "llama-bench printed no JSON: %s" % self.out[:200]
        return [], "exit status %d: %s" % (self.process.returncode, " · ".join(self.errors)[-400:] or "it said nothing")


def cards_by(column):
    """UUID to bytes, by a column of nvidia-smi."""
    done = subprocess.run(["nvidia-smi", "--query-gpu=uuid," + column, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=False)
    return placement.cards_of(done.stdout)


def planned(plan, service, places, matrices, deadline):
    """(name to placement, name to why there is none) of placements that llama-fit-params has to plan, on cards that no service of this host holds.

    :param matrices: bytes of each matrix of experts (model_memory.expert_matrices).
    """
    found, failed, ended = {}, {}, {"code": 0, "errors": ""}

    def fit(place, kept):
        words = placement.fit_command(service, place, service["folder"], service["files"][0], plan["image"], plan["cdi_kind"], kept)
        words[2:2] = ["--name", NAME % service["name"], "--label", LABEL]
        done = subprocess.run(words, capture_output=True, text=True, timeout=max(deadline - time.monotonic(), 1), check=False)
        ended.update(code=done.returncode, errors=done.stderr.strip()[-300:])
        return done.stdout, done.stderr
    for name, place in places.items():
        try:
            found[name] = placement.planned(place, service["free"], fit, cards_by("memory.free"), matrices)
        except subprocess.TimeoutExpired:
            failed[name] = "no time for llama-fit-params"
        except ValueError as error:
            failed[name] = "%s (exit status %d: %s)" % (error, ended["code"], ended["errors"])
    remove_containers()
    return found, failed


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


def _asked(path, body, timeout):
    """The answer of a server on a socket, None of none."""
    connection = local_http.LocalConnection(path, timeout)
    try:
        connection.request("POST" if body else "GET", "/v1/chat/completions" if body else "/health", json.dumps(body) if body else None,
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return json.loads(text) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


class Server:
    """A llama-server of a measurement's own, on a socket in a folder of its own."""

    def __init__(self, plan, service, settings, deadline):
        self.folder = tempfile.mkdtemp(prefix="bunker-bench-", dir=os.environ.get("RUNTIME_DIRECTORY", "/run"))
        os.chmod(self.folder, 0o777)  # noqa: S103 # the server is nobody; for the minutes of a measurement, on a socket that answers prompts
        self.path, self.answers = self.folder + "/llama.sock", []
        name = "%s-%s" % (service["name"], settings["speculation"])
        self.container = Container(server_command(plan, dict(service, name=name), settings, self.folder))
        while self.container.process.poll() is None and _asked(self.path, None, 2) is None:
            if time.monotonic() > deadline:
                shutil.rmtree(self.folder, ignore_errors=True)
                raise OutOfTime()
            time.sleep(0.2)
        self.loaded = time.monotonic() - self.container.started

    def answer(self, service, place, tokens, deadline, counts=True):
        """Whether it answered a sample prompt in time."""
        found = _asked(self.path, {"messages": [{"role": "user", "content": service["sample_prompts"][place]}], "temperature": 0, "max_tokens": tokens,
                                   "cache_prompt": False}, max(deadline - time.monotonic(), 0.1))
        if time.monotonic() > deadline:
            raise OutOfTime()
        if found is not None and counts:
            timings = found["timings"]
            self.answers.append({"prompt": place, "speed": timings["predicted_per_second"], "tokens": timings["predicted_n"],
                                 "drafted": timings.get("draft_n", 0), "accepted": timings.get("draft_n_accepted", 0)})
        return found is not None


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


def unsteady(found):
    """How far samples of one measurement lie apart, relative to their mean; 0 where that is within what is usual."""
    apart = max([one["deviation"] / one["mean"] for one in (found["generation"], found["prompt"]) if one] or [0])
    return apart if apart > UNSTEADY else 0


def calmer(one, other):
    """The steadier of two measurements of the same."""
    return dict(one if other["failed"] or unsteady(one) < unsteady(other) else other, repeated=True)


def told(found):
    """A result in words."""
    if found["failed"]:
        return "failed: " + found["failed"]
    if found["kind"] == "served":
        return speculation.told_one(found["settings"]["speculation"], speculation.compared(found["answers"], found["without"]))
    if found["kind"] == "together":
        return ", ".join("%s %.1f tok/s" % (name, one["mean"]) for name, one in found["generation"].items())
    return ", ".join("%.1f ± %.1f tok/s %s" % (found[what]["mean"], found[what]["deviation"], what) for what in ("generation", "prompt") if found[what])


def titled(step):
    """A step in words."""
    if step["kind"] == "together":
        return "together: " + ", ".join("%s %d threads on %s" % (name, one["threads"], one["cpuset"] or "all CPUs") for name, one in step["settings"].items())
    settings = step["settings"]
    if step["kind"] == "served":
        return "%s: speculation, %d answers with and without" % (step["service"], step["work"]["rounds"] * step["work"]["prompts"])
    words = {"steady": "the first measurement once more", "placement": "placement %(placement)s", "threads": "%(threads)d threads",
             "pinning": "%(threads)d threads on %(cpus)s%(how)s", "batch": "batch %(batch)d",
             "micro_batch": "micro-batch %(micro_batch)d", "flash_attn": "flash attention %(flash_attn)s", "kv_type": "KV cache %(kv_type)s"}[step["stage"]]
    how = (", one CPU each" if settings["strict"] else "") + (", memory of node " + settings["mems"] if settings["mems"] else "") + (
        ", --numa " + settings["numa"] if settings["numa"] else "")
    return step["service"] + ": " + words % dict(settings, cpus=settings["cpuset"] or "all CPUs", how=how)


class Bench:
    """A sweep with its state on disk."""

    def __init__(self, plan, path):
        self.plan, self.path = plan, path
        self.begun = time.monotonic()
        self.deadline = self.begun + plan["budget"] - TIDY
        self.host = reading.host()
        identity = {"host": self.host["fingerprint"], "image": plan["image"], "work": [plan["repetitions"], plan["prompt"], plan["generate"]]}
        state = {} if plan["fresh"] else small_file.record(path)
        self.state = state if state.get("identity") == identity else {"identity": identity, "results": [], "services": {}, "plans": {}}
        self._forget([service["name"] for service in plan["services"] if self.state["services"].get(service["name"], service) != service])
        self.state["services"].update({service["name"]: service for service in plan["services"]})
        self.skipped = set()

    def _forget(self, names):
        """Drops what was measured of services that are others by now; what was measured of the rest stays, whether this run is about them or not."""
        self.state["results"] = [found for found in self.state["results"]
                                 if not set(names) & (set(found["settings"]) if found["kind"] == "together" else {found["service"]})]

    def say(self, words):
        left = max(int(self.deadline - time.monotonic()), 0)
        print("%s, %d:%02d left" % (words, left // 60, left % 60), flush=True)

    def prepare(self):
        """The world of the sweep: what the host and the models are."""
        if not self.state.get("bandwidth"):
            cores = topology.physical(self.host["cpus"])
            self.state["bandwidth"] = memory_bandwidth.measure(len(cores), self.plan["seconds"]["bandwidth"])
            self.say("memory bandwidth, copying with %d threads: %.1f GB/s" % (len(cores), self.state["bandwidth"] / 1e9))
        services, self.state["left_out"] = [], {}
        for service in self.plan["services"]:
            try:
                metadata, tensors = gguf.read_model([os.path.join(service["folder"], name) for name in service["files"]])
            except gguf.GGUFError as error:
                self.state["left_out"][service["name"]] = "its model cannot be read: %s" % error
                continue
            if service["device"] == "gpu" and self._runs(service["name"]):
                self.state["left_out"][service["name"]] = "it runs, and its cards hold no second one: systemctl stop protocol-omni-%s" % service["name"]
                continue
            places, failed = self._places(service, model_memory.expert_matrices(tensors))
            for name, why in failed.items():
                self.say("%s: placement %s: %s" % (service["name"], name, why))
            if service["device"] == "gpu" and not places:
                self.state["left_out"][service["name"]] = "no placement of it could be planned: " + "; ".join(failed.values())
                continue
            service = dict(service, placements=places)
            ways = speculation.possible(service["speculations"], metadata, service["draft_folder"])
            services.append(dict(service, bytes=sum(tensors.values()), per_token=roofline.bytes_per_token(metadata, tensors), ways=ways,
                                 prompts=len(service["sample_prompts"])))
        self.world = {"cpus": self.host["cpus"], "node_memory": self.host["node_memory"], "bandwidth": self.state["bandwidth"], "services": services,
                      "together": self.plan["seconds"]["together"], "repetitions": self.plan["repetitions"], "prompt": self.plan["prompt"],
                      "generate": self.plan["generate"]}
        small_file.write_record(self.path, self.state)

    def _places(self, service, matrices):
        """(placements of a service that are known, why others are not). What was measured was measured with a plan: it is kept with the results."""
        if service["device"] == "cpu":
            return {}, {}
        cards, kept = cards_by("memory.total"), self.state["plans"].setdefault(service["name"], {})
        made_for = {name: placement.identity(service, place, self.plan["image"], service["weights"], cards, service["free"])
                    for name, place in service["placements"].items() if placement.is_planned(place)}
        if any(kept[name]["made_for"] != made_for.get(name) for name in kept):
            self._forget([service["name"]])
            kept.clear()
        missing = {name: place for name, place in service["placements"].items() if name in made_for and name not in kept}
        found, failed = planned(self.plan, service, missing, matrices, self.deadline)
        kept.update({name: {"made_for": made_for[name], "placement": place} for name, place in found.items()})
        known = {name: kept[name]["placement"] if name in kept else place for name, place in service["placements"].items() if name not in failed}
        return known, failed

    def _runs(self, name):
        done = subprocess.run(["docker", "inspect", "--format", "{{.State.Running}}", name], capture_output=True, text=True, check=False)
        return done.stdout.strip() == "true"

    def sweep(self):
        """Measures until nothing is left to be measured, or no time for it.

        :returns: why it ended.
        """
        results = self.state["results"]
        while True:
            step = sweep.next_step(self.world, results, self.skipped)
            if step is None:
                return "no time for %d more" % len(self.skipped) if self.skipped else "everything was measured"
            seconds = sweep.estimate(self.world, results, step)
            if time.monotonic() + seconds > self.deadline:
                self.skipped.add(sweep.key(step))
                continue
            try:
                if step["kind"] == "alone":
                    found = measure_alone(self.plan, self.world, step, self.deadline)
                elif step["kind"] == "served":
                    found = measure_served(self.plan, self.world, step, self.deadline)
                else:
                    found = measure_together(self.plan, self.world, results, step, self.deadline)
            except OutOfTime:
                remove_containers()
                return "the time was over within a measurement, which does not count"
            # Somebody else was at work: what that left is no measure of these settings. Once more, and the calmer one counts.
            if step["kind"] == "alone" and unsteady(found) and time.monotonic() + found["seconds"] + TIDY < self.deadline:
                try:
                    found = calmer(found, measure_alone(self.plan, self.world, step, self.deadline))
                except OutOfTime:
                    remove_containers()
            results.append(dict(found, estimated=round(seconds, 1), date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))
            small_file.write_record(self.path, self.state)
            self.say("%d: %s: %s" % (len(results), titled(step), told(found)))

    def conclude(self, ended):
        """What is best, and where it stands: written into the state."""
        chosen = sweep.chosen(self.world, self.state["results"], self.plan["serve"])
        services = {}
        for service in self.world["services"]:
            found = chosen.get(service["name"])
            if not found:
                continue
            if service["device"] == "cpu":
                place = roofline.placed(found["alone"]["mean"], service["per_token"], self.state["bandwidth"], service["bytes"], self.host["cache"])
            else:
                place = {"limit": None, "percent": None, "reason": "a part of its weights is read from VRAM, whose bandwidth is another"}
            found["settings"]["plan"] = self.state["plans"].get(service["name"], {}).get(found["settings"]["placement"], {})
            services[service["name"]] = dict(found, model=service["hash"], model_name=service["model"], bytes=service["bytes"],
                                             per_token=service["per_token"], roofline=place)
        date = time.strftime("%Y-%m-%d", time.gmtime())
        for name, one in services.items():
            one["evidence"] = evidence(name, one, [other for other in services if other != name], date)
        self.state["result"] = {"date": date, "host": self.host["fingerprint"], "image": self.plan["image"], "image_tag": self.plan["image_tag"],
                                "serve": self.plan["serve"], "bandwidth": self.state["bandwidth"], "cache": self.host["cache"], "services": services,
                                "left_out": self.state["left_out"], "ended": ended, "seconds": round(time.monotonic() - self.begun)}
        small_file.write_record(self.path, self.state)
        for name, one in services.items():
            print("%s: %s" % (name, one["evidence"]), flush=True)
        for name, reason in self.state["left_out"].items():
            print("%s: not measured: %s" % (name, reason), flush=True)
        self.say("%s: %d measurements in %d s" % (ended, len(self.state["results"]), self.state["result"]["seconds"]))


def evidence(name, found, others, date):
    """A choice with its reason, in one sentence."""
    settings, alone = found["settings"], found["alone"]
    words = "%s by %d measurements: %d threads on %s" % (
        date, found["measurements"], settings["threads"], "CPUs " + settings["cpuset"] if settings["cpuset"] else "all CPUs")
    if settings["placement"]:
        words += ", placement " + settings["placement"]
    words += ", best alone %.1f ± %.1f tok/s" % (alone["mean"], alone["deviation"])
    if found["noise"]["generation"] is not None:
        words += " (repeats lie up to %.0f %% apart)" % (100 * found["noise"]["generation"])
    if found["together"]:
        words += ", %.1f ± %.1f while %s generates too" % (found["together"]["mean"], found["together"]["deviation"], " and ".join(others))
    if found["speculation"]:
        words += "; " + speculation.told(settings["speculation"], found["speculation"])
    place = found["roofline"]
    return words + (", %.0f %% of the measured memory bandwidth" % place["percent"] if place["percent"] else "; no share of the bandwidth: " + place["reason"])


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def main(plan_path, state_path):
    with open(plan_path, encoding="utf-8") as stream:
        plan = json.load(stream)
    os.makedirs(os.path.dirname(state_path), mode=0o755, exist_ok=True)
    with open(state_path + ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Another measurement runs on this host.", flush=True)
            return 3
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(one, interrupted)
        remove_containers()
        try:
            bench = Bench(plan, state_path)
            bench.prepare()
            bench.conclude(bench.sweep())
        finally:
            remove_containers()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

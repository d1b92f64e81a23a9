# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers in which llama-bench, llama-fit-params and llama-server run for a measurement, hardened as a service's own and without any network."""
# pylint: disable=ansible-bad-function  # a program by itself: there is no module whose functions it could call
from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from ... import local_http, model_files, placement
from ...engine import container
from ...throughput import speculation, tuning

LABEL = "protocol_omni.bunker.bench"
NAME = "protocol-omni-bench-%s"
RUN = re.compile(r"generation run (\d+)/\d+")


APPEARS = 20  # seconds that the engine is given to make the container that its client has asked for

_clients = []  # of the engine: each is to make a container, or follows one
_state = {"begins": False, "ended_by": 0}


class OutOfTime(Exception):
    """The budget ended within a measurement."""


def interrupted(number, _frame):
    """Handler of the signals that end the program: never between the start of a client and its entry among those known, and once."""
    if _state["ended_by"]:
        return  # it ends already, and what it removes it removes whole
    _state["ended_by"] = number
    if not _state["begins"]:
        raise SystemExit(128 + number)


def _begin(words):
    """A client of the engine, known to :func:`remove_containers`; its output and errors are pipes of text."""
    _state["begins"] = True
    try:
        # A session of its own: a signal to this program reaches this program first, which then removes the container.
        _clients.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True))
    finally:
        _state["begins"] = False
    if _state["ended_by"]:
        raise SystemExit(128 + _state["ended_by"])
    return _clients[-1]


def remove_containers():
    """Removes the containers of measurements: this program's own, also one that the engine is only about to make, or what one that was killed left."""
    end = time.monotonic() + APPEARS
    _remove_present()
    while any(client.poll() is None for client in _clients) and time.monotonic() < end:  # a client ends when its container is gone
        time.sleep(0.1)
        _remove_present()
    for client in _clients:
        if client.poll() is None:  # no container of it was seen, and it is not to make one any more
            client.kill()
            client.wait()
            _remove_present()
    del _clients[:]


def _remove_present():
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
        self.process = _begin(words)
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


def _beside_weights(service):
    """What of a card a projector and adapters take, as model_files tells it."""
    named = [{"name": name, "role": role} for role, names in service.get("besides", {}).items() for name in names]
    return model_files.beside_weights(named, lambda entry: os.path.getsize(os.path.join(service["folder"], entry["name"])))


def planned(plan, service, places, matrices, deadline):
    """(name to placement, name to why there is none) of placements that llama-fit-params has to plan, on cards that no service of this host holds.

    :param matrices: bytes of each matrix of experts (model_memory.expert_matrices).
    """
    found, failed, ended = {}, {}, {"code": 0, "errors": ""}

    def fit(place, kept):
        words = placement.fit_command(service, place, service["folder"], service["files"][0], plan["image"], plan["cdi_kind"], kept)
        words[2:2] = ["--name", NAME % service["name"], "--label", LABEL]
        client = _begin(words)
        out, errors = client.communicate(timeout=max(deadline - time.monotonic(), 1))
        ended.update(code=client.returncode, errors=errors.strip()[-300:])
        return out, errors
    for name, place in places.items():
        try:
            found[name] = placement.planned(place, service["free"], fit, cards_by("memory.free"), matrices, _beside_weights(service))
        except subprocess.TimeoutExpired:
            failed[name] = "no time for llama-fit-params"
        except ValueError as error:
            failed[name] = "%s (exit status %d: %s)" % (error, ended["code"], ended["errors"])
    remove_containers()
    return found, failed


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

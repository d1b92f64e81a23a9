# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role inference_service, judged. Pure functions.

Their sentences stand in roles/inference_service/vars/claims.yml; the modules service_info and cuda_readiness look.
"""
from __future__ import annotations

import json
import os

from .. import speed_noise
from ..llama import kinds, proof
from .rows import not_applying, row

SEAL_UNIT = "protocol-omni-seal.service"
FIGURES = ("memory", "generation_speed", "prompt_speed")
HARDENING = {"user": "65532:65532", "read_only": True, "dropped": "ALL", "added": "", "security": "no-new-privileges", "privileged": False, "pids": 4096,
             "models_writable": [False]}
# What a placement says, as llama-server takes it.
PLACED = (("--n-gpu-layers", "gpu_layers"), ("--tensor-split", "tensor_split"), ("--split-mode", "split_mode"), ("--load-mode", "load_mode"))


def results(wanted, seen):
    """Each claim of a service with what was expected and observed of it.

    :param wanted: dict of ``service`` (complete definition, with the placement that it has), ``tuning`` (of throughput/tuning.py's tune()), ``file`` (its
        model's first), ``rung`` (number), ``placement`` (in words), ``placed`` (where the placement is from, as gpu_placement says it), ``width`` (numbers of a
        vector by its model's header, 0 where that does not say), ``cores`` (physical ones of the host), ``speed_bound`` (percent, 0 for no measurement)
        and ``damaged`` (what of its host's memory cannot be read, sentences).
    :param seen: what service_info returned, and ``readiness`` (what cuda_readiness did; of no account on the CPU).
    :returns: dict of claim id to observation, as module claim takes them.
    """
    found = {}
    for judge in (_of_answers, _of_definition, _of_placement, _of_tuning, _of_networks, _of_container, _of_figures):
        found.update(judge(wanted, seen))
    return {"SERVICE." + name: result for name, result in found.items()}


def _value(words, option):
    """The word after an option, "" where the command line has none."""
    return words[words.index(option) + 1] if option in words[:-1] else ""


def _from(words, option, otherwise):
    """The rest of a command line from an option on."""
    return " ".join(words[words.index(option):]) if option in words else otherwise


def _ends_with(words, last):
    return bool(last) and words[-len(last):] == last


def _contains(words, some):
    """Whether these words stand in the command line, side by side."""
    return any(words[place:place + len(some)] == some for place in range(len(words) - len(some) + 1))


def _kind(wanted):
    return wanted["service"].get("kind") or kinds.CHAT


def _of_answers(wanted, seen):
    served = os.path.basename(seen["model_path"])
    statuses = [door["status"] for door in seen["doors"]]
    origins = sorted({door["origin"] for door in seen["doors"] if door["origin"]})
    return {
        "answers": row(*proof.verdict(_kind(wanted), seen["answer"], dict(wanted["service"], width=wanted.get("width", 0)))),
        "model": row(wanted["file"], served or "no model", served == wanted["file"]),
        "shut": row("/ and /slots refused, /health answers, allowed origin none",
                    "%s, allowed origin %s" % (", ".join(map(str, statuses)), ", ".join(origins) or "none"),
                    all(status in (403, 404, 501) for status in statuses[:2]) and statuses[2:] == [200] and set(origins) <= {"none"})}


def _of_definition(wanted, seen):
    """Which definition it runs with, and who runs it."""
    unit, made_by, resolved, words = seen["unit"], seen["container"]["definition"], seen["resolved"], seen["process"]["arguments"]
    runs, restart = "%(state)s %(enabled)s" % unit, seen["container"]["restart"]
    told = runs.strip() or "not observed, systemctl tells nothing"
    return {
        "current": row("definition %s, as its unit is written" % (unit["definition"] or "of a unit"), "definition %s" % (made_by or "unknown"),
                       made_by and made_by == unit["definition"]),
        "rung": row("rung %s, with the arguments of its resolved service" % wanted["rung"],
                    "; ".join([*wanted.get("damaged", []), "rung %s" % ("%(rung)s, %(name)s" % resolved if resolved else "unknown, it has no resolved service"),
                               "it runs with %s" % _from(words, "--ctx-size", "other arguments")]),
                    resolved and resolved["rung"] == wanted["rung"] and _ends_with(words, resolved["arguments"]) and not wanted.get("damaged")),
        "supervised": row("active enabled, Docker's restart policy no", "%s, Docker's restart policy %s" % (told, restart),
                          runs == "active enabled" and restart == "no")}


def _of_placement(wanted, seen):
    service, process, on_gpu = wanted["service"], seen["process"], wanted["service"]["device"] == "gpu"
    missing = [gpu for gpu in service["gpus"] if gpu not in seen["gpus"]]
    observed = "%s; devices: %s; libcuda: %s" % (
        "no CUDA_VISIBLE_DEVICES" if process["visible_devices"] is None else "CUDA_VISIBLE_DEVICES=%s" % process["visible_devices"],
        " ".join(process["devices"]) or "none", " ".join(process["libcuda"]) or "not mapped")
    if on_gpu and not process["backend"]:
        observed += "; libggml-cuda not mapped: it computes on the CPU"  # llama.cpp loads its backends at run time, and stays healthy without one
    if missing:
        observed += "; nvidia-smi does not show it on %s" % ", ".join(missing)
    there = [bool(process[what]) == on_gpu for what in ("devices", "libcuda")] + [bool(process["backend"]) or not on_gpu]
    found = {"placement": row(wanted["placement"], observed, process["visible_devices"] == ",".join(service["gpus"]) and all(there) and not missing)}
    if not on_gpu:
        return dict(found, placed=not_applying("it computes on the CPU (SERVICE.placement)"),
                    libcuda=not_applying("it computes on the CPU and has none mapped (SERVICE.placement)"))
    return dict(found, placed=_placed(wanted, process["arguments"]), libcuda=_libcuda(seen["readiness"]))


def _placed(wanted, words):
    service = wanted["service"]
    options = [(option, str(service[key])) for option, key in PLACED if service[key]]
    overrides, found = ",".join(service["tensor_overrides"]), _value(words, "--override-tensor")
    observed = "%s; %s" % (wanted["placed"], _from(words, "--n-gpu-layers", "no layers named"))
    if overrides:
        observed += ", --override-tensor %s" % found if found else ", no --override-tensor"
    return row(
        "%s: %s" % (wanted["tuning"]["placement"], " ".join([*("%s %s" % pair for pair in options), overrides]).strip()), observed,
        # A rung of the ladder may have added overrides of its own behind those of the placement.
        wanted["placed"] != "open" and all(_value(words, option) == value for option, value in options)
        and (not overrides or (found + ",").startswith(overrides + ",")))


def _libcuda(readiness):
    mapped = readiness["mapped"]
    others = [found["reason"] for found in readiness["libcuda"] if found["origin"] != "host_driver"]
    return row("%s, and no other" % (readiness["host"]["kernel_module"] or "the version of a kernel module"),
               "; ".join([", ".join("%(path)s: %(origin)s" % found for found in mapped) or "none mapped", *others]),
               mapped and all(found["origin"] == "host_driver" for found in mapped) and not others)


def _of_tuning(wanted, seen):
    tuning, words = wanted["tuning"], seen["process"]["arguments"]
    threads, way = _value(words, "--threads"), tuning["speculation"]
    speculates = any(word.startswith("--spec-") for word in words)
    said = "threads %s, CPUs %s, batch %s, speculation %s"
    expected = said % (tuning["threads"], tuning["cpuset"] or "all", tuning["batch"], way)
    observed = said % (threads or "none", seen["container"]["cpuset"] or "all", _value(words, "--batch-size") or "none",
                       way if speculates == (way != "none") else "as it should not be")
    return {
        "threads": row("%s (%s physical cores)" % (tuning["threads"], wanted["cores"]), "--threads %s" % threads if threads else "no --threads",
                       threads == str(tuning["threads"])),
        "tuned": not_applying(tuning["evidence"]) if tuning["origin"] == "inventory" else row(
            "%s - %s" % (expected, tuning["evidence"]), "%s - %s" % (observed, tuning["evidence"]),
            observed == expected and _contains(words, tuning["arguments"])),
        "kept_speed": _kept_speed(wanted["speed_bound"], seen["last_speed"], seen["unit"]["definition"])}


def _kept_speed(bound, last, definition):
    if not bound:
        return not_applying("the inventory has it measured after no deployment (inference_service_speed_bound 0)")
    if last.get("definition") != definition:
        return not_applying("it was not measured since its deployment")
    against = "%s (%s)" % (_told(last["against"]), last["since"]) if last.get("against") else "nothing yet: this was the first measurement"
    changed = "; changed since: %s" % "; ".join(last["changed"]) if last.get("changed") else ""
    return row("%s %% of %s" % (last["bound"], against), _told(last["speeds"]) + changed, last["holds"])


def _told(speeds):
    """Speeds in words; a service that generates nothing has one."""
    if "generation" not in speeds:
        return "%(prompt).1f tok/s read" % speeds
    return "%(generation).1f tok/s generation, %(prompt).1f prompt" % speeds


def _way_back(service, found):
    """What puts a container right whose networks are not the inventory's; "" where they are."""
    wanted = {network["name"]: network["address"] for network in service["networks"]}
    if any(found.get(name) != address for name, address in wanted.items()):
        return ". Run site.yml, which makes the container anew; or: systemctl restart protocol-omni-%s" % service["name"]
    commands = ["docker network disconnect %s %s" % (name, service["name"]) for name in sorted(set(found) - set(wanted))]
    return ". Disconnect it, or run site.yml: %s" % "; ".join(commands) if commands else ""


def _of_networks(wanted, seen):
    service = wanted["service"]
    networks = sorted("%(name)s %(address)s" % network for network in service["networks"])
    found = sorted("%s %s" % place for place in seen["container"]["networks"].items())
    ports = ["%s:%d" % (service["address"], service["port"])] if service["address"] else []
    rows = {
        "networks": row(", ".join(networks), (", ".join(found) or "none") + _way_back(service, seen["container"]["networks"]), networks == found),
        "port": row(", ".join(ports) or "none", ", ".join(seen["container"]["ports"]) or "none", ports == seen["container"]["ports"])}
    if not service["sealed"]:
        unsealed = not_applying("the inventory lets this service initiate connections (sealed is false)")
        return dict(rows, isolated=unsealed, sealed_inside=unsealed)
    attempts, failing = seen["egress"]["attempts"], seen["egress"]["failing"]
    tried = [attempt for attempt in attempts if not attempt["does_not_apply"]]
    bound = SEAL_UNIT if SEAL_UNIT in seen["unit"]["binds_to"] else ""
    inside = " ".join(seen["inside"]).replace('"', "")
    rows["isolated"] = row("attempts as expected", "not observed: %s" % seen["egress"]["why"], False) if seen["egress"]["why"] else row(
        "%d attempts as expected" % len(tried),
        "%d of %d; %s" % (len(tried) - len(failing), len(tried), "; ".join("%(attempt)s · %(network)s · %(observed)s" % attempt for attempt in failing)
                          or "%d do not apply" % (len(attempts) - len(tried))),
        tried and seen["egress"]["isolated"])
    rows["sealed_inside"] = row(
        "its namespace drops what it initiates; bound to %s" % SEAL_UNIT, "%s; bound to %s" % (inside or "no table in its namespace", bound or "nothing"),
        inside == "oifname lo accept counter drop" and bound)
    return rows


def _of_container(_wanted, seen):
    hardening = seen["container"]["hardening"]
    return {"hardened": row(json.dumps(HARDENING), json.dumps(hardening), hardening == HARDENING)}


def _speed(wanted, seen, what, figure):
    """A speed with its noise: it fails where all of its interval is under the figure, and nobody else was at work."""
    samples = (seen.get("samples") or {}).get(what) or [seen["speeds"][what]]
    mean, half = speed_noise.interval(samples)
    said = "%s tok/s" % round(mean, 1) if len(samples) < 2 else "%.1f ± %.1f tok/s (%d measurements, 95 %%)" % (mean, half, len(samples))
    holds = round(mean + half, 1) >= figure
    slow, fast = mean + half < speed_noise.LEAST * figure, mean - half >= figure  # whatever the noise, and whoever else is at work
    if half > speed_noise.LARGEST * mean and not slow and not fast:
        return not_applying("not measurable now: %s are too far apart" % said)
    crowded = speed_noise.crowded(seen.get("others"), int(wanted["tuning"]["threads"]) if wanted["service"]["device"] == "cpu" else 0)
    if crowded and not holds and not slow:
        return not_applying("not measurable now: %s, while %s. Run verify.yml again when they have ended" % (said, crowded))
    return row("at least %s tok/s" % figure, "%s (%s, %s)" % (said, wanted["service"]["model"], wanted["placement"]), holds)


def _of_figures(wanted, seen):
    service, figures = wanted["service"], wanted["service"]["expected"]
    memory = round(seen["process"]["memory"] / 1e9, 2)
    rows = {"memory": row("at most %s GB" % figures["memory"], "%s GB (%s)" % (memory, service["model"]), memory <= figures["memory"])}
    for name, what in (("generation_speed", "generation"), ("prompt_speed", "prompt")):
        if seen["speeds"][what] is None:
            rows[name] = not_applying("it refuses what it is measured by: %s" % seen["speeds"]["why"] if seen["speeds"].get("why")
                                      else "its kind is %s: it generates nothing" % _kind(wanted))
            continue
        rows[name] = _speed(wanted, seen, what, figures[name])
    return {name: rows[name] if figures[name] else not_applying("the inventory claims no figure for this service") for name in FIGURES}

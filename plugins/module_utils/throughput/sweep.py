# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to measure next: coordinate descent, coarse to fine. Pure functions.

One stage after the other, each with all services in their turn; what a stage finds best stands in the next ones. What is next follows from what is
known, so an interrupted sweep goes on where it was, and one that is stopped leaves the best of what it has seen.

Settings of a service are a dict of ``threads``, ``cpuset`` and ``mems`` (lists of CPUs and NUMA nodes, "" for all), ``strict`` (each thread on a CPU of its
own), ``numa`` (llama.cpp's ``--numa``, "" for none), ``batch``, ``micro_batch``, ``flash_attn``, ``kv_type``, ``speculation`` (a way's name, or "none") and
``placement`` (a name, "" on the CPU).
What is computed is ``work``: tokens of a ``prompt``, tokens to ``generate``, and the ``depth`` of context before either; answers to ``prompts`` (how many, in
how many ``rounds``) with so many tokens at most.

A world is a dict of ``cpus`` (topology.parse()), ``node_memory`` (bytes a node), ``bandwidth`` (bytes a second), ``repetitions``, ``prompt``, ``generate``,
``together`` (seconds for which services generate at once) and ``services``: each with ``name``, ``fixed`` (what the inventory decides: ``threads``,
``cpuset``, ``batch``, ``speculation``), ``micro_batch``, ``bytes``, ``per_token``, ``ways`` (of speculation that it could take, "none" first), ``prompts``
(how many), ``placements`` (name to placement, module placement; {} on the CPU).
"""
from __future__ import annotations

import json
import math

from . import choice, rule, speculation, topology

# Stages in their order, and which speed decides: pinning and threads for generation, batches for prompts, which alone are read in batches.
STAGES = (("placement", "generation"), ("threads", "generation"), ("pinning", "generation"), ("together", "generation"), ("batch", "prompt"),
          ("micro_batch", "prompt"), ("flash_attn", "generation"), ("kv_type", "generation"), ("speculation", "generation"))
STEADY = ("pinning", "batch", "flash_attn", "speculation")  # before these the very first measurement is made once more
PLACEMENT = ("threads", "cpuset", "mems", "strict", "numa")
LONG_PROMPT = 1024  # tokens, so that batches below it differ
DEPTH = 512  # tokens of context, without which attention and its cache cost nothing
BATCHES, MICRO_BATCHES = (rule.BATCH, 1024, 512, 256), (512, 256, 128, 1024)
FLASH_ATTENTION, KV_TYPES = ("auto", "on", "off"), ("f16", "q8_0")
FINEST = 12  # of all cores: a twelfth more or less is not looked into
MARGIN = 1.25  # what is estimated is multiplied by it
ROUNDS, ANSWER = 3, 96  # in which all sample prompts are answered, and tokens of an answer at most
PATIENCE = 3  # times the seconds for which services generate at once, where one is so slow that few of its runs end


def key(step):
    """What tells one measurement from another."""
    return json.dumps([step["kind"], step.get("service"), step["settings"], step["work"]], sort_keys=True)


def first_settings(world, service):
    """Those before anything was measured alone: all physical cores, or what the inventory fixes."""
    fixed, cores = service["fixed"], topology.physical(allowed(world, service))
    return {"threads": fixed.get("threads") or len(cores), "cpuset": fixed.get("cpuset") or "", "mems": "", "strict": False, "numa": "",
            "batch": fixed.get("batch") or rule.BATCH, "micro_batch": service["micro_batch"], "flash_attn": "auto", "kv_type": "f16",
            "speculation": speculation.OFF, "placement": next(iter(service["placements"]), "")}


def allowed(world, service):
    """The CPUs that a service may have: those that the inventory names, else all."""
    cpuset = service["fixed"].get("cpuset")
    return [cpu for cpu in world["cpus"] if not cpuset or cpu["cpu"] in topology.expanded(cpuset)] or world["cpus"]


def work_of(world, stage):
    """What a stage computes."""
    if stage in ("batch", "micro_batch"):
        return {"prompt": LONG_PROMPT, "generate": 0, "depth": 0}
    if stage in ("flash_attn", "kv_type"):
        return {"prompt": 0, "generate": world["generate"], "depth": DEPTH}
    return {"prompt": world["prompt"] if stage in ("placement", "threads") else 0, "generate": world["generate"], "depth": 0}


def coarse_threads(cpus):
    """Numbers of threads to begin with: physical cores, half of them, those of a NUMA node and of a CCD, two a CCD, all SMT siblings."""
    cores, nodes, ccds = topology.physical(cpus), topology.nodes(cpus), topology.ccds(cpus)
    counts = [len(cores), math.ceil(len(cores) / 2)]
    if len(nodes) > 1:
        counts.append(len(nodes[0]))
    if len(ccds) > 1:
        counts += [len(ccds[0]), 2 * len(ccds)]
    counts.append(len(cpus))
    return list(dict.fromkeys(min(count, len(cpus)) for count in counts))


def finer_threads(cpus, measured):
    """Between the best number and its neighbours, until they are near.

    :param measured: measurements of other numbers.
    """
    found = choice.best(measured)
    if not found:
        return []
    best, numbers = found["settings"]["threads"], sorted({one["settings"]["threads"] for one in measured})
    place, least = numbers.index(best), max(len(topology.physical(cpus)) // FINEST, 1)
    beside = numbers[max(place - 1, 0):place] + numbers[place + 1:place + 2]
    return [(best + other) // 2 for other in beside if abs(best - other) > least]


def pinnings(world, service, standing):
    """Ways to place the threads, the simplest first."""
    cpus, count = world["cpus"], standing["threads"]
    found = [standing]
    if "cpuset" in service["fixed"]:
        return found + [dict(standing, strict=True)] if count <= len(topology.physical(allowed(world, service))) else found
    if count <= len(topology.physical(cpus)):
        spread, packed = topology.spread(cpus, count), topology.packed(cpus, count)
        for part in [spread, packed]:
            if len(part) < len(cpus):
                found.append(dict(standing, cpuset=topology.listed(part)))
        whole = len(spread) == len(cpus) and spread == list(range(len(spread)))  # what "" stands for where threads are bound (tuning.strict_cpus)
        found.append(dict(standing, cpuset="" if whole else topology.listed(spread), strict=True))
        node = (topology.nodes_of(cpus, packed) or [0])[0]
        if len(topology.nodes(cpus)) > 1 and len(topology.nodes_of(cpus, packed)) == 1 and service["bytes"] * 1.5 < world["node_memory"].get(str(node), 0):
            found.append(dict(standing, cpuset=topology.listed(packed), mems=str(node)))
    if len(topology.nodes(cpus)) > 1:
        found.append(dict(standing, numa="distribute"))
    return [one for place, one in enumerate(found) if one not in found[:place]]


def candidates(world, service, stage, standing, results):
    """Settings that a stage compares, the simplest first. A stage that the inventory has decided has none."""
    fixed = service["fixed"]
    if stage == "placement":
        return [dict(standing, placement=name) for name in service["placements"]] if len(service["placements"]) > 1 else []
    if stage == "threads":
        if fixed.get("threads"):
            return [standing]
        cpus = allowed(world, service)
        coarse = [dict(standing, threads=count) for count in coarse_threads(cpus)]
        known = _known(service, standing, work_of(world, stage), results)
        if any(one["threads"] not in {found["settings"]["threads"] for found in known} for one in coarse):
            return coarse
        numbers = sorted({found["settings"]["threads"] for found in known} - {one["threads"] for one in coarse})
        finer = finer_threads(cpus, [found for found in known if found.get("generation")])
        return coarse + [dict(standing, threads=count) for count in dict.fromkeys(numbers + finer)]
    if stage == "pinning":
        return pinnings(world, service, standing)
    if stage == "batch":
        return [] if fixed.get("batch") else [dict(standing, batch=size) for size in BATCHES]
    if stage == "micro_batch":
        return [standing] + [dict(standing, micro_batch=size) for size in MICRO_BATCHES if size != standing["micro_batch"] and size <= standing["batch"]]
    if stage == "flash_attn":
        return [dict(standing, flash_attn=mode) for mode in FLASH_ATTENTION]
    # A quantised cache of values wants flash attention.
    return [dict(standing, kv_type=kind, flash_attn=standing["flash_attn"] if kind == "f16" else "on") for kind in KV_TYPES]


def _known(service, standing, work, results):
    """Measurements of a service alone that differ from what stands in the number of threads at most, whatever stage made them."""
    return [found for found in results if found["kind"] == "alone" and (found["service"], found["work"]) == (service["name"], work)
            and found["stage"] != "steady" and dict(found["settings"], threads=0) == dict(standing, threads=0)]


def standing_at(world, service, results, stage=None):
    """The settings of a service alone that are best by what is known, before a stage; None for the end.

    Micro-batch, flash attention and the type of the cache are measured and told; a stage of theirs changes what stands within the sweep alone.
    """
    standing = first_settings(world, service)
    for name, what in STAGES:
        if name == stage:
            break
        if name == "speculation":
            standing = dict(standing, speculation=speculation.best(_served(service, standing, results))[0])
        elif name != "together":
            options, work = candidates(world, service, name, standing, results), work_of(world, name)
            by_key = {key(found): found for found in results}
            measured = [by_key[one] for one in (key(_alone(service, name, option, work)) for option in options) if one in by_key]
            found = choice.best(measured, what)
            standing = found["settings"] if found else standing
    return standing


def ways(service, standing):
    """Steps that measure ways of speculation, each beside none; [] where there is no way or the inventory has decided."""
    if not service["prompts"] or "speculation" in service["fixed"]:
        return []
    # What is measured and told only does not stand here: the service will run with its own.
    work = {"prompts": service["prompts"], "rounds": ROUNDS, "generate": ANSWER}
    settings = {name: standing[name] for name in PLACEMENT + ("batch", "placement")}
    return [{"kind": "served", "service": service["name"], "stage": "speculation", "settings": dict(settings, speculation=name), "work": work}
            for name in service["ways"] if name != speculation.OFF]


def _served(service, standing, results):
    """Results of :func:`ways` that did not fail: name to (answers, answers without it)."""
    by_key = {key(found): found for found in results if not found.get("failed")}
    found = [by_key[one] for one in (key(step) for step in ways(service, standing)) if one in by_key]
    return {one["settings"]["speculation"]: (one["answers"], one["without"]) for one in found}


def speculated(service, standing, results):
    """How each measured way compares with none (speculation.best())."""
    return speculation.best(_served(service, standing, results))[1]


def _alone(service, stage, settings, work):
    return {"kind": "alone", "service": service["name"], "stage": stage, "settings": settings, "work": work}


def arrangements(world, results):
    """Ways to place all services at once: each as is best for it alone; on disjoint cores in equal parts; the first with three quarters, then the last."""
    services = world["services"]
    if len(services) < 2:
        return []
    alone = [standing_at(world, service, results, "together") for service in services]
    weights = [[1] * len(services)]
    if len(services) == 2:
        weights += [[3, 1], [1, 3]]
    found = [alone]
    for weight in weights:
        parts = topology.shares(world["cpus"], weight)
        if parts:
            found.append([_in_part(service, settings, part, world) for service, settings, part in zip(services, alone, parts)])
    steps = [{"kind": "together", "stage": "together", "settings": {service["name"]: one for service, one in zip(services, settings)},
              "work": work_of(world, "together")} for settings in found]
    return [step for place, step in enumerate(steps) if step not in steps[:place]]


def _in_part(service, settings, part, world):
    """A service's settings on its part of the cores; what the inventory fixes stays."""
    if "cpuset" in service["fixed"] or (service["fixed"].get("threads") or 0) > len(part):
        return settings
    return dict(settings, threads=service["fixed"].get("threads") or len(part), cpuset=topology.listed(part) if len(part) < len(world["cpus"]) else "",
                mems="", strict=False, numa="")


def next_step(world, results, skipped=frozenset()):
    """The next measurement, or None at the end.

    :param results: measurements so far: steps with what was found, or with ``failed``.
    :param skipped: keys of steps that there was no time for.
    :returns: a step: ``kind`` alone, together or served (by llama-server), ``service``, ``stage``, ``settings`` (together: service to settings), ``work``.
    """
    done = {key(found) for found in results} | set(skipped)
    for stage, _what in STAGES:
        if stage == "together":
            steps = arrangements(world, results)
        elif stage == "speculation":
            steps = [step for service in world["services"] for step in ways(service, standing_at(world, service, results, stage))]
        else:
            steps = [_alone(service, stage, settings, work_of(world, stage)) for service in world["services"]
                     for settings in candidates(world, service, stage, standing_at(world, service, results, stage), results)]
        for step in again(world, stage) + steps if steps else []:
            if key(step) not in done:
                return step
    return None


def again(world, stage):
    """Steps that repeat each service's first measurement, before a stage: how far they lie apart is what two measurements minutes apart are worth."""
    if stage not in STEADY:
        return []
    return [_alone(service, "steady", first_settings(world, service), dict(work_of(world, "threads"), turn=STEADY.index(stage) + 1))
            for service in world["services"]]


def noise(world, service, results):
    """{"generation", "prompt"}: choice.repeatability() of a service's first measurement and its repetitions."""
    mine = [found for found in _of(service, results) if found["settings"] == first_settings(world, service)
            and {name: found["work"][name] for name in ("prompt", "generate", "depth")} == work_of(world, "threads")]
    return {what: choice.repeatability([found[what]["mean"] for found in mine if found.get(what)]) for what in ("generation", "prompt")}


def estimate(world, results, step):
    """Seconds that a step will take, by what its service has shown so far; by the roofline before that."""
    if step["kind"] == "together":
        return MARGIN * (PATIENCE / 2 * world["together"] + max(_overhead(service, results) for service in world["services"]))
    service = next(one for one in world["services"] if one["name"] == step["service"])
    generation, prompt = (speed(world, service, results, step["settings"]["threads"], what) for what in ("generation", "prompt"))
    work, times = step["work"], world["repetitions"] + 1
    if step["kind"] == "served":
        return 2 * MARGIN * (_overhead(service, results) + (work["rounds"] * work["prompts"] + 1) * (work["generate"] / generation + LONG_PROMPT / 10 / prompt))
    return MARGIN * (_overhead(service, results) + times * ((work["prompt"] + work["depth"]) / prompt + work["generate"] / generation))


def _of(service, results):
    return [found for found in results if found["kind"] == "alone" and found["service"] == service["name"] and not found.get("failed")]


def _overhead(service, results):
    known = [found["overhead"] for found in _of(service, results)]
    return max(known[-3:]) if known else 3 + service["bytes"] / 1e9


def speed(world, service, results, threads, what):
    known = [found for found in _of(service, results) if found.get(what)]
    if not known:
        guess = 0.3 * (world["bandwidth"] or 1e10) / (service["per_token"] or service["bytes"] or 1e9)
        return max(guess * (1 if what == "generation" else 3), 0.01)
    near = min(known, key=lambda found: abs(found["settings"]["threads"] - threads))
    return max(near[what]["mean"] * min(threads / near["settings"]["threads"], 1.0), 0.01)


def chosen(world, results, serve="together"):
    """What is best by all that was measured.

    :param serve: "together" takes the placement that leaves most of all services' speed while all of them generate; "alone" each one's own best.
    :returns: dict of service to ``settings``, ``alone`` (the summary that is best alone), ``together`` (of the arrangement, or None), ``arrangement``
        (whether the placement is that of an arrangement), ``measurements`` (how many), ``noise`` (relative, of :func:`noise`) and ``speculation`` (name to
        speculation.compared()); services of which nothing was measured are left out.
    """
    found = {}
    for service in world["services"]:
        mine = _of(service, results)
        best = choice.best([one for one in mine if one["work"]["depth"] == 0])
        if best:
            found[service["name"]] = {"settings": standing_at(world, service, results), "alone": best["generation"], "together": None,
                                      "arrangement": False, "measurements": len(mine),
                                      "noise": noise(world, service, results),
                                      "speculation": speculated(service, standing_at(world, service, results, "speculation"), results)}
    steps = {key(step) for step in arrangements(world, results)}
    together = [one for one in results if one["kind"] == "together" and not one.get("failed") and key(one) in steps]
    best = choice.best_arrangement(together, {name: one["alone"] for name, one in found.items()})
    if best and serve == "together":
        for name, settings in best["settings"].items():
            found[name]["settings"] = dict(found[name]["settings"], **{part: settings[part] for part in PLACEMENT})
            found[name].update(together=best["generation"][name], arrangement=True)
    return found

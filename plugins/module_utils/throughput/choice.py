# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of some measurements is best, and whether a difference is more than noise. Pure functions.

A measurement has ``settings`` (module sweep) and, under "generation" and "prompt", tokens per second as llama-bench sampled them.
"""
from __future__ import annotations

import math

# Two means differ where they are further apart than twice the standard error of their difference (about 95 of 100 times by chance they are not).
ERRORS = 2.0
# Nor does less than one percent count: a few samples of a quiet machine may agree by chance to the last digit.
LEAST = 0.01
# What a choice of fewer threads may cost at most, however restless the machine is.
MOST = 0.03
# Student's t for a 95 % interval, by degrees of freedom.
STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57}


def summary(samples):
    """{"mean", "deviation", "samples"} of tokens per second, the deviation as of a sample; None of none."""
    if not samples:
        return None
    mean = sum(samples) / len(samples)
    deviation = math.sqrt(sum((sample - mean) ** 2 for sample in samples) / (len(samples) - 1)) if len(samples) > 1 else 0.0
    return {"mean": mean, "deviation": deviation, "samples": list(samples)}


def noise(one, other):
    """By how many tokens per second two summaries may differ and still be the same."""
    errors = sum(found["deviation"] ** 2 / len(found["samples"]) for found in (one, other))
    return max(ERRORS * math.sqrt(errors), LEAST * max(one["mean"], other["mean"]))


def repeatability(means):
    """By how much, relative to their mean, two measurements of the same may lie apart that are made minutes apart, with 95 % probability.

    What happens on a machine within minutes is not among the samples of one measurement. None for fewer than two.

    :param means: of measurements of the same settings, over the time of a run.
    """
    if len(means) < 2:
        return None
    found = summary(means)
    return STUDENT.get(len(means) - 1, ERRORS) * math.sqrt(2) * found["deviation"] / found["mean"]


def best(measurements, what="generation"):
    """The fastest; of those that are no slower than it but for noise, and by three percent at most, the one with the fewest threads, of these the first.

    :param measurements: list of dicts; those without the figure do not take part. Simple settings come first.
    :param what: "generation" or "prompt".
    :returns: one of them, None of none.
    """
    taking_part = [found for found in measurements if found.get(what)]
    if not taking_part:
        return None
    fastest = max(taking_part, key=lambda found: found[what]["mean"])
    equal = [found for found in taking_part if found is fastest or fastest[what]["mean"] - found[what]["mean"] <= min(
        noise(fastest[what], found[what]), MOST * fastest[what]["mean"])]
    return min(equal, key=lambda found: found["settings"]["threads"])


def score(speeds, alone):
    """How well an arrangement serves all services at once: the geometric mean of what is left of each one's speed alone.

    :param speeds: service to summary, measured together.
    :param alone: service to summary of its best alone.
    :returns: a summary without samples: "mean", and "error" of it; None where one is missing.
    """
    if not speeds or any(not speeds.get(name) or not alone.get(name) for name in speeds):
        return None
    mean = math.exp(sum(math.log(max(speeds[name]["mean"], 1e-9) / alone[name]["mean"]) for name in speeds) / len(speeds))
    relative = [speeds[name]["deviation"] / max(speeds[name]["mean"], 1e-9) / math.sqrt(len(speeds[name]["samples"])) for name in speeds]
    return {"mean": mean, "error": mean * math.sqrt(sum(one ** 2 for one in relative)) / len(speeds)}


def best_arrangement(arrangements, alone):
    """The arrangement of all services that leaves most of their speed; within noise the one with the fewest threads in all, then the first.

    :param arrangements: list of dicts of ``settings`` (service to settings) and ``generation`` (service to summary).
    :param alone: as of :func:`score`.
    """
    scored = [(score(found["generation"], alone), found) for found in arrangements if found.get("generation")]
    scored = [pair for pair in scored if pair[0]]
    if not scored:
        return None
    top = max((pair[0] for pair in scored), key=lambda found: found["mean"])
    equal = [found for rated, found in scored if rated is top or top["mean"] - rated["mean"] <= min(max(
        ERRORS * math.hypot(top["error"], rated["error"]), LEAST * top["mean"]), MOST * top["mean"])]
    return min(equal, key=lambda found: sum(settings["threads"] for settings in found["settings"].values()))

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speculative decoding: which ways a model and an inventory allow, and whether one is faster on this host. Pure functions.

A way is an entry of inference_service_speculations: ``arguments`` (words of llama-server) and ``needs``: "mtp" (the model has a head for multi-token
prediction), "draft_model" (the service names one) or "" (nothing but the text so far). An answer is a dict of ``prompt`` (its number), ``speed`` (tokens per
second of generation), ``tokens``, ``drafted`` and ``accepted`` (tokens).
"""
from __future__ import annotations

import statistics

from .. import gguf

OFF = "none"
LEAST_TOKENS = 8  # of an answer that is compared
LEAST_PAIRS = 6  # with fewer, the interval of the median is the whole range and no more than that
GAIN = 1.02  # what it must win at least: within this, the simpler way stays


def possible(speculations, metadata, draft_model):
    """Names of the ways that a service could take, "none" first.

    :param metadata: scalar metadata of the model's first file.
    :param draft_model: name of the service's draft model, "" for none.
    """
    head = gguf.whole(metadata, ".nextn_predict_layers") or 0
    has = {"mtp": head > 0, "draft_model": bool(draft_model), "": True}
    return [OFF] + [name for name, one in speculations.items() if has[one.get("needs", "")]]


def words(speculations, name, draft_file):
    """Words of llama-server for a way; none for "none".

    :param draft_file: first file of the draft model, which lies in /draft.
    """
    if name == OFF:
        return []
    found = speculations[name]
    return list(found["arguments"]) + (["--spec-draft-model", "/draft/" + draft_file] if found.get("needs") == "draft_model" else [])


def interval(values):
    """(low, high): order statistics that hold the median with 95 % probability (binomial, by its normal approximation)."""
    values, half = sorted(values), 0.98 * len(values) ** 0.5
    return values[max(round(len(values) / 2 - half) - 1, 0)], values[min(round(len(values) / 2 + half), len(values) - 1)]


def compared(answers, without):
    """How much faster a way answers than none, prompt by prompt.

    :param answers: of the way.
    :param without: to the same prompts in the same order, without it.
    :returns: dict of ``ratio`` (median), ``low`` and ``high`` (its 95 % interval), ``pairs``, ``acceptance`` (share of drafted tokens that were taken, None
        where none was drafted) and ``faster``; ``ratio`` is None where too few answers can be compared.
    """
    drafted = sum(one["drafted"] for one in answers)
    found = {"ratio": None, "low": None, "high": None, "acceptance": sum(one["accepted"] for one in answers) / drafted if drafted else None, "faster": False}
    ratios = [one["speed"] / other["speed"] for one, other in zip(answers, without)
              if one["prompt"] == other["prompt"] and min(one["tokens"], other["tokens"]) >= LEAST_TOKENS]
    found["pairs"] = len(ratios)
    if len(ratios) >= LEAST_PAIRS:
        low, high = interval(ratios)
        found.update(ratio=statistics.median(ratios), low=low, high=high, faster=low > 1 and statistics.median(ratios) >= GAIN)
    return found


def best(measured):
    """The way to take: the one that wins most, of those that are faster for sure.

    :param measured: name to (answers, answers without it).
    :returns: (name, dict of name to :func:`compared`).
    """
    against = {name: compared(*answers) for name, answers in measured.items()}
    faster = [name for name, one in against.items() if one["faster"]]
    return max(faster, key=lambda name: against[name]["ratio"], default=OFF), against


def told_one(name, found):
    """A comparison in words."""
    if found["ratio"] is None:
        return "%s: too few answers to compare" % name
    return "%s %.2f times as fast (%.2f to %.2f), %s" % (name, found["ratio"], found["low"], found["high"], (
        "%.0f %% of drafted tokens accepted" % (100 * found["acceptance"])) if found["acceptance"] is not None else "nothing drafted")


def told(name, against):
    """The choice in words."""
    words = [told_one(one, found) for one, found in sorted(against.items())]
    return "speculation %s" % name + (" (%s)" % "; ".join(words) if words else "")

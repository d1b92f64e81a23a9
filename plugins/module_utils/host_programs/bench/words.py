# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements and choices in words."""
from __future__ import annotations

from ...throughput import speculation

UNSTEADY = 0.1  # deviation of a sample relative to the mean, above which a measurement is made once more


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

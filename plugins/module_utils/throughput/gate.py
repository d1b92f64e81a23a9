# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service that was deployed is as fast as it was: its speed against the last good ones of the same host, model and rung. Pure functions.

A record is a dict of ``good`` (list of entries, one an identity) and ``last`` (what the last measurement came to). An entry has ``identity``, ``recent`` (the
last good measurements, :data:`WINDOW` at most), ``speeds`` (the measure that they give), ``inputs`` (name to text: all that a speed may come from) and
``date``. Speeds are "generation" and "prompt" to tokens per second; of a service that generates nothing there is "prompt" alone.
"""
from __future__ import annotations

import statistics

WHAT = ("generation", "prompt")
KEPT = 20  # identities: rungs and models come and go
WINDOW = 5  # measurements: one that was lucky or unlucky is not what all later ones are held against


def entry_of(record, identity):
    """The entry of an identity, or None."""
    return next((entry for entry in record.get("good", []) if entry["identity"] == identity), None)


def of(speeds):
    """Names of the speeds that there are, in the order of :data:`WHAT`."""
    return [what for what in WHAT if what in speeds]


def judge(speeds, entry, bound):
    """How a measurement stands against the last good ones.

    :param speeds: "generation" and "prompt" to tokens per second.
    :param entry: of the same identity, None where there is none.
    :param bound: percent of its ``speeds`` that are enough.
    :returns: dict of ``holds`` and ``percent`` ("generation" and "prompt", {} where there is nothing to compare with).
    """
    percent = {what: 100.0 * speeds[what] / entry["speeds"][what] for what in of(speeds)} if entry else {}
    return {"holds": all(one >= bound for one in percent.values()), "percent": percent}


def changed(then, now):
    """What has changed between two entries' inputs, in words.

    :param then: name to text, of the last good measurement.
    :param now: the same, of what was measured now.
    """
    words = []
    for name in sorted(set(then) | set(now)):
        was, is_now = then.get(name, ""), now.get(name, "")
        if was != is_now:
            words.append("%s was %s and is %s" % (name, was or "not there", is_now or "not there"))
    return words


def options(arguments):
    """Name to text of a command line's options, so that a change is told by its name: ["--threads", "4", "--mlock"] is {"--threads": "4", "--mlock": "set"}."""
    found, name = {}, ""
    for word in arguments:
        # A negative number is a value.
        if word.startswith("-") and not word[1:].replace(".", "", 1).isdigit():
            name = word
            found.setdefault(name, [])
        elif name:
            found[name].append(word)
    return {name: " ".join(words) or "set" for name, words in found.items()}


def noted(record, identity, speeds, inputs, date, bound, accept=False):
    """The record after a measurement, and the verdict.

    What passes belongs to the last good ones, and their median is the measure of the next. Once it rests on :data:`WINDOW` of them it does not fall any more:
    otherwise many small steps downwards would all pass.

    :param accept: take it as good, whatever it is against the last ones, which are forgotten.
    :returns: (record, verdict): the verdict is the record's ``last``: of :func:`judge`, with ``speeds``, ``against`` (the speeds it was compared with, {} of
        none), ``since`` (their date), ``changed`` (words), ``bound``, ``date`` and ``accepted``.
    """
    entry = None if accept else entry_of(record, identity)
    verdict = dict(judge(speeds, entry, bound), speeds=speeds, against=entry["speeds"] if entry else {}, since=entry["date"] if entry else "",
                   changed=changed(entry["inputs"], inputs) if entry else [], bound=bound, date=date, accepted=bool(accept))
    good = [one for one in record.get("good", []) if one["identity"] != identity]
    if verdict["holds"]:
        recent = ([speeds] + (entry.get("recent") or [entry["speeds"]] if entry else []))[:WINDOW]
        measure = {what: statistics.median(one[what] for one in recent) for what in of(speeds)}
        if len(recent) == WINDOW:
            measure = {what: max(measure[what], entry["speeds"][what]) for what in of(speeds)}
        entry = {"identity": identity, "recent": recent, "speeds": measure, "inputs": inputs, "date": date}
    return {"good": ([entry] if entry else []) + good[:KEPT - 1], "last": verdict}, verdict


def sentence(verdict):
    """A verdict in words."""
    words = ["%s %.1f tok/s" % (what, verdict["speeds"][what]) + (
        " (%.0f %% of %.1f)" % (verdict["percent"][what], verdict["against"][what]) if verdict["percent"] else "") for what in of(verdict["speeds"])]
    text = ", ".join(words)
    if not verdict["percent"]:
        return text + ("; accepted as good" if verdict["accepted"] else "; nothing to compare with yet")
    if verdict["holds"]:
        return text
    return "%s: less than %d %% of what it was on %s. %s" % (text, verdict["bound"], verdict["since"], (
        "Since then changed: " + "; ".join(verdict["changed"])) if verdict["changed"] else
        "Of the inputs that are known none has changed: look at the processor's clock and heat, and at who else is at work")

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays on the screen when a run is over: what failed and why, the phases, the claims, who answers where, and a call to paste."""
from __future__ import annotations

from . import claim_table, endpoints, style


def _title(words, look):
    return ["", look.paint(words, "bold"), look.rule()]


def failures(run, look):
    """The causes, each before the place where it showed."""
    found = []
    for failure in run.causes():
        where = "%s, phase %s, step: %s" % (failure.host, failure.phase, failure.step)
        for number, line in enumerate(part for text in failure.cause for part in look.wrap(text, look.width - look.mark_width - 2)):
            lead = " " + look.mark("fails", "bad") + " " if number == 0 else " " * (look.mark_width + 2)
            found.append(lead + (look.paint(line, "bad") if number == 0 else line))
        found += [" " * (look.mark_width + 2) + look.paint(line, "dim") for line in look.wrap(where, look.width - look.mark_width - 2)]
        if failure.log:
            found.append(" " * (look.mark_width + 2) + look.paint(look.text("log of the host: %s" % failure.log), "dim"))
    return found


def verdict(run, look):
    """One sentence: what came of it."""
    took = style.clock(run.ended - run.began)
    claims = [claim for _host, rows in run.claims() for claim in rows]
    if run.interrupted:
        words, paint = "Interrupted after %s in the phase %s, step: %s. What was done stays; the same command goes on from there." % (
            took, run.phase or next(iter(run.phases)), run.step.name or "none"), "warn"
    elif run.causes():
        words, paint = "Failed after %s in the phase %s." % (took, run.causes()[0].phase), "bad"
    elif not run.counts:
        words, paint = "Nothing was done in %s: no host of the inventory matched." % took, "warn"
    elif run.check:
        words, paint = "Predicted in %s; nothing was changed." % took, "good"
    else:
        words, paint = "Done in %s.%s" % (took, " Claims: %s." % claim_table.told(claims) if claims else ""), "good"
    return [look.paint(line, paint) for line in look.wrap(words, look.width)]


def phase_table(run, look):
    """How long each phase took and what it changed; phases that had nothing to do are named in a line."""
    found, none = [], []
    for phase in run.phases.values():
        if phase.state == "waiting":
            none.append(phase.name)
            continue
        mark, paint = ("fails", "bad") if phase.state == "fails" else ("done", "good")
        done = "%6d step%s%s" % (phase.steps, "" if phase.steps == 1 else "s", ", %d changed" % phase.changed if phase.changed else "")
        text = "%s%8s%s" % (phase.name.ljust(10), style.clock(phase.seconds), done)
        found.append(" %s %s" % (look.mark(mark, paint), look.text(text)))
    if none:
        found += [look.paint(" " * (look.mark_width + 2) + line, "dim") for line in look.wrap("not run: " + ", ".join(none), look.width - look.mark_width - 2)]
    return found


def lines(run, look, variables=None, report=""):
    """All of it, in the order in which a person needs it: claims in the middle, so that the cause or the call stands last.

    :param variables: dict of host to its variables.
    :param report: where the report lies.
    """
    found = phase_table(run, look)
    for host, rows in run.claims():
        services = (run.facts[host].get("bunker_service_results") or {})
        found += _title("Claims of %s: %s" % (look.text(host), claim_table.told(rows)), look) + claim_table.table(rows, look, services)
    for host, facts in run.facts.items():
        services, gateway = facts.get("bunker_service_results") or {}, facts.get("bunker_gateway")
        if services or gateway:
            found += _title("Who %s on %s" % ("would answer" if run.check else "answers", look.text(host)), look) + endpoints.endpoints(gateway, services, look)
        call = endpoints.example(gateway, services, host, (variables or {}).get(host) or {"inventory_hostname": host}) if gateway else []
        if call and not run.causes():
            found += _title("Ask it", look) + [look.text(line) for line in call]
    if run.causes():
        found += _title("What failed", look) + failures(run, look)
    found.append("")
    found += verdict(run, look)
    if report and run.claims():
        found += [look.text("Report: %s" % report)]
    return found

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as lines for logs and CI: what begins, what has changed, what took long, what failed. Nothing is cut and nothing is written over."""
from __future__ import annotations

from . import durations, style

LONG = 10  # seconds from which a step that changed nothing is told as well
QUIET = 60  # seconds after which a line says that a step still runs
WIDTH = 160


def began(run, look):
    return look.text("%s%s" % (run.title, " (check: nothing is changed)" if run.check else ""))


def _left(run, now):
    words = durations.told(run, now)
    return " (%s)" % words if words else ""


def phase(run, name, now, look):
    return look.text("%8s  == %s%s" % (style.clock(now - run.began), name, _left(run, now)))


def step(run, host, now, changed, look):
    """A step that a host has done; None where it is not worth a line."""
    took = now - run.step.since
    if not changed and took < LONG:
        return None
    return look.text("%8s  %s: %s: %s in %s" % (style.clock(now - run.began), host, run.step.name, "changed" if changed else "done", style.clock(took)))


def still(run, now, look):
    """A step that says nothing of itself still runs."""
    return look.text("%8s  %s: since %s%s" % (style.clock(now - run.began), run.step.name, style.clock(now - run.step.since), _left(run, now)))


def said(run, line, now, look):
    return look.text("%8s  %s" % (style.clock(now - run.began), style.last_part(line)))


def failed(run, failure, now, ignored, look):
    """A failure, its cause first; one that is rescued later is told as well."""
    word = "passed over" if ignored else "FAILED"
    return [look.text("%8s  %s: %s: %s: %s" % (style.clock(now - run.began), failure.host, word, failure.step, failure.cause[0]))] + [
        look.text("          %s" % line) for line in failure.cause[1:]]

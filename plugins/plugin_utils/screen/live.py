# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen while a run goes on."""
from __future__ import annotations

from . import durations, style

LABEL = 10  # columns of a phase's name


def _sums(phase, seconds, columns):
    words = "%8s" % style.clock(seconds)
    more = "  %d step%s" % (phase.steps, "" if phase.steps == 1 else "s") + (", %d changed" % phase.changed if phase.changed else "")
    return words + (more if len(words + more) <= columns else "")


def phase_line(run, name, now, look):
    """One phase: its mark, how long it took, and what it changed."""
    phase = run.phases[name]
    paint = {"done": "good", "fails": "bad", "running": "now", "waiting": "dim"}[phase.state]
    label = {"running": "bold", "waiting": "dim"}.get(phase.state, "")
    lead = " %s %s" % (look.mark(phase.state, paint), look.paint(name.ljust(LABEL), label))
    if phase.state == "waiting":
        still = durations.of_phase(run, name)
        return lead.rstrip() if not still else lead + look.paint(look.cut(still, look.width - LABEL - look.mark_width - 2), "dim")
    return lead + _sums(phase, run.seconds_of(name, now), look.width - LABEL - look.mark_width - 2)


def step_lines(run, now, look):
    """The present step, where its log is, and the log's last line."""
    if not run.step.name:
        return []
    columns, lead = look.width - 5, "     "
    age = "  " + style.clock(now - run.step.since)
    where = "%s: " % run.step.host if len(run.hosts) > 1 and run.step.host else ""
    lines = [lead + look.cut(where + run.step.name, columns - len(age)) + look.paint(age, "dim")]
    if run.step.log:
        lines.append(lead + look.paint(look.cut("log %s" % run.step.log, columns), "dim"))
    if run.step.line:
        lines.append(lead + look.paint(look.cut(run.step.line, columns), "dim"))
    return lines


def head_line(run, now, look):
    """What runs, and for how long."""
    right = "%s elapsed" % style.clock(now - run.began)
    title = run.title + (" (check: nothing is changed)" if run.check else "")
    left = look.cut(title, look.width - len(right) - 2)
    return look.paint(left, "bold") + " " * (look.width - style.width_of(left) - len(right)) + right


def left_line(run, now, look):
    """How long it will still take, below how long it took; empty where nobody knows."""
    words = look.cut(durations.told(run, now), look.width)
    return " " * (look.width - style.width_of(words)) + look.paint(words, "dim") if words else ""


def note_lines(note, look):
    """What was printed meanwhile, such as a warning: it stays above the screen."""
    paint = "bad" if note.startswith("[ERROR]") else "warn" if note.startswith(("[WARNING]", "[DEPRECATION")) else ""
    return [look.paint(line, paint) for line in look.wrap(note, look.width)]


def lines(run, now, look, height):
    """The whole screen.

    A terminal too low for all phases shows those around the present one; one of a few lines, the step alone. Nothing is wider than the terminal or as high.

    :param look: a Style.
    :param height: rows of the terminal.
    """
    room = max(2, height - 1)  # the cursor has one
    steps = step_lines(run, now, look)
    shown = list(run.phases)
    spare = room - 2 - len(steps)
    if spare < len(shown):
        place = shown.index(run.phase) if run.phase else 0
        first = max(0, min(place - max(0, spare - 2), len(shown) - max(1, spare)))
        shown = shown[first:first + max(1, spare)]
    found = [head_line(run, now, look), left_line(run, now, look)]
    for name in shown:
        found.append(phase_line(run, name, now, look))
        if name == run.phase:
            found += steps
    return found[:room]

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of a playbook as far as it has come. Events change it; nothing here reads a clock, a file or a terminal: times are given, in seconds."""
from __future__ import annotations

import dataclasses

from . import phases, progress, style

KEPT_FACTS = ("bunker_claims_report", "bunker_service_results", "bunker_gateway", "bunker_reboot_needed")
CLAIMS = phases.ORDER[-1]
NOTES = 200  # of a very long run the last ones


@dataclasses.dataclass
class Phase:
    """What a phase has taken and done. ``state`` is waiting, running, done or fails."""

    name: str
    state: str = "waiting"
    seconds: float = 0.0
    steps: int = 0
    changed: int = 0


@dataclasses.dataclass
class Step:
    """The task that runs. ``line`` is the last one of its ``log``, which is a file on the host."""

    name: str = ""
    since: float = 0.0
    host: str = ""
    log: str = ""
    line: str = ""
    counted: bool = False


@dataclasses.dataclass
class Failure:
    """A task that failed: the first of ``cause`` says why."""

    host: str
    phase: str
    step: str
    cause: list
    log: str = ""


class Run:
    """State of a run.

    :param title: what runs, for a person, such as ``site.yml on omni``.
    :param began: seconds, of the same clock as all later times.
    :param check: whether the run only predicts.
    """

    def __init__(self, title, began, check=False):
        self.title, self.began, self.check = title, began, check
        self.phases = {name: Phase(name) for name in phases.ORDER}
        self.phase = None
        self.play_name, self.step, self.hosts = "", Step(), []
        self.failures, self.notes, self.facts, self.counts = [], [], {}, {}
        self.ended = None
        self.interrupted = False
        self.expected = None  # durations.Expected, where something is known of such a run

    def play(self, name, hosts, now):
        """A play begins on hosts (names)."""
        self._spend(now)
        if not self.play_name and phases.OF_PLAY.get(name) == CLAIMS:  # verify.yml alone
            self.phases = {CLAIMS: Phase(CLAIMS)}
        self.play_name = name
        self.hosts = list(hosts) or self.hosts

    def task(self, name, role, entry, now, note=""):
        """A task begins. Says the phase if one begins with it, else None."""
        self._spend(now)
        before, self.phase = self.phase, phases.phase_of(self.play_name, role, entry, self.phase)
        if before and before != self.phase and self.phases[before].state == "running":
            self.phases[before].state = "done"
        self.phases[self.phase].state = "running"
        self.phases[self.phase].steps += 1
        self.step = Step(name=name, since=now, line=note)
        return self.phase if before != self.phase else None

    def _spend(self, now):
        if self.phase:
            self.phases[self.phase].seconds += now - getattr(self, "_counted_to", self.began)
        self._counted_to = now

    def seconds_of(self, name, now):
        """Seconds of a phase until now."""
        running = self.ended is None and name == self.phase
        return self.phases[name].seconds + (now - self._counted_to if running else 0)

    def result(self, host, changed=False, facts=None):
        """A host has done the step. Of its facts those are kept that the end is told by."""
        if changed and not self.step.counted:
            self.step.counted = True
            self.phases[self.phase].changed += 1
        cores = (((facts or {}).get("bunker_host") or {}).get("cpu") or {}).get("cores")
        if self.expected and isinstance(cores, int):
            self.expected = self.expected.on(cores)
        for key in KEPT_FACTS:
            if key in (facts or {}):
                self.facts.setdefault(host, {})[key] = facts[key]

    def tried(self, host, attempt, attempts):
        """The step is tried again, such as one that waits until a service answers."""
        self.step.host, self.step.line = host, "attempt %s of %s; it is tried again" % (attempt, attempts)

    def item(self, host, label):
        """A step has come to an item of its loop."""
        if not self.step.log:
            self.step.host, self.step.line = host, "done: %s" % (label,)

    def failed(self, host, cause):
        """A host failed in the step; whether somebody came to its rescue is known at the end."""
        phase = self.phase or next(iter(self.phases))
        before = [failure.log for failure in self.failures if (failure.host, failure.phase) == (host, phase) and failure.log]
        self.failures.append(Failure(host, phase, self.step.name, [style.clean(line) for line in cause] or ["no reason was given"],
                                     self.step.log or (before[-1] if before else "")))  # a rescue tells the cause, and what it rescues has the log

    def said(self, text):
        """Something was printed: a word of how far a long task is goes to the step, else it is a note. Says which lines are notes."""
        notes = []
        for line in text.splitlines():
            known = progress.read(style.last_part(line))
            if known:
                self.step.host = known["host"]
                self.step.log = known["log"] or self.step.log
                self.step.line = known["line"] or self.step.line
            elif line.strip():
                notes.append(style.last_part(line))
        self.notes = (self.notes + notes)[-NOTES:]
        return notes

    def finish(self, now, counts):
        """The run is over.

        :param counts: dict of host to dict with ``failures``, ``unreachable``, ``rescued``, ``changed``.
        """
        self._spend(now)
        self.ended, self.counts = now, counts
        self._close("done")
        for cause in self.causes():  # which the last phase need not be: what a block always does may follow
            self.phases[cause.phase].state = "fails"

    def interrupt(self, now):
        """Somebody or something ended the run before its end."""
        self._spend(now)
        self.ended, self.interrupted = now, True
        self._close("fails")

    def _close(self, state):
        if self.phase:
            self.phases[self.phase].state = state

    def causes(self):
        """Failures that ended the run of a host, in order. A failure that was rescued is none: of each host the last ones count, as many as it has."""
        wanted = {host: count["failures"] + count["unreachable"] for host, count in self.counts.items()}
        found = []
        for failure in reversed(self.failures):
            if wanted.get(failure.host, 0) > 0:
                wanted[failure.host] -= 1
                found.append(failure)
        return found[::-1]

    def claims(self):
        """Pairs of host and its report, a list of claims."""
        return [(host, list(facts["bunker_claims_report"])) for host, facts in self.facts.items() if facts.get("bunker_claims_report")]

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watcher saw, look by look, and what would have been decided: watch_trace.py TRACE [--limit act=4 …]

Prints each decision of the trace but "hold", and where today's rules, or other limits, decide otherwise. Limits are those of the inventory
(vram_watch_act and so on), in its units. A trace is lines of JSON: the limits and the state at each start and at the head of each file,
each look, each end of a step.
"""
import argparse
import dataclasses
import json
import os
import sys

from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import decision

LONGEST = 8 << 20  # bytes of a trace; the one before it is kept beside it, some four days at five seconds together
IN_GIB = ("warn", "act", "margin")


class Trace:
    """Appends to a file, which is exchanged when it is full. What cannot be written is no reason not to watch.

    :param path: str; "" for none.
    :param current: function without arguments that returns (limits, state) as they are now: each file begins with them, so that it can be read alone.
    """

    def __init__(self, path, current):
        self.path, self.current = path, current

    def _write(self, **line):
        if not self.path:
            return
        try:
            with open(self.path, "a", encoding="utf-8") as stream:
                if stream.tell() == 0 and "start" not in line:  # somebody took the file away
                    line = self._head()
                stream.write(json.dumps(line, separators=(",", ":")) + "\n")
                full = stream.tell() > LONGEST
            if full and "start" not in line:
                os.replace(self.path, self.path + ".before")
                self.started()
        except OSError:
            pass

    def started(self):
        """The watcher begins, or goes on in another file."""
        self._write(**self._head())

    def _head(self):
        limits, state = self.current()
        return {"start": json.loads(decision.to_json(state)), "limits": dataclasses.asdict(limits)}

    def became(self, state):
        """The state was set otherwise than by a decision."""
        self._write(state=json.loads(decision.to_json(state)))

    def looked(self, seen, decided):
        """One look, and what was decided."""
        self._write(seen=dataclasses.asdict(seen), decided=[decided.kind, decided.rung])

    def finished(self, time, rung, since, done):
        """The end of a step."""
        self._write(finished=[time, rung, since, done])


def _seen(fields):
    fields = dict(fields, predicted=tuple(fields["predicted"]), barred=tuple(tuple(entry) for entry in fields["barred"]))
    return decision.Observation(**fields)


def replay(lines, changed=None):
    """What is decided of a trace now.

    :param lines: iterable of str, the trace.
    :param changed: dict of limits that are others than the trace's, in bytes and seconds.
    :returns: yields (number of the line, Observation, [kind, rung] that was decided then, Decision now).
    :raises ValueError: a line that is none of a trace, by its number.
    """
    state, limits, stepping = decision.State(), decision.Limits(), None
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            given = line.get("start") or line.get("state")
            if number == 1 and "start" not in line:
                raise ValueError("with which limits and which state it began is not known. Give a trace from a line with \"start\" on")
            if "start" in line:
                limits = decision.Limits(**dict(line["limits"], **(changed or {})))
            if given:
                state, stepping = decision.from_json(json.dumps(given)), given["stepping"]
            elif "finished" in line:
                # A step that today's rules would not have begun ends all the same: what is seen from here on is of its rung.
                state = dataclasses.replace(state, stepping=line["finished"][1] if state.stepping is None else state.stepping)
                state, stepping = decision.finished(state, *line["finished"]), None
            else:
                seen, then = _seen(line["seen"]), line["decided"]
                state, now = decision.decide(state, seen, limits)
                yield number, seen, then, now
                stepping = then[1] if then[0] in ("step", "back") else stepping
                if stepping is None and state.stepping is not None:  # nobody took it then: go on as the trace does
                    state = dataclasses.replace(state, stepping=None, steps=state.steps[:-1])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError("line %d is none of a trace of the watcher: %s" % (number, error)) from error


def words_of(kind, rung):
    """A decision for people."""
    return "%s to rung %d" % (kind, rung) if kind in ("step", "back") else kind


def main(words=None):
    """Prints the decisions; exit code 0: as then, 1: some are others now, 2: no trace."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace")
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(words)
    names = {field.name for field in dataclasses.fields(decision.Limits)}
    changed = {}
    for word in options.limit:
        name, _equals, value = word.partition("=")
        try:
            changed[name] = int(float(value) * decision.GIB) if name in IN_GIB else float(value) if "." in value else int(value)
        except ValueError:
            parser.error("--limit %s: no number" % word)
        if name not in names:
            parser.error("--limit %s: there are %s" % (word, ", ".join(sorted(names))))
    others = 0
    try:
        with open(options.trace, encoding="utf-8") as stream:
            for number, seen, then, now in replay(stream, changed):
                differs = [now.kind, now.rung] != then
                others += differs
                if differs or now.kind != "hold":
                    reason, today = " (%s)" % now.reason if now.reason else "", "; now: " + words_of(now.kind, now.rung) if differs else ""
                    print("line %d, %.0f s: %s%s%s" % (number, seen.time, words_of(*then), reason, today))
    except (OSError, ValueError) as error:
        print("%s: %s" % (options.trace, error), file=sys.stderr)
        return 2
    print("%d decisions are others now" % others if others else "all is decided now as it was then")
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())

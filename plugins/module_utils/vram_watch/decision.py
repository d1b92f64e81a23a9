# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When to take another rung of the contingency ladder: a pure state machine.

Call :func:`decide` with each sample. Where it answers with ``step`` or ``back``, restart the service at that rung, go on sampling meanwhile, then call
:func:`finished` with what came of it. State and decisions are plain values: the state can be written as JSON after each call (:func:`to_json`), so a
watcher that is killed goes on where it was.

The rules, in the order in which they are looked at:

1. Another hand changed the rung (a person, or site.yml): everything but the times of past steps is forgotten, a latch too.
2. Latched: nothing, until another hand sets a rung. Where it was a lost card that answers again, the latch lifts by itself.
3. A step is on its way: nothing.
4. A card is lost (NVML no longer knows it, or it needs a reset or a restart of the host, xid.py): latch. No rung brings a card back.
   A look at which one of the cards did not answer (``complete`` is False) is never good news: what the others have less than a limit counts, what they have
   more does not; counts of samples in a row go on behind it, and the calm before a step back begins anew.
5. An exit for lack of memory, headroom under ``act`` for ``samples`` samples in a row, or headroom under ``warn`` for as many samples while it falls so
   that nothing is left within ``lead`` seconds: a rung is needed. Two such samples are enough where the rest of them, and as long again for the step,
   would come after the end (:func:`_hurries`).
6. It is taken when ``cooldown`` seconds have passed since the last step ended and fewer than ``steps_per_hour`` were begun within the last hour;
   what is needed stays needed until then.
7. Which one (:func:`choose`): the next rung that is predicted to restore ``warn``; those passed over are named. Where none does, the one that
   leaves most, if that is at least ``act``. Then one of which nothing is predicted, in their order. Then none is left: latch, after as many looks as
   ``samples`` that say so, since a dying process may hold its memory a moment longer; not where the gap is only closing, which may yet end by itself.
8. ``failures`` failed steps and exits for lack of memory, with no calm of ``cooldown`` seconds in between: latch.
9. Back to a lower number of the ladder only where ``quiet`` is not 0, after so many seconds above ``warn``, to the nearest rung predicted to leave
   ``warn + margin``; and never to one that proved too small before, unless at least ``margin`` more is predicted for it than was then.
   Each time a rung is needed again within an hour after a step back, or within twice the ``quiet`` that was asked for, twice as much is asked for next time, a
   day at most; where the step back held for longer, it is ``quiet`` again.

Units: bytes and seconds. Times are those of one clock that neither jumps nor runs backwards: the host's time since its start, never its time of day.
"""
from __future__ import annotations

import dataclasses
import json
import math

GIB = 2 ** 30
HOUR, DAY = 3600.0, 86400.0
LOST = "a card is lost; no rung brings it back"
# What a fall must come to within the window, as a share of warn, to be called one: less is noise of allocations that come and go.
LEAST_FALL = 0.05


@dataclasses.dataclass(frozen=True)
class Limits:
    """The inventory's figures; the role's documentation says what each is for."""

    warn: int = 7 * GIB
    act: int = 2 * GIB
    samples: int = 3
    window: float = 120.0
    lead: float = 180.0
    cooldown: float = 300.0
    steps_per_hour: int = 4
    failures: int = 3
    quiet: float = 0.0
    margin: int = GIB


@dataclasses.dataclass(frozen=True)
class Observation:
    """One look at the world.

    :param time: when, seconds.
    :param rung: at which the service stands now; 0 is the inventory's own configuration.
    :param headroom: least free VRAM over the service's cards, bytes; None where it could not be read.
    :param predicted: for each rung of the ladder, rung 0 first, the headroom that it would leave now, bytes; None where nothing is known.
    :param event: "oom" (it exited for lack of memory since the last look), "lost" (a card is gone) or "".
    :param since: a mark that changes whenever somebody sets a rung.
    :param barred: (rung, why) of those that cannot be taken, whatever they free.
    :param complete: whether all of the service's cards answered. Where not, headroom is that of those that did, so at most what there is.
    """

    time: float
    rung: int
    headroom: int | None
    predicted: tuple
    event: str = ""
    since: str = ""
    barred: tuple = ()
    complete: bool = True


@dataclasses.dataclass(frozen=True)
class State:
    """What is remembered between two looks."""

    rung: int = 0
    since: str = ""
    history: tuple = ()           # (time, headroom) since the last step, within the window
    low: int = 0                  # samples in a row under act
    closing: int = 0              # samples in a row under warn with the end in sight
    oom: bool = False             # it exited for lack of memory and no rung was taken since
    hopeless: int = 0             # looks in a row at which a rung was needed and none would have helped
    warned: bool = False
    stepping: int | None = None   # rung of the step on its way
    reason: str = ""              # why the last step was begun
    steps: tuple = ()             # when the steps of the last hour began
    ended: float = -math.inf      # when the last step ended
    failures: int = 0
    calm_since: float | None = None   # since when nothing was wrong
    wide_since: float | None = None   # since when there was more than warn
    refuted: tuple = ()           # (rung, headroom predicted for it when it proved too small; None until the first look from another rung)
    failed: tuple = ()            # rungs at which it did not start since the last one at which it did
    latched: str = ""             # why
    low_at: float = -math.inf     # when one was under act last
    went_back: float | None = None    # when the last step back ended
    relapses: int = 0             # steps back in a row after which a rung was needed again too soon


@dataclasses.dataclass(frozen=True)
class Decision:
    """What to do now.

    :param kind: "hold", "warn" (first look under warn), "step", "back", "latch", or "lift" (the card whose loss had latched it answers again).
    :param rung: for step and back: to which.
    :param reason: a sentence for people.
    :param skipped: for step and latch: (rung, why) of those passed over.
    """

    kind: str
    rung: int = 0
    reason: str = ""
    skipped: tuple = ()


def gib(size):
    """A size for people."""
    return "%.2f GiB" % (size / GIB)


def slope(history):
    """Least squares' slope of (time, bytes) pairs, bytes per second; 0 for fewer than three."""
    if len(history) < 3:
        return 0.0
    start = history[0][0]
    mean_time = sum(time - start for time, _bytes in history) / len(history)
    mean = sum(size for _time, size in history) / len(history)
    spread = sum((time - start - mean_time) ** 2 for time, _bytes in history)
    return sum((time - start - mean_time) * (size - mean) for time, size in history) / spread if spread else 0.0


def time_to_zero(history, limits):
    """Seconds until nothing is left if it goes on as within the window, or as in the last samples where that is sooner: after a long calm the window alone
    would see a fall only when it is over. Infinite where it does not fall, or by no more than noise."""
    ends = math.inf
    for part in (history, history[-max(limits.samples, 3):]):
        fall = -slope(part)
        if fall > 0 and fall * (part[-1][0] - part[0][0]) >= LEAST_FALL * limits.warn:
            ends = min(ends, max(part[-1][1], 0) / fall)
    return ends


def _proved_small(rung, left, refuted, limits):
    """Whether a rung was too small before, when about as much was predicted for it."""
    return rung in refuted and (left is None or refuted[rung] is None or left < refuted[rung] + limits.margin)


def choose(observation, limits, failed=(), refuted=()):
    """The rung to take where one is needed.

    :param failed: rungs at which the service did not start lately.
    :param refuted: (rung, headroom that was predicted for it when it proved too small), as in :class:`State`.
    :returns: (rung or None, ((rung, why it was passed over), …)).
    """
    refuted, barred = dict(refuted), dict(observation.barred)
    others = list(range(observation.rung + 1, len(observation.predicted))) + list(range(observation.rung - 1, -1, -1))
    skipped, possible, unknown = [], [], []
    for rung in others:
        left = observation.predicted[rung]
        if rung in barred:
            skipped.append((rung, barred[rung]))
        elif rung in failed:
            skipped.append((rung, "the service did not start at it"))
        elif _proved_small(rung, left, refuted, limits):
            skipped.append((rung, "it proved too small before"))
        elif left is None:
            unknown.append(rung)
        elif left >= limits.warn:
            return rung, tuple(skipped)
        else:
            skipped.append((rung, "it would leave %s, not %s" % (gib(left), gib(limits.warn))))
            if left >= limits.act and (observation.headroom is None or left > observation.headroom):
                possible.append((left, -others.index(rung), rung))
    if possible:
        rung = max(possible)[2]
        return rung, tuple(entry for entry in skipped if entry[0] != rung)
    return (unknown[0] if unknown else None), tuple(skipped)


def _hold(state, reason=""):
    return state, Decision("hold", state.rung, reason)


def _latch(state, reason, skipped=()):
    return dataclasses.replace(state, latched=reason), Decision("latch", state.rung, reason, tuple(skipped))


def _look(state, seen, limits):
    """The state after what was seen, before anything is decided."""
    history = tuple(entry for entry in state.history if seen.time - entry[0] <= limits.window)
    low, closing, warned = state.low, state.closing, state.warned
    calm, wide, failures = state.calm_since, state.wide_since, state.failures
    low_at = seen.time if seen.headroom is not None and seen.headroom < limits.act else state.low_at
    if seen.headroom is not None and not seen.complete:
        # Of those that answered the tight one is one, or is silent; what was low long ago is no part of a row.
        low = low + 1 if seen.headroom < limits.act else low if seen.time - low_at <= limits.window else 0
        if seen.headroom < limits.warn:
            history += ((seen.time, seen.headroom),)
            closing = closing + 1 if time_to_zero(history, limits) <= limits.lead else 0
        wide = None
    elif seen.headroom is not None:
        history += ((seen.time, seen.headroom),)
        low = low + 1 if seen.headroom < limits.act else 0
        under = seen.headroom < limits.warn
        closing = closing + 1 if under and time_to_zero(history, limits) <= limits.lead else 0
        warned = under and warned
        wide = None if under else seen.time if wide is None else wide
    closing = closing if len(history) > 1 else 0  # what was seen longer ago than the window says nothing of now
    oom = state.oom or seen.event == "oom"
    if oom or low:
        calm = None
    elif seen.headroom is not None and seen.complete and calm is None:
        calm = seen.time
    if seen.event == "oom" and not state.oom:  # systemd starts it again until a rung may be taken; that is one failure, not many
        failures += 1
    elif calm is not None and seen.time - calm >= limits.cooldown:
        failures = 0
    # A rung that proved too small: what is predicted for it at the first look from elsewhere is what will not do a second time.
    refuted = tuple((rung, seen.predicted[rung] if left is None and rung != seen.rung and rung < len(seen.predicted) else left)
                    for rung, left in state.refuted) if state.stepping is None else state.refuted
    held = state.went_back is not None and seen.time - state.went_back > max(HOUR, 2 * quiet(state, limits))
    state = dataclasses.replace(state, went_back=None, relapses=0) if held and state.stepping is None else state
    return dataclasses.replace(state, history=history, low=low, low_at=low_at, closing=closing, oom=oom, warned=warned, calm_since=calm, wide_since=wide,
                               failures=failures, refuted=refuted, steps=tuple(time for time in state.steps if seen.time - time < HOUR))


def _hurries(state, limits):
    """Whether a second sample in a row under warn has to do: it fell again, and nothing is left before ``samples`` of them and a step of as long are over."""
    if state.closing < 2 or len(state.history) < 2:
        return False
    (earlier, before), (later, left) = state.history[-2:]
    return left < before and time_to_zero(state.history, limits) <= 2 * limits.samples * (later - earlier)


def _needed(state, seen, limits):
    """Why a rung is needed; "" where none is."""
    if state.oom:
        return "it exited for lack of memory"
    if state.low >= limits.samples:
        left = seen.headroom if seen.headroom is not None else state.history[-1][1] if state.history else None
        return "headroom %s is under %s" % ("that was seen last" if left is None else gib(left), gib(limits.act))
    if state.closing >= limits.samples or _hurries(state, limits):
        return "headroom %s is under %s and gone in %.0f s" % (gib(state.history[-1][1]), gib(limits.warn), time_to_zero(state.history, limits))
    return ""


def quiet(state, limits):
    """Seconds above warn after which a step back may begin: limits.quiet, doubled by each relapse, a day at most."""
    return max(limits.quiet, min(limits.quiet * 2.0 ** min(state.relapses, 20), DAY))


def _begin(state, seen, kind, rung, reason, skipped=()):
    if kind == "step" and state.went_back is not None:
        state = dataclasses.replace(state, went_back=None, relapses=state.relapses + 1)
    return (dataclasses.replace(state, stepping=rung, reason=reason, hopeless=0, steps=state.steps + (seen.time,), wide_since=None),
            Decision(kind, rung, reason, tuple(skipped)))


def _back(state, seen, limits):
    """The rung to go back to, or None."""
    if not limits.quiet or not seen.complete or state.wide_since is None or seen.time - state.wide_since < quiet(state, limits):
        return None
    refuted = dict(state.refuted)
    for rung in range(seen.rung - 1, -1, -1):
        left = seen.predicted[rung]
        if left is None or left < limits.warn + limits.margin or rung in dict(seen.barred):
            continue
        if not _proved_small(rung, left, refuted, limits):
            return rung
    return None


def decide(state, seen, limits):
    """What to do after one look.

    :param state: :class:`State`; the first is ``State(rung=…, since=…)``.
    :param seen: :class:`Observation`.
    :param limits: :class:`Limits`.
    :returns: (the state after it, :class:`Decision`).
    """
    if state.stepping is None and (seen.rung != state.rung or seen.since != state.since):
        state = State(rung=seen.rung, since=seen.since, steps=state.steps, ended=state.ended)
    state = _look(state, seen, limits)
    if state.latched == LOST and seen.event != "lost" and seen.complete and seen.headroom is not None:
        fresh = State(rung=seen.rung, since=seen.since, steps=state.steps, ended=state.ended, oom=state.oom, failures=state.failures)
        return fresh, Decision("lift", seen.rung, "the card that was lost answers again")
    if state.latched:
        return _hold(state, state.latched)
    if state.stepping is not None:
        return _hold(state, "a step to rung %d is on its way" % state.stepping)
    if seen.event == "lost":
        return _latch(state, LOST)
    if state.failures >= limits.failures:
        return _latch(state, "%d failures in a row" % state.failures)
    reason = _needed(state, seen, limits)
    state = state if reason else dataclasses.replace(state, hopeless=0)
    waiting = (state.ended + limits.cooldown - seen.time if seen.time - state.ended < limits.cooldown else
               HOUR if limits.steps_per_hour < 1 else
               state.steps[-limits.steps_per_hour] + HOUR - seen.time if len(state.steps) >= limits.steps_per_hour else 0)
    if reason and waiting:
        return _hold(state, "%s; the next step may begin in %.0f s" % (reason, waiting))
    if reason:
        rung, skipped = choose(seen, limits, state.failed, state.refuted)
        if rung is None and not seen.complete:
            return _hold(state, "%s, and no rung seems to help, as far as the cards that answer tell" % reason)
        if rung is None and not state.oom and state.low < limits.samples:
            return _hold(state, "%s, and no rung would help" % reason)  # it may end before the end
        if rung is None and state.hopeless + 1 < limits.samples:
            return _hold(dataclasses.replace(state, hopeless=state.hopeless + 1), "%s, and no rung seems to help" % reason)
        if rung is None:
            return _latch(state, "%s, and no rung is left that would help" % reason, skipped)
        if state.oom or state.low:
            state = dataclasses.replace(state, refuted=tuple(entry for entry in state.refuted if entry[0] != seen.rung) + ((seen.rung, None),))
        return _begin(state, seen, "step", rung, reason, skipped)
    rung = None if waiting else _back(state, seen, limits)
    if rung is not None:
        return _begin(state, seen, "back", rung, "more than %s for %.0f s, and %s are predicted to remain" % (
            gib(limits.warn), seen.time - state.wide_since, gib(seen.predicted[rung])))
    if seen.headroom is not None and seen.headroom < limits.warn and not state.warned:
        return dataclasses.replace(state, warned=True), Decision("warn", state.rung, "headroom %s is under %s" % (gib(seen.headroom), gib(limits.warn)))
    return _hold(state)


def finished(state, time, rung, since, done):
    """The state after a step.

    :param time: when it ended, seconds.
    :param rung: at which the service stands now: the wanted one, or after a failure the one before.
    :param since: the mark of that rung.
    :param done: whether the wanted rung was reached.
    """
    return dataclasses.replace(state, rung=rung, since=since, stepping=None, ended=time, history=(), low=0, closing=0, oom=state.oom and not done,
                               failures=state.failures + (not done), calm_since=None, wide_since=None,
                               failed=() if done else state.failed + (state.stepping,),
                               went_back=time if done and rung < state.rung else state.went_back)


def moved(state, seconds):
    """The state with all its times so much later: after the host was started anew its clock begins at 0, and how long it was off nobody knows.

    :param seconds: the clock now, less what it was when the state was written: as if no time had passed, so that no cool-down is cut short.
    """
    def later(value):
        return value if value is None else value + seconds

    return dataclasses.replace(
        state, history=(), steps=tuple(later(begun) for begun in state.steps), ended=later(state.ended), low_at=-math.inf, calm_since=later(state.calm_since),
        wide_since=None, went_back=later(state.went_back))


def to_json(state):
    """The state as JSON text."""
    return json.dumps(dataclasses.asdict(state), sort_keys=True)


def from_json(text):
    """The state of :func:`to_json`.

    :raises ValueError: it is not one.
    """
    try:
        fields = json.loads(text)
        for name in ("history", "refuted"):
            fields[name] = tuple(tuple(entry) for entry in fields[name])
        return State(**dict(fields, steps=tuple(fields["steps"]), failed=tuple(fields["failed"])))
    except (KeyError, TypeError) as error:
        raise ValueError("no state of the watcher: %s" % error) from error

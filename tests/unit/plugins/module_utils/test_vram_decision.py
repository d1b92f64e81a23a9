"""The state machine of the contingency ladder, in worlds that hypothesis makes up. BUNKER_TEST_WORLDS says how many for each of the five properties."""
import dataclasses
import math
import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch.decision import (
    GIB, HOUR, Decision, Limits, Observation, State, choose, decide, finished, from_json, moved, time_to_zero, to_json)

LIMITS = Limits()
INTERVAL = 5.0
COUNT = int(os.environ.get("BUNKER_TEST_WORLDS", 600))
WORLDS = settings(max_examples=COUNT, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@dataclasses.dataclass
class World:
    """A card with a service whose rungs free what they free, beside a load that takes what it takes.

    :param freed: bytes that each rung frees, rung 0 first.
    :param load: what is left at rung 0 at a time, bytes.
    :param believed: what the prediction says each rung frees.
    :param broken: rungs at which the service does not start.
    """

    freed: list
    load: object
    believed: list
    broken: frozenset = frozenset()
    took: float = 20.0

    def __post_init__(self):
        self.rung, self.since, self.now, self.step, self.events = 0, "0", 0.0, None, []
        self.decisions, self.state, self.dead = [], State(since="0"), False

    def headroom(self, rung=None):
        return self.load(self.now) + self.freed[self.rung if rung is None else rung]

    def run(self, limits, seconds):
        while self.now < seconds:
            self.tick(limits)
        return self

    def tick(self, limits):
        if self.step and self.now >= self.step[1]:
            wanted = self.step[0]
            done = wanted not in self.broken and self.headroom(wanted) >= 0
            if done:
                self.rung, self.since, self.dead = wanted, self.since + ".", False
            self.state, self.step = finished(self.state, self.now, self.rung, self.since, done), None
        event, left = "", self.headroom()
        if left < 0 and not self.dead:
            event, self.dead = "oom", True
        # A dead service has given its memory back: what is free then says nothing of the gap. Its predictions are of the service as it would run.
        seen = Observation(time=self.now, rung=self.rung, headroom=None if self.dead else left, event=event, since=self.since,
                           predicted=tuple(left + believed - self.believed[self.rung] for believed in self.believed))
        self.state, decision = decide(self.state, seen, limits)
        if decision.kind in ("step", "back"):
            assert self.step is None and decision.rung != self.rung
            self.step = (decision.rung, self.now + self.took)
        if decision.kind != "hold":
            assert from_json(to_json(self.state)) == self.state
            self.decisions.append((self.now, self.rung, decision))
        self.now += INTERVAL

    def steps(self, after=-1.0):
        return [(time, before, decision.rung) for time, before, decision in self.decisions if decision.kind in ("step", "back") and time > after]


ladders = st.lists(st.integers(0, 24), min_size=0, max_size=6).map(lambda sizes: [0] + [size * GIB // 2 for size in sizes])


def wander(seed, settles, final):
    """A load that jumps about until a time, and is constant from then on."""
    source = random.Random(seed)
    jumps = sorted((source.uniform(0, settles), source.randrange(-12 * GIB, 20 * GIB)) for _count in range(source.randrange(8)))

    def load(now):
        left = final
        if now < settles:
            left = 12 * GIB
            for time, value in jumps:
                if now >= time:
                    left = value
        return left
    return load


def leak(rate, final):
    """A load that grows steadily and then stays."""
    return lambda now: int(max(10 * GIB - rate * now, final))


limits = st.builds(Limits, samples=st.integers(1, 5), cooldown=st.sampled_from([0.0, 30.0, 60.0, 200.0]), steps_per_hour=st.integers(1, 6),
                   failures=st.integers(1, 5), quiet=st.sampled_from([0.0, 30.0, 200.0]), margin=st.sampled_from([GIB // 4, GIB, 4 * GIB]))


@WORLDS
@given(limits=limits, freed=ladders, seed=st.integers(), error=st.floats(0, 1), broken=st.frozensets(st.integers(1, 6), max_size=3), final=st.integers(-10, 20))
def test_never_two_rungs_within_the_cool_down_nor_more_an_hour_than_allowed(limits, freed, seed, error, broken, final):
    source = random.Random(seed)
    believed = [0] + [int(size * source.uniform(1 - error, 1 + error)) for size in freed[1:]]
    world = World(freed, wander(seed, 600, final * GIB), believed, broken).run(limits, 900)
    times = [time for time, _before, _rung in world.steps()]
    assert min((later - earlier for earlier, later in zip(times, times[1:])), default=math.inf) >= limits.cooldown + world.took
    assert max((sum(time - HOUR < other <= time for other in times) for time in times), default=0) <= limits.steps_per_hour


@WORLDS
@given(limits=limits, freed=ladders, seed=st.integers(), error=st.floats(0, 1), final=st.integers(-10, 20))
def test_no_rung_is_taken_twice_under_a_constant_load(limits, freed, seed, error, final):
    """However wrong the predictions are."""
    source = random.Random(seed)
    believed = [0] + [int(size * source.uniform(1 - error, 1 + error)) for size in freed[1:]]
    world = World(freed, wander(seed, 300, final * GIB), believed).run(dataclasses.replace(limits, steps_per_hour=60), 1500)
    taken = [rung for _time, _before, rung in world.steps(after=300 + limits.cooldown + world.took)]
    assert len(taken) == len(set(taken))


@WORLDS
@given(freed=ladders, rate=st.integers(50, 2000), final=st.integers(-40, 18), cooldown=st.sampled_from([0.0, 20.0, 60.0]), samples=st.integers(1, 4))
def test_it_ends_at_a_rung_that_fits_where_one_exists_and_latches_where_none_does(freed, rate, final, cooldown, samples):
    """A leak to a constant load, with predictions that are right. A rung fits that leaves at least what makes it act."""
    limits = Limits(cooldown=cooldown, samples=samples, steps_per_hour=60, failures=99)
    final = final * GIB // 2
    world = World(freed, leak(rate * 2 ** 20, final), list(freed)).run(limits, 1800)
    fitting = {rung for rung, size in enumerate(freed) if final + size >= limits.act}
    if fitting:
        assert world.rung in fitting and not world.state.latched
    else:
        assert world.state.latched and world.decisions[-1][2].kind == "latch"
    assert not world.steps(after=1500)


@WORLDS
@given(freed=ladders, failures=st.integers(1, 5))
def test_it_latches_after_repeated_failure(freed, failures):
    limits = Limits(failures=failures, cooldown=20, steps_per_hour=60)
    world = World(freed, lambda now: -GIB, list(freed), broken=frozenset(range(1, 7))).run(limits, 600)
    assert world.state.latched and len(world.steps()) <= failures


def look(headroom, *predicted, time=0.0, **more):
    return Observation(time=time, rung=0, headroom=headroom, predicted=(headroom, *predicted), **more)


def run(looks, limits=LIMITS, state=State()):
    for seen in looks:
        state, decision = decide(state, seen, limits)
    return state, decision


def test_one_low_sample_is_no_reason_and_three_in_a_row_are():
    low, high = 1 * GIB, 9 * GIB
    trace = [low, low, high, low, low, low]
    state, kinds = State(), []
    for number, headroom in enumerate(trace):
        state, decision = decide(state, look(headroom, headroom + 8 * GIB, time=5.0 * number), LIMITS)
        kinds.append(decision.kind)
    assert kinds == ["warn", "hold", "hold", "warn", "hold", "step"]
    assert decision == Decision("step", 1, "headroom 1.00 GiB is under 2.00 GiB")


def test_a_sample_that_could_not_be_read_neither_counts_nor_clears():
    low = look(GIB, 9 * GIB)
    unread = Observation(time=1.0, rung=0, headroom=None, predicted=(None, None))
    assert run([low, unread, low, unread])[1].kind == "hold"
    assert run([low, unread, low, unread, low])[1].kind == "step"


def test_an_exit_for_lack_of_memory_is_acted_on_at_once_and_there_is_nothing_to_drain():
    decision = run([look(None, 8 * GIB, event="oom")])[1]
    assert (decision.kind, decision.rung) == ("step", 1)


def test_a_gap_that_closes_is_acted_on_before_it_is_closed():
    """From 8 GiB at 50 MiB a second: under 7 GiB after 20 s, gone after 164 s."""
    state, taken = State(), None
    for number in range(40):
        headroom = 8 * GIB - number * 250 * 2 ** 20
        state, decision = decide(state, look(headroom, headroom + 9 * GIB, time=5.0 * number), LIMITS)
        if decision.kind == "step":
            taken = headroom
            break
    assert taken is not None and taken > 6 * GIB
    assert "is under 7.00 GiB and gone in" in decision.reason


@pytest.mark.parametrize("calm", [20.0, 300.0])
@pytest.mark.parametrize("rate, at_most", [(0.2, 10.0), (0.4, 10.0), (0.6, 10.0)])
def test_a_gap_that_closes_fast_is_acted_on_at_the_second_sample(rate, at_most, calm):
    """GiB a second, and seconds after it is under 7 GiB. With three samples an H100 was full first at 0.38 (docs/contingencies.md)."""
    state, step = State(), None
    for number in range(90):
        time = 5.0 * number
        headroom = int((7.01 - max(rate * (time - calm), 0)) * GIB)
        state, decision = decide(state, look(headroom, headroom + 6 * GIB, time=time), LIMITS)
        if decision.kind == "step":
            step = time
            break
    assert step is not None and step - calm <= at_most and headroom > 0


@pytest.mark.parametrize("calm", [10, 120])
@pytest.mark.parametrize("step, every", [
    (256, 1.0), (512, 2.5), (1024, 3.0), (256, 0.6), (512, 1.5), (128, 0.4), (1024, 5.0), (384, 1.0), (768, 2.0), (256, 0.75)])
def test_the_speeds_of_the_runs_on_a_card_are_met_whenever_they_begin_between_two_samples(step, every, calm):
    """MiB and seconds of tests/gpu/vram_gap.py; the service is gone 5 s after the decision. With three samples, and the window alone, 25 of 500 after two
    minutes of calm."""
    for phase in range(50):
        begin, state, time, step_at = calm + phase / 10, State(), 0.0, None

        def left(now):
            steps = int((now - begin) / every) + 1 if now >= begin else 0
            return int(7.5 * GIB) - min(steps * step, 8704) * 2 ** 20
        while step_at is None:
            assert left(time) >= 0, "it was not seen"
            state, decision = decide(state, look(left(time), left(time) + 4 * GIB, time=time), LIMITS)
            step_at = time if decision.kind == "step" else None
            time += INTERVAL
        assert left(step_at + 5) >= 0


def test_one_fall_however_deep_is_no_reason_to_hurry():
    """Somebody took 4 GiB at once, and no more. (Within the window it may yet be taken for a trend.)"""
    looks = [look(headroom * GIB, 12 * GIB, time=5.0 * number) for number, headroom in enumerate([9] * 24 + [5] * 4)]
    state = State()
    for seen in looks:
        state, decision = decide(state, seen, LIMITS)
        assert decision.kind in ("hold", "warn")


def test_a_slow_leak_above_the_warning_is_only_watched():
    looks = [look(40 * GIB - number * 100 * 2 ** 20, 60 * GIB, time=5.0 * number) for number in range(60)]
    assert run(looks)[1].kind == "hold"


@pytest.mark.parametrize("predicted, chosen, passed", [
    ((1.9, 2.5, 8.0), 3, {1, 2}),    # the first that restores the warning threshold; those passed over are named
    ((1.0, 2.5, 4.0), 3, {1, 2}),    # none does: the one that leaves most
    ((4.0, 2.5, 1.0), 1, {2, 3}),
    ((1.9, 1.0, 0.5), None, {1, 2, 3}),
    ((None, 1.0, None), 1, {2}),     # of what nothing is known, in its order
    ((None, 3.0, None), 2, set()),   # but after what will do
])
def test_the_rung_that_is_chosen(predicted, chosen, passed):
    seen = look(GIB, *(None if size is None else int(size * GIB) for size in predicted))
    rung, skipped = choose(seen, LIMITS)
    assert (rung, {rung for rung, _why in skipped}) == (chosen, passed)


def test_a_lost_card_latches_and_another_hand_unlatches():
    state, decision = run([look(9 * GIB, event="lost")])
    assert decision.kind == "latch" and "card is lost" in decision.reason
    assert decide(state, look(GIB, 9 * GIB, event="lost"), LIMITS)[1].kind == "hold"
    assert decide(state, look(GIB, 9 * GIB, event="oom", since="later"), LIMITS)[1].kind == "step"


def test_the_latch_of_a_lost_card_lifts_when_all_cards_answer_again_and_what_happened_meanwhile_counts():
    state, _decision = run([look(9 * GIB, event="lost")])
    for blind in (look(None), look(9 * GIB, complete=False)):
        assert decide(state, blind, LIMITS)[1].kind == "hold"
    lifted, decision = decide(state, look(GIB, 9 * GIB, event="oom"), LIMITS)
    assert decision.kind == "lift" and "answers again" in decision.reason
    assert decide(lifted, look(GIB, 9 * GIB), LIMITS)[1].kind == "step"


@pytest.mark.parametrize("quiet, backs", [(300.0, 6), (600.0, 5), (0.0, 0)])
def test_a_saw_at_the_threshold_is_followed_ever_more_slowly(quiet, backs):
    """With the period of calm and cool-down: 36 steps and as many steps back in 12 hours, where each began anew."""
    allowed = dataclasses.replace(LIMITS, quiet=quiet, steps_per_hour=60)
    world = World([0, 10 * GIB], lambda now: 9 * GIB if now % 1200 < 800 else GIB, [0, 10 * GIB]).run(allowed, 12 * HOUR)
    kinds = [decision.kind for _time, _rung, decision in world.decisions]
    assert kinds.count("back") <= backs and kinds.count("step") <= backs + 1 and kinds.count("step") >= 1


def test_a_step_back_that_held_is_followed_by_the_calm_that_the_inventory_names():
    allowed = dataclasses.replace(LIMITS, quiet=300.0, steps_per_hour=60)

    def load(now):
        return GIB if now < 300 or 900 < now < 1200 or 30000 < now < 30300 else 9 * GIB
    world = World([0, 10 * GIB], load, [0, 10 * GIB]).run(allowed, 33000)
    backs = [time for time, _rung, decision in world.decisions if decision.kind == "back"]
    assert len(backs) == 3
    steps = [time for time, _rung, decision in world.decisions if decision.kind == "step"]
    assert backs[1] - steps[1] >= 600 and backs[2] - steps[2] < 400


@pytest.mark.parametrize("order", [[1, None, 1, 1], [None, 1, 1, 1], [1, 1, None, 1]])
def test_samples_in_a_row_go_on_behind_one_that_was_incomplete(order):
    """None: the tight card did not answer, and the others have plenty."""
    looks = [look(90 * GIB, 95 * GIB, time=5.0 * number, complete=False) if left is None else look(left * GIB, 9 * GIB, time=5.0 * number)
             for number, left in enumerate(order)]
    state, decision = run(looks)
    assert decision.kind == "step", state


@pytest.mark.parametrize("blind", [{"headroom": None}, {"headroom": 20 * GIB, "complete": False}], ids=["nothing is seen", "the tight card is silent"])
@pytest.mark.parametrize("closing", [1, 2, 3])
def test_what_was_seen_longer_ago_than_the_window_ends_in_no_error(blind, closing):
    """A gentle fall under the warning, and then two minutes without a word: llama-server that exited for another reason and loads."""
    looks = [look(12 * GIB, 19 * GIB), look(9 * GIB, 19 * GIB, time=60.0)]
    looks += [look(int((6.9 - number / 10) * GIB), 19 * GIB, time=65.0 + 5 * number) for number in range(closing)]
    looks += [Observation(**{"time": 65.0 + 5 * number, "rung": 0, "predicted": (GIB, 9 * GIB), **blind}) for number in range(closing, 60)]
    state = State(ended=0.0)
    for seen in looks:
        state, decision = decide(state, seen, LIMITS)
    assert decision.kind == "hold" and state.closing == 0


def test_dips_that_lie_far_apart_are_no_row_of_samples():
    dips = {10, 400, 800}
    looks = [look((GIB if number in dips else 50 * GIB), 60 * GIB, time=5.0 * number, complete=False) for number in range(900)]
    state = State()
    for seen in looks:
        state, decision = decide(state, seen, LIMITS)
        assert decision.kind in ("hold", "warn")


def test_a_fall_is_seen_although_another_card_is_silent():
    fall = [look(int((9 - number / 2) * GIB), 30 * GIB, time=5.0 * number, complete=False) for number in range(18)]
    state = State()
    for seen in fall:
        state, decision = decide(state, seen, LIMITS)
        if decision.kind == "step":
            break
    assert decision.kind == "step" and seen.headroom >= 4 * GIB


def test_on_a_partial_look_it_does_not_give_up():
    looks = [look(GIB, 0, time=5.0 * number, complete=False) for number in range(20)]
    state, decision = run(looks)
    assert not state.latched and "as far as the cards that answer tell" in decision.reason


def test_no_step_an_hour_means_no_step():
    state, decision = run([look(GIB, 9 * GIB, time=5.0 * number) for number in range(9)], dataclasses.replace(LIMITS, steps_per_hour=0))
    assert decision.kind == "hold" and "may begin" in decision.reason, state


def test_the_calm_before_a_step_back_begins_anew_behind_an_incomplete_look():
    allowed, state, back = dataclasses.replace(LIMITS, quiet=60.0), State(rung=1, since=""), None
    for number in range(60):
        seen = Observation(time=5.0 * number, rung=1, headroom=20 * GIB, predicted=(15 * GIB, 20 * GIB), complete=number != 10)
        state, decision = decide(state, seen, allowed)
        back = seen.time if decision.kind == "back" and back is None else back
    assert back == 55 + 60


def test_what_the_cards_that_answer_lack_counts_although_another_is_silent():
    state, decision = run([look(GIB, 9 * GIB, time=5.0 * number, complete=False) for number in range(3)])
    assert decision.kind == "step" and "headroom 1.00 GiB is under 2.00 GiB" in decision.reason, state


@WORLDS
@given(seed=st.integers(), cards=st.integers(1, 4), quiet=st.sampled_from([0.0, 30.0, 200.0]))
def test_whatever_cards_are_silent_and_whenever_the_host_starts_anew_nothing_goes_up_on_a_partial_look_nor_within_the_cool_down(seed, cards, quiet):
    """No look ends in an error, whatever the clock begins at after the host was started anew."""
    source = random.Random(seed)
    allowed = dataclasses.replace(LIMITS, quiet=quiet, cooldown=source.choice([0.0, 30.0]), samples=source.randint(1, 4))
    state, rung, since, ends, stepped = State(since="0"), 0, "0", None, -math.inf
    clock = source.choice([0.0, 1e6])
    for on in range(0, 300, 5):  # seconds that the host was on
        now = clock + on
        if source.random() < 0.03:
            clock = source.uniform(0, 60) - on
            state, now = moved(state, clock + on - now), clock + on
        if ends is not None and on >= ends:
            rung, since, ends, stepped = state.stepping, since + ".", None, on
            state = finished(state, now, rung, since, True)
        free = [source.randrange(0, 20) * GIB for _card in range(cards)]
        answer = [size for size in free if source.random() < 0.8]
        event = source.choice(["", "", "", "", "", "oom", "lost"])
        seen = Observation(time=now, rung=rung, since=since, headroom=min(answer) if answer and source.random() < 0.9 else None, event=event,
                           predicted=tuple(source.choice([None, size * GIB]) for size in (2, 9, 14)), complete=len(answer) == cards)
        before = state
        state, decision = decide(state, seen, allowed)
        assert from_json(to_json(state)) == state
        assert decision.kind != "back" or seen.complete
        assert decision.kind != "lift" or (seen.complete and event != "lost" and before.latched)
        assert seen.complete or seen.headroom is None or seen.headroom < allowed.act or state.low == before.low or before.stepping is not None or (
            math.isinf(before.low_at) or state.since != before.since)  # of a row that began before the host's start nothing is known
        if decision.kind in ("step", "back"):
            assert on - stepped >= allowed.cooldown
            ends = on + 20.0


def test_after_another_start_of_the_host_no_time_is_later_than_now():
    state = State(steps=(100.0, 900.0), ended=950.0, calm_since=960.0, wide_since=970.0, went_back=940.0, history=((990.0, GIB),))
    later = moved(state, 5.0 - 1000.0)
    assert later.steps == (-895.0, -95.0) and later.ended == -45.0 and later.went_back == -55.0
    assert later.history == () and later.wide_since is None


def test_another_latch_does_not_lift_by_itself():
    state, decision = run([look(GIB)] * 9)
    assert decision.kind == "hold" and state.latched
    assert decide(state, look(90 * GIB), LIMITS)[1].kind == "hold"


def test_it_goes_back_only_where_the_inventory_allows_it_and_only_to_what_fits():
    def trace(left_at_0, seconds=2000):
        return [Observation(time=5.0 * number, rung=1, headroom=20 * GIB, predicted=(left_at_0, 20 * GIB)) for number in range(seconds // 5)]
    start = State(rung=1)
    assert run(trace(15 * GIB), LIMITS, start)[1].kind == "hold"
    allowed = dataclasses.replace(LIMITS, quiet=1800)
    state, kinds = start, []
    for seen in trace(15 * GIB):
        state, decision = decide(state, seen, allowed)
        kinds.append(decision.kind)
    assert kinds.index("back") == 1800 / 5
    assert run(trace(7 * GIB), allowed, start)[1].kind == "hold"


def test_the_time_to_zero():
    falling = tuple((5.0 * number, 7 * GIB - number * 256 * 2 ** 20) for number in range(13))
    assert time_to_zero(falling, LIMITS) == pytest.approx((7 * GIB - 12 * 256 * 2 ** 20) / (256 * 2 ** 20 / 5), rel=1e-6)
    noise = tuple((5.0 * number, 7 * GIB - number * 2 ** 20) for number in range(13))
    assert time_to_zero(noise, LIMITS) == math.inf
    assert time_to_zero(tuple(reversed([(60 - time, size) for time, size in falling])), LIMITS) == math.inf


def test_what_is_no_state_is_refused():
    with pytest.raises(ValueError, match="no state of the watcher"):
        from_json('{"rung": 1}')


def test_one_look_that_sees_no_way_out_is_not_the_end():
    """A process that dies may hold its memory a moment longer than its container lives."""
    lost = look(None, GIB, event="oom")
    assert run([lost, look(None, GIB)])[1].kind == "hold"
    assert run([lost, look(None, 9 * GIB)])[1].kind == "step"
    assert run([lost] + [look(None, GIB)] * 2)[1].kind == "latch"

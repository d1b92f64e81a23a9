"""The faster wins where it is more than noise, the fewer threads where it is not."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import choice


def found(threads, samples, **settings):
    return {"settings": dict(settings, threads=threads), "generation": choice.summary(samples)}


def test_a_summary_has_the_deviation_of_a_sample():
    assert choice.summary([1.0, 2.0, 3.0]) == {"mean": 2.0, "deviation": 1.0, "samples": [1.0, 2.0, 3.0]}
    assert choice.summary([4.0])["deviation"] == 0 and choice.summary([]) is None


@pytest.mark.parametrize("measured, threads", [
    ([found(96, [10, 10.1, 9.9]), found(48, [12, 12.1, 11.9])], 48),
    ([found(96, [12, 12.1, 11.9]), found(48, [10, 10.1, 9.9])], 96),
    ([found(96, [12, 12.4, 11.6]), found(48, [11.8, 12.1, 11.5])], 48),  # within noise
    ([found(96, [12.0] * 3), found(48, [11.95] * 3)], 48),  # samples that agree by chance: within one percent
    ([found(96, [12.0] * 3), found(48, [11.8] * 3)], 96),
    ([found(96, [12, 16, 8]), found(48, [9, 9.1, 8.9])], 96),  # restless, and a quarter faster all the same
    ([found(1, [1.0]), {"settings": {"threads": 2}, "generation": None}], 1),
])
def test_the_best_number_of_threads(measured, threads):
    assert choice.best(measured)["settings"]["threads"] == threads


def test_of_equals_with_as_many_threads_the_first_wins():
    assert choice.best([found(2, [5.0] * 3, cpuset=""), found(2, [5.01] * 3, cpuset="0-1")])["settings"]["cpuset"] == ""


def test_nothing_measured_has_no_best():
    assert choice.best([]) is None and choice.best_arrangement([], {}) is None


def arrangement(**speeds):
    """Of service to (threads, speed)."""
    return {"settings": {name: {"threads": threads} for name, (threads, _speed) in speeds.items()},
            "generation": {name: choice.summary([speed] * 5) for name, (_threads, speed) in speeds.items()}}


ALONE = {"oracle": choice.summary([10.0] * 3), "executor": choice.summary([40.0] * 3)}


@pytest.mark.parametrize("arrangements, number", [
    ([arrangement(oracle=(96, 4.0), executor=(96, 16.0)), arrangement(oracle=(48, 7.0), executor=(48, 28.0))], 1),
    ([arrangement(oracle=(96, 9.0), executor=(96, 8.0)), arrangement(oracle=(48, 6.0), executor=(48, 24.0))], 1),  # √(.9 × .2) against .6
    ([arrangement(oracle=(96, 6.0), executor=(96, 24.0)), arrangement(oracle=(48, 5.98), executor=(48, 23.9))], 1),  # within noise: fewer threads
    ([arrangement(oracle=(96, 6.0), executor=(96, 24.0)), arrangement(oracle=(48, 5.0), executor=(48, 24.0))], 0),
])
def test_the_arrangement_that_leaves_most_of_all_speeds_wins(arrangements, number):
    assert choice.best_arrangement(arrangements, ALONE) is arrangements[number]


def test_an_arrangement_of_a_service_that_was_not_measured_alone_is_none():
    assert choice.best_arrangement([arrangement(oracle=(1, 1.0), executor=(1, 1.0))], {"oracle": ALONE["oracle"]}) is None


def test_repeats_minutes_apart_tell_what_a_difference_is_worth():
    assert choice.repeatability([100.0]) is None and choice.repeatability([100.0, 100.0, 100.0]) == 0
    # Five values with a deviation of 5 %: Student's t for four degrees of freedom is 2.78, and a difference has both errors.
    assert choice.repeatability([95.0, 95.0, 100.0, 105.0, 105.0]) == pytest.approx(2.78 * 2 ** 0.5 * 0.05)
    assert choice.repeatability([95.0, 105.0]) > choice.repeatability([95.0, 105.0, 95.0, 105.0])


def test_a_restless_machine_gives_away_three_percent_at_most():
    def measured(threads, mean, deviation):
        return {"settings": {"threads": threads}, "generation": {"mean": mean, "deviation": deviation, "samples": [mean] * 3}}
    assert choice.best([measured(2, 100.0, 40.0), measured(1, 90.0, 40.0)])["settings"]["threads"] == 2
    assert choice.best([measured(2, 100.0, 40.0), measured(1, 98.0, 40.0)])["settings"]["threads"] == 1

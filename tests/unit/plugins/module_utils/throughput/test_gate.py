"""A service's speed against its last good one: what passes, what is kept, what is said."""
import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import gate

IDENTITY = {"model": "a", "rung": "inventory"}
INPUTS = {"image": "one", "--threads": "2"}


def speeds(generation, prompt=300.0):
    return {"generation": float(generation), "prompt": float(prompt)}


def after(*measured, bound=85, inputs=None):
    """(record, verdict) after some measurements of one identity."""
    record = verdict = {}
    for found in measured:
        record, verdict = gate.noted(record, IDENTITY, found, inputs or INPUTS, "2026-01-01", bound)
    return record, verdict


def test_a_first_measurement_passes_and_is_what_the_next_one_is_compared_with():
    record, verdict = after(speeds(100))
    assert verdict["holds"] and verdict["percent"] == {} and "nothing to compare with" in gate.sentence(verdict)
    assert gate.entry_of(record, IDENTITY)["speeds"] == speeds(100)


@pytest.mark.parametrize("generation, prompt, holds", [(100, 300, True), (85, 255, True), (84.9, 300, False), (100, 254.9, False), (70, 210, False)])
def test_either_speed_below_the_bound_is_too_slow(generation, prompt, holds):
    _record, verdict = after(speeds(100), speeds(generation, prompt))
    assert verdict["holds"] is holds
    assert verdict["percent"] == {"generation": pytest.approx(generation), "prompt": pytest.approx(prompt / 3)}


def test_what_is_too_slow_leaves_the_last_good_one():
    record, _verdict = after(speeds(100), speeds(50))
    assert gate.entry_of(record, IDENTITY)["speeds"] == speeds(100)
    assert not gate.noted(record, IDENTITY, speeds(60), INPUTS, "", 85)[1]["holds"]


def test_many_small_steps_down_do_not_all_pass():
    steps = [speeds(100 * 0.95 ** step) for step in range(5)]
    assert [after(*steps[:count])[1]["holds"] for count in range(1, 6)] == [True, True, True, True, False]


def test_a_faster_one_is_the_measure_from_then_on():
    assert not after(speeds(100), speeds(130), speeds(105))[1]["holds"]


def test_each_of_both_speeds_keeps_its_best():
    record, _verdict = after(speeds(100, 300), speeds(95, 400))
    assert gate.entry_of(record, IDENTITY)["speeds"] == speeds(100, 400)


def test_another_rung_has_a_speed_of_its_own():
    record, _verdict = after(speeds(100))
    record, verdict = gate.noted(record, dict(IDENTITY, rung="kv_to_ram"), speeds(20), INPUTS, "", 85)
    assert verdict["holds"] and verdict["against"] == {}
    assert gate.entry_of(record, IDENTITY)["speeds"] == speeds(100)


def test_what_has_changed_is_said_and_no_more():
    record, _verdict = after(speeds(100))
    _record, verdict = gate.noted(record, IDENTITY, speeds(60), {"image": "one", "--threads": "1", "CPU quota": "1.40 CPUs"}, "", 85)
    assert verdict["changed"] == ["--threads was 2 and is 1", "CPU quota was not there and is 1.40 CPUs"]
    text = gate.sentence(verdict)
    assert "60 % of 100.0" in text and "less than 85 %" in text and "--threads was 2 and is 1" in text and "image" not in text


def test_where_nothing_has_changed_it_says_where_to_look():
    assert "none has changed: look at" in gate.sentence(after(speeds(100), speeds(60))[1])


def test_inputs_are_compared_with_those_of_the_last_good_one():
    record, _verdict = after(speeds(100))
    record, _verdict = gate.noted(record, IDENTITY, speeds(60), dict(INPUTS, image="two"), "", 85)
    assert gate.noted(record, IDENTITY, speeds(60), dict(INPUTS, image="two"), "", 85)[1]["changed"] == ["image was one and is two"]


def test_accepted_it_is_the_measure_whatever_it_was():
    record, _verdict = after(speeds(100))
    record, verdict = gate.noted(record, IDENTITY, speeds(40), INPUTS, "", 85, accept=True)
    assert verdict["holds"] and verdict["accepted"] and "accepted as good" in gate.sentence(verdict)
    assert gate.entry_of(record, IDENTITY)["speeds"] == speeds(40)


def test_old_identities_are_forgotten_the_present_one_never():
    record = {}
    for number in range(gate.KEPT + 5):
        record, _verdict = gate.noted(record, {"rung": number}, speeds(10), INPUTS, "", 85)
    assert [entry["identity"]["rung"] for entry in record["good"]] == list(range(gate.KEPT + 4, 4, -1))


def test_options_by_their_names():
    assert gate.options(["--threads", "4", "--mlock", "--network", "name=a", "--network", "name=b", "-ot", "a=CPU,b=CPU", "--seed", "-1"]) == {
        "--threads": "4", "--mlock": "set", "--network": "name=a name=b", "-ot": "a=CPU,b=CPU", "--seed": "-1"}

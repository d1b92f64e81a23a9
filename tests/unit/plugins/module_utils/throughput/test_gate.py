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


def measure_after(*measured):
    return gate.entry_of(after(*measured)[0], IDENTITY)["speeds"]


@pytest.mark.parametrize("generation, measure", [
    ([100], 100), ([100, 90], 95), ([100, 90, 120], 100), ([100, 90, 120, 104], 102), ([100, 90, 120, 104, 106], 104), ([100, 90, 120, 104, 106, 110], 106)])
def test_the_measure_is_the_median_of_the_last_five(generation, measure):
    assert measure_after(*(speeds(one) for one in generation)) == speeds(measure)


def test_of_each_speed_by_itself():
    assert measure_after(speeds(100, 300), speeds(95, 400), speeds(110, 310)) == speeds(100, 310)


def test_once_it_rests_on_five_it_does_not_fall():
    assert measure_after(*[speeds(100)] * 5, *[speeds(90)] * 5) == speeds(100)


def test_many_small_steps_down_do_not_all_pass():
    record, _verdict = after(*[speeds(100)] * 5)
    held = []
    for step in range(1, 5):
        record, verdict = gate.noted(record, IDENTITY, speeds(100 * 0.95 ** step), INPUTS, "", 85)
        held.append(verdict["holds"])
    assert held == [True, True, True, False]


def test_one_lucky_measurement_does_not_fail_the_next_one():
    assert after(speeds(100), speeds(100), speeds(125), speeds(90))[1]["holds"]


def test_a_faster_one_is_the_measure_once_it_is_the_rule():
    assert not after(*[speeds(100)] * 5, *[speeds(130)] * 3, speeds(105))[1]["holds"]


def test_a_record_without_measurements_goes_on_from_its_measure():
    record = {"good": [{"identity": IDENTITY, "speeds": speeds(100), "inputs": INPUTS, "date": ""}]}
    record, verdict = gate.noted(record, IDENTITY, speeds(90), INPUTS, "", 85)
    assert verdict["holds"] and gate.entry_of(record, IDENTITY)["speeds"] == speeds(95)


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
    assert not gate.noted(record, IDENTITY, speeds(30), INPUTS, "", 85)[1]["holds"]


def test_old_identities_are_forgotten_the_present_one_never():
    record = {}
    for number in range(gate.KEPT + 5):
        record, _verdict = gate.noted(record, {"rung": number}, speeds(10), INPUTS, "", 85)
    assert [entry["identity"]["rung"] for entry in record["good"]] == list(range(gate.KEPT + 4, 4, -1))


def test_options_by_their_names():
    assert gate.options(["--threads", "4", "--mlock", "--network", "name=a", "--network", "name=b", "-ot", "a=CPU,b=CPU", "--seed", "-1"]) == {
        "--threads": "4", "--mlock": "set", "--network": "name=a name=b", "-ot": "a=CPU,b=CPU", "--seed": "-1"}


def test_of_a_service_that_generates_nothing_the_prompt_alone_counts():
    record, first = gate.noted({}, {"model": "a"}, {"prompt": 100.0}, {}, "2026-11-30", 85)
    assert first["holds"] and gate.sentence(first) == "prompt 100.0 tok/s; nothing to compare with yet"
    _record, slower = gate.noted(record, {"model": "a"}, {"prompt": 80.0}, {}, "2026-12-01", 85)
    assert not slower["holds"] and gate.sentence(slower).startswith("prompt 80.0 tok/s (80 % of 100.0): less than 85 %")

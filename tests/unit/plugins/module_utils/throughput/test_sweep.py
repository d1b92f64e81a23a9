"""The sweep on machines that are known: what it measures, in which order, where it ends, and what it leaves when it is stopped."""
import copy
import os
import sys

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import choice, sweep, topology

sys.path.insert(0, os.path.dirname(__file__))
import machines  # noqa: E402


def world(cpus, *names, **fixed):
    """Services of a 4 GB model; fixed: service to what the inventory decides."""
    services = [{"name": name, "fixed": fixed.get(name, {}), "micro_batch": 512, "bytes": 4e9, "per_token": 4e9,
                 "ways": ["none"], "prompts": 0, "placements": {}} for name in names or ("executor",)]
    return {"cpus": cpus, "node_memory": {str(node): 64 << 30 for node in range(8)}, "bandwidth": 300e9, "repetitions": 3, "prompt": 256, "generate": 64,
            "together": 10, "services": services}


def peak_at(best):
    """A machine that generates fastest with so many threads, and likes small batches a little."""
    def speed(settings):
        generation = 40.0 * (1 - abs(settings["threads"] - best) / 200)
        return generation, 100.0 + (5 if settings["batch"] == 512 else 0)
    return speed


def run(given, speed, steps=1000, together=0.6, results=()):
    """Results of a whole sweep, or of its first steps, as far as llama-bench measures; those that are there already are not among them."""
    before = len(results)
    results = list(results)
    for _step in range(steps):
        step = sweep.next_step(given, results)
        if step is None or step["kind"] == "served":
            break
        assert sweep.key(step) not in {sweep.key(found) for found in results}
        if step["kind"] == "together":
            found = {"generation": {name: choice.summary([speed(one)[0] * together] * 5) for name, one in step["settings"].items()}}
        else:
            generation, prompt = speed(step["settings"])
            found = {"generation": choice.summary([generation] * 3) if step["work"]["generate"] else None,
                     "prompt": choice.summary([prompt] * 3) if step["work"]["prompt"] else None, "overhead": 1.0, "seconds": 9.0}
        results.append(dict(step, failed="", **found))
    return results[before:]


WAYS = {"ways": ["none", "ngram", "mtp"], "prompts": 4}
GAINS = {"ngram": 0.9, "mtp": 1.5}


def speculating(speed, gains):
    """The same machine, on which each way generates so many times as fast."""
    def served(step):
        generation = speed(step["settings"])[0]
        return {what: [{"prompt": number % 4, "speed": generation * gain, "tokens": 64, "drafted": 0, "accepted": 0} for number in range(12)]
                for what, gain in (("answers", gains[step["settings"]["speculation"]]), ("without", 1.0))}
    return served


def run_speculating(given, speed, gains):
    """Results of a whole sweep in which services may speculate."""
    served, results = speculating(speed, gains), []
    for _step in range(1000):
        results = results + run(given, speed, results=results)
        step = sweep.next_step(given, results)
        if step is None:
            return results
        assert step["kind"] == "served"
        results = results + [dict(step, failed="", prompt=None, generation=None, **served(step))]
    raise AssertionError("it does not end")


def test_ways_of_speculation_come_last_and_the_fastest_stands_with_what_it_wins():
    given = world(machines.THREADRIPPER)
    given["services"][0].update(WAYS)
    results = run_speculating(given, peak_at(60), GAINS)
    served = [place for place, found in enumerate(results) if found["kind"] == "served"]
    assert served == list(range(len(results) - 2, len(results)))
    assert [found["settings"]["speculation"] for found in results[-2:]] == ["ngram", "mtp"]
    assert {found["settings"]["threads"] for found in results[-2:]} == {sweep.chosen(given, results)["executor"]["settings"]["threads"]}
    found = sweep.chosen(given, results)["executor"]
    assert found["settings"]["speculation"] == "mtp" and found["speculation"]["mtp"]["ratio"] == pytest.approx(1.5)


@pytest.mark.parametrize("changed", [{"ways": ["none"]}, {"prompts": 0}, {"fixed": {"speculation": "mtp"}}])
def test_what_there_is_nothing_to_choose_of_is_not_measured(changed):
    given = world(machines.PAIR)
    given["services"][0].update(dict(WAYS, **changed))
    kinds = {found["kind"] for found in run_speculating(given, peak_at(2), GAINS)}
    assert kinds and "served" not in kinds


def test_a_way_that_fails_is_not_taken_and_measured_once():
    given = world(machines.PAIR)
    given["services"][0].update(WAYS)
    results = run_speculating(given, peak_at(2), GAINS)
    results[-1] = dict(results[-1], failed="it stopped answering", answers=[])
    assert sweep.next_step(given, results) is None and sweep.chosen(given, results)["executor"]["settings"]["speculation"] == "none"


def test_a_service_with_placements_is_swept_as_finely(machine=machines.THREADRIPPER):
    given = world(machine)
    given["services"][0]["placements"] = {"planned": {}, "first_card": {}}
    results = run(given, lambda settings: tuple(one * (2 if settings["placement"] == "first_card" else 1) for one in peak_at(60)(settings)))
    assert [found["settings"]["placement"] for found in results[:2]] == ["planned", "first_card"]
    assert all(found["settings"]["placement"] == "first_card" for found in results[2:] if found["stage"] != "steady")
    assert {found["settings"]["threads"] for found in results if found["stage"] == "threads"} >= {8, 24, 48, 192, 60}


def test_the_first_measurement_is_repeated_over_the_run_and_tells_the_noise():
    given, count = world(machines.PAIR), [0]

    def drifting(settings):
        count[0] += 1
        return tuple(one * (1 + 0.01 * count[0]) for one in peak_at(2)(settings))
    results = run(given, drifting)
    steady = [found for found in results if found["stage"] == "steady"]
    assert [found["work"]["turn"] for found in steady] == [1, 2, 3] and all(found["settings"] == results[0]["settings"] for found in steady)
    means = [results[0]["generation"]["mean"]] + [found["generation"]["mean"] for found in steady]
    assert sweep.chosen(given, results)["executor"]["noise"]["generation"] == pytest.approx(choice.repeatability(means))


def threads_of(results, stage="threads"):
    return [found["settings"]["threads"] for found in results if found["stage"] == stage]


def test_threads_come_first_and_coarse_ones_before_fine_ones():
    results = run(world(machines.THREADRIPPER), peak_at(60))
    assert threads_of(results)[:5] == [96, 48, 8, 24, 192]
    assert 60 in threads_of(results)[5:] and len(threads_of(results)) <= 12


@pytest.mark.parametrize("best", [8, 24, 48, 72, 96, 192])
def test_the_best_number_of_threads_is_found(best):
    given = world(machines.THREADRIPPER)
    results = run(given, peak_at(best))
    assert abs(sweep.chosen(given, results)["executor"]["settings"]["threads"] - best) <= 8


def test_stages_come_in_their_order():
    stages = list(dict.fromkeys(found["stage"] for found in run(world(machines.THREADRIPPER, "oracle", "executor"), peak_at(48)) if found["stage"] != "steady"))
    assert stages == [name for name, _what in sweep.STAGES if name not in ("placement", "speculation")]  # there is nothing to choose of


def test_two_cores_leave_little_to_measure():
    results = run(world(machines.PAIR), lambda settings: (10.0 * settings["threads"], 100.0))
    assert threads_of(results) == [2, 1] and len(results) < 20
    assert all(found["settings"]["cpuset"] == "" for found in results)


def test_a_node_of_its_own_and_numas_own_way_are_tried_where_there_are_nodes():
    results = run(world(machines.THREADRIPPER_NPS4), peak_at(24))
    pinned = [found["settings"] for found in results if found["stage"] == "pinning"]
    assert {"cpuset": "0-23", "mems": "0"}.items() <= next(one for one in pinned if one["mems"]).items()
    assert [one for one in pinned if one["numa"] == "distribute"]


def test_memory_of_one_node_is_not_asked_for_a_model_that_does_not_fit_there():
    given = world(machines.THREADRIPPER_NPS4)
    given["node_memory"] = {"0": 5 << 30}
    assert not [found for found in run(given, peak_at(24)) if found["settings"]["mems"]]


def test_what_is_best_stands_in_the_later_stages():
    results = run(world(machines.THREADRIPPER), peak_at(48))
    assert {found["settings"]["threads"] for found in results if found["stage"] in ("batch", "flash_attn", "kv_type")} == {48}
    assert {found["settings"]["batch"] for found in results if found["stage"] == "micro_batch"} == {512}
    assert all(found["settings"]["micro_batch"] <= found["settings"]["batch"] for found in results if found["stage"] == "micro_batch")


def test_a_quantised_cache_has_flash_attention():
    assert {found["settings"]["flash_attn"] for found in run(world(machines.PAIR), peak_at(2)) if found["settings"]["kv_type"] == "q8_0"} == {"on"}


def test_what_the_inventory_fixes_is_not_swept():
    results = run(world(machines.THREADRIPPER, executor={"threads": 40, "cpuset": "0-47", "batch": 256}), peak_at(60))
    assert {(found["settings"]["threads"], found["settings"]["cpuset"], found["settings"]["batch"]) for found in results} == {(40, "0-47", 256)}


def test_threads_stay_within_the_cpus_that_the_inventory_names():
    results = run(world(machines.THREADRIPPER, executor={"cpuset": "0-15,96-111"}), peak_at(12))
    assert max(threads_of(results)) == 32 and threads_of(results)[0] == 16 and {found["settings"]["cpuset"] for found in results} == {"0-15,96-111"}
    anywhere = run(world(machines.THREADRIPPER, executor={"cpuset": ""}), peak_at(48))
    assert {found["settings"]["cpuset"] for found in anywhere} == {""}


def test_all_services_are_measured_at_once_on_disjoint_cores_and_not():
    given = world(machines.THREADRIPPER, "oracle", "executor")
    together = [found["settings"] for found in run(given, peak_at(96)) if found["kind"] == "together"]
    assert [(one["oracle"]["cpuset"], one["executor"]["cpuset"]) for one in together] == [("", ""), ("0-47", "48-95"), ("0-71", "72-95"), ("0-23", "24-95")]
    assert [one["oracle"]["threads"] for one in together] == [96, 48, 72, 24]


def test_one_service_is_not_measured_together():
    assert not [found for found in run(world(machines.THREADRIPPER), peak_at(96)) if found["kind"] == "together"]


def test_the_placement_is_that_of_the_best_arrangement_or_of_each_alone():
    given = world(machines.THREADRIPPER, "oracle", "executor")

    results = run(given, peak_at(96))
    for found in results:
        if found["kind"] == "together":  # two sets of threads on one core wait for each other
            apart = found["settings"]["oracle"]["cpuset"] == "0-47"
            found["generation"] = {name: choice.summary([30.0 if apart else 10.0] * 5) for name in found["settings"]}
    both = sweep.chosen(given, results)
    assert [(both[name]["settings"]["threads"], both[name]["settings"]["cpuset"], both[name]["arrangement"]) for name in ("oracle", "executor")] == [
        (48, "0-47", True), (48, "48-95", True)]
    assert both["oracle"]["together"]["mean"] == 30.0 and both["oracle"]["settings"]["batch"] == 512
    alone = sweep.chosen(given, results, "alone")
    assert alone["oracle"]["settings"]["threads"] == 96 and alone["oracle"]["together"] is None


@pytest.mark.parametrize("steps", range(0, 60, 3))
def test_stopped_anywhere_it_leaves_the_best_it_has_seen(steps):
    given = world(machines.THREADRIPPER, "oracle", "executor")
    results = run(given, peak_at(60), steps)
    found = sweep.chosen(given, results, "alone")
    for name in ("oracle", "executor"):
        seen = [one for one in results if one["kind"] == "alone" and one["service"] == name and one["stage"] == "threads"]
        assert (name in found) == bool(seen)
        if seen:
            assert found[name]["settings"]["threads"] == choice.best(seen)["settings"]["threads"]


def test_an_interrupted_sweep_measures_what_an_uninterrupted_one_does():
    given = world(machines.THREADRIPPER, "oracle", "executor")
    whole = run(given, peak_at(60))
    half = copy.deepcopy(whole[:len(whole) // 2])
    assert sweep.key(sweep.next_step(given, half)) == sweep.key(whole[len(whole) // 2])


def test_a_step_without_time_is_passed_over_and_the_next_one_taken():
    given = world(machines.THREADRIPPER)
    first = sweep.next_step(given, [])
    second = sweep.next_step(given, [], {sweep.key(first)})
    assert (first["settings"]["threads"], second["settings"]["threads"]) == (96, 48)


def test_a_measurement_that_failed_is_not_made_again_and_decides_nothing():
    given = world(machines.PAIR)
    results = run(given, peak_at(2), 1)
    results[0].update(failed="exit status 1", generation=None, prompt=None)
    assert sweep.next_step(given, results)["settings"]["threads"] == 1
    assert sweep.chosen(given, results) == {}


def test_time_is_estimated_by_the_roofline_first_and_then_by_what_was_seen():
    given = world(machines.THREADRIPPER)
    first = sweep.next_step(given, [])
    assert sweep.estimate(given, [], first) == pytest.approx(1.25 * (3 + 4 + 4 * (256 / 67.5 + 64 / 22.5)))
    results = run(given, lambda settings: (10.0, 100.0), 1)
    again = sweep.next_step(given, results)  # half the threads: half the speed, until it is known
    assert sweep.estimate(given, results, again) == pytest.approx(1.25 * (1 + 4 * (256 / 50 + 64 / 5)))


def test_every_measured_cpu_is_one_of_the_machine():
    for cpus in (machines.PAIR, machines.OPAQUE, machines.THREADRIPPER, machines.THREADRIPPER_NPS4, machines.TWO_EPYCS):
        known = {cpu["cpu"] for cpu in cpus}
        measured = run(world(cpus, "oracle", "executor"), peak_at(3))
        assert {found["kind"] for found in measured} >= {"together"}
        for found in measured:
            for one in found["settings"].values() if found["kind"] == "together" else [found["settings"]]:
                assert not one["cpuset"] or set(topology.expanded(one["cpuset"])) <= known
                assert not one["cpuset"] or one["threads"] <= len(topology.expanded(one["cpuset"]))


def test_what_the_inventory_fixes_stands_in_every_arrangement():
    given = world(machines.THREADRIPPER, "oracle", "executor", oracle={"cpuset": "0-7"}, executor={"threads": 60})
    together = [found["settings"] for found in run(given, peak_at(8)) if found["kind"] == "together"]
    assert {one["oracle"]["cpuset"] for one in together} == {"0-7"} and {one["executor"]["threads"] for one in together} == {60}
    assert {one["executor"]["cpuset"] for one in together} == {"", "24-95"}  # in a part that holds its threads

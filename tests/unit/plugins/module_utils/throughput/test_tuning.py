"""What the inventory fixes stands; what was measured counts while nothing has changed; before that there is a rule."""
import os
import sys

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import fingerprint, reading, rule, topology, tuning

sys.path.insert(0, os.path.dirname(__file__))
import machines  # noqa: E402

NAMES = ["oracle", "executor"]
SERVICE = {"name": "executor", "threads": "auto", "cpuset": "auto", "batch": "auto", "micro_batch": 512, "device": "cpu", "gpus": [], "gpu_layers": "auto",
           "tensor_split": "", "tensor_overrides": [], "split_mode": "", "load_mode": "", "placement": "auto", "placements": ["planned"],
           "speculation": "auto", "draft_model": "", "context": 8192, "sample_prompts": ["a"],
           "extra_arguments": []}
SPECULATIONS = {"ngram": {"arguments": ["--spec-default"]}, "draft": {"needs": "draft_model", "arguments": ["--spec-type", "draft-simple"]}}
HOST = fingerprint.host("AMD Ryzen Threadripper PRO 9995WX 96-Cores", machines.THREADRIPPER, "6400 MT/s")
SETTINGS = {"threads": 40, "cpuset": "48-87", "mems": "", "strict": False, "numa": "", "batch": 512, "micro_batch": 512, "flash_attn": "auto", "kv_type": "f16",
            "speculation": "none"}
FACT = {"host": HOST, "image": "sha256:aaaa", "services": {"executor": {"model": "ffff", "settings": SETTINGS, "evidence": "40 threads, 20 tok/s"}}}


def tuned(fact=None, host=None, cpus=machines.THREADRIPPER, image="sha256:aaaa", model="ffff", names=None, draft="", **service):
    return tuning.tune(dict(SERVICE, **service), names or NAMES, host or HOST, cpus, image, model, FACT if fact is None else fact, SPECULATIONS, draft)


def fact_of(**settings):
    return dict(FACT, services={"executor": dict(FACT["services"]["executor"], settings=dict(SETTINGS, **settings))})


def test_the_way_of_speculation_that_was_faster_is_taken():
    found = tuned(fact=fact_of(speculation="ngram"))
    assert (found["speculation"], found["arguments"]) == ("ngram", ["--spec-default"])
    assert (tuned()["speculation"], tuned()["arguments"]) == ("none", [])


@pytest.mark.parametrize("settings, service, way", [
    ({"speculation": "ngram"}, {"speculation": "none"}, "none"), ({"speculation": "none"}, {"speculation": "ngram"}, "ngram"),
    ({"speculation": "gone"}, {}, "none"), ({"speculation": "ngram"}, {"threads": "7"}, "ngram")])
def test_the_inventory_decides_on_speculation_before_the_measurement(settings, service, way):
    assert tuned(fact=fact_of(**settings), **service)["speculation"] == way


def test_a_measured_way_is_stale_with_the_rest():
    assert tuned(fact=fact_of(speculation="ngram"), image="sha256:bbbb")["speculation"] == "none"


def test_a_draft_model_is_named_to_the_server():
    assert tuned(speculation="draft", draft="small.gguf")["arguments"] == ["--spec-type", "draft-simple", "--spec-draft-model", "/draft/small.gguf"]


@pytest.mark.parametrize("way, words", [
    ("gone", "speculation gone is neither auto nor none nor in .*draft, ngram"), ("draft", "speculation draft wants a draft_model")])
def test_a_way_that_cannot_be_taken_is_refused_by_name(way, words):
    with pytest.raises(ValueError, match="service executor: " + words):
        tuned(speculation=way)


def test_what_was_measured_is_taken_with_its_evidence():
    found = tuned()
    assert (found["threads"], found["cpuset"], found["batch"], found["origin"], found["evidence"]) == (40, "48-87", 512, "measured", "40 threads, 20 tok/s")


@pytest.mark.parametrize("change, words", [
    ({"image": "sha256:bbbb"}, "the image was aaaa and is bbbb"), ({"model": "eeee"}, "the model was ffff and is eeee"),
    ({"host": dict(HOST, cpu="EPYC")}, "the processor was AMD Ryzen Threadripper PRO 9995WX 96-Cores and is EPYC"),
    ({"host": dict(HOST, memory_speed="4800 MT/s")}, "the speed of the memory was 6400 MT/s and is 4800 MT/s"),
    ({"host": dict(HOST, nodes=4)}, "the number of NUMA nodes was 1 and is 4"),
])
def test_a_change_makes_it_stale_and_is_told(change, words):
    found = tuned(**change)
    assert (found["origin"], found["threads"], found["cpuset"], found["batch"]) == ("rule", 48, "48-95", 2048)
    assert "what was measured is stale: " + words in found["evidence"]
    assert "the rule: one thread a physical core, 2 services on disjoint cores" in found["evidence"]


def test_what_nobody_knows_makes_nothing_stale():
    assert tuned(host=dict(HOST, memory_speed=None))["origin"] == "measured"


def test_before_anything_was_measured_the_rule_applies_and_says_so():
    found = tuned(fact={})
    assert found["evidence"].startswith("nothing was measured on this host; the rule: ") and (found["threads"], found["batch"]) == (48, 2048)


@pytest.mark.parametrize("cpus, names, threads, cpuset", [
    (machines.THREADRIPPER, ["oracle", "executor"], 48, "48-95"), (machines.THREADRIPPER, ["executor"], 96, ""), (machines.PAIR, NAMES, 2, ""),
    (machines.OPAQUE, NAMES, 4, ""), (machines.TWO_EPYCS, NAMES, 64, "64-127"), (machines.THREADRIPPER_NPS4, ["a", "b", "c", "executor"], 24, "72-95"),
])
def test_the_rule(cpus, names, threads, cpuset):
    found = rule.settings(cpus, names, "executor")
    assert (found["threads"], found["cpuset"]) == (threads, cpuset)


def test_the_rule_gives_services_disjoint_cores():
    parts = [set(topology.expanded(rule.settings(machines.TWO_EPYCS, NAMES, name)["cpuset"])) for name in NAMES]
    assert not parts[0] & parts[1] and len(parts[0] | parts[1]) == 128


@pytest.mark.parametrize("fixed, threads, cpuset, batch", [
    ({"threads": "7"}, 7, "48-95", 512), ({"threads": "192"}, 192, "", 512), ({"cpuset": "0-7"}, 8, "0-7", 512),
    ({"cpuset": "0-7,96-103"}, 8, "0-7,96-103", 512), ({"cpuset": ""}, 96, "", 512),
    ({"batch": "1024"}, 40, "48-87", 1024), ({"threads": "40"}, 40, "48-87", 512), ({"cpuset": "100-103"}, 4, "100-103", 512),
])
def test_what_the_inventory_fixes_stands(fixed, threads, cpuset, batch):
    found = tuned(**fixed)
    assert (found["threads"], found["cpuset"], found["batch"]) == (threads, cpuset, batch)


def test_what_was_measured_with_other_values_than_the_inventorys_is_told():
    assert "measured with other values than the inventory's (threads 40)" in tuned(threads="7")["evidence"]


def test_an_inventory_that_fixes_all_asks_nobody():
    assert tuned(threads="7", cpuset="", batch="512")["origin"] == "inventory"


def test_a_placement_becomes_words_of_both_programs():
    strict = dict(SETTINGS, cpuset="0-1", threads=2, strict=True, numa="distribute")
    words = ["--cpu-mask", "0x3", "--cpu-strict", "1", "--numa", "distribute"]
    fact = dict(FACT, services={"executor": dict(FACT["services"]["executor"], settings=strict)})
    assert tuned(fact=fact)["arguments"] == words
    assert tuning.bench_words(strict, {"prompt": 1, "generate": 2, "depth": 3}, 4)[-6:] == words


def test_without_a_cpuset_strict_threads_take_the_first_cpus():
    assert tuning.strict_cpus(dict(SETTINGS, cpuset="", threads=2)) == [0, 1]


def test_the_measurement_is_told_what_the_inventory_fixes():
    model = {"name": "m", "files": [{"name": "a.gguf", "sha256": "1"}, {"name": "b.gguf", "sha256": "2"}]}
    found = tuning.bench_service(dict(SERVICE, threads="7", cpuset=""), model, "/srv/models")
    assert (found["fixed"], found["folder"], found["files"]) == ({"threads": 7, "cpuset": ""}, "/srv/models/m", ["a.gguf", "b.gguf"])


def test_a_model_has_one_hash():
    one, other = {"sha256": "1"}, {"sha256": "2"}
    assert fingerprint.model_hash([one]) == "1" and fingerprint.model_hash([one, {}]) == ""
    assert len({fingerprint.model_hash(files) for files in ([one, other], [other, one], [one])}) == 3


def test_the_memorys_speed_is_that_of_the_slowest_module():
    text = "\tSpeed: 6400 MT/s\n\tConfigured Memory Speed: 6000 MT/s\n\n\tConfigured Memory Speed: 5600 MT/s\n\tConfigured Memory Speed: Unknown\n"
    assert reading.memory_speed(text) == "5600 MT/s" and reading.memory_speed("") is None

"""One fault in what an inventory says of speed is one problem, with its remedy."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import speed_rules

SERVICE = {"name": "oracle", "device": "gpu", "gpus": ["GPU-a", "GPU-b"], "gpu_layers": "auto", "tensor_split": "", "tensor_overrides": [], "split_mode": "",
           "load_mode": "", "placement": "auto", "placements": ["planned", "doctrine"], "speculation": "auto", "draft_model": ""}
SOUND = {
    "bunker_services": [SERVICE, dict(SERVICE, name="executor", device="cpu", gpus=[])],
    "model_store_catalogue": [{"name": "small"}], "model_store_extra_models": [],
    "inference_service_placements": {
        "planned": {}, "first_card": {"cards": 1}, "three": {"cards": 3}, "doctrine": {"gpu_layers": "19", "tensor_split": "75,25"}},
    "inference_service_speculations": {"draft": {"needs": "draft_model", "arguments": ["--spec-type", "draft-simple"]},
                                       "ngram": {"arguments": ["--spec-default"]}},
    "inference_service_speed_bound": 85, "inference_service_speed_seconds": 5.0, "inference_service_vram_free": 7,
    "throughput_services": [], "throughput_budget": 900, "throughput_repetitions": 3, "throughput_prompt": 256, "throughput_generate": 64,
}


def oracle(**values):
    return lambda inventory: inventory["bunker_services"][0].update(values)


def variable(**values):
    return lambda inventory: inventory.update(values)


@pytest.mark.parametrize("change", [
    lambda inventory: None, oracle(speculation="draft", draft_model="small"), oracle(placement="first_card"), oracle(gpu_layers="19", tensor_split="75,25"),
    oracle(gpu_layers="19", placement="as_defined"), oracle(speculation="none"), variable(inference_service_speed_bound=0)])
def test_what_is_sound_has_no_problem(change):
    inventory = copy.deepcopy(SOUND)
    change(inventory)
    assert speed_rules.check(inventory) == []


@pytest.mark.parametrize("change, value, remedy", [
    (oracle(draft_model="smal"), "draft_model smal", "Known: small"),
    (oracle(speculation="mtp"), "speculation mtp", "Known: draft, ngram"),
    (oracle(speculation="draft"), "speculation draft without draft_model", "Name one"),
    (oracle(placement="planed"), "no placement planed", "inference_service_placements"),
    (oracle(placements=["planned", "third"]), "no placement third", "inference_service_placements"),
    (oracle(placements=[]), "placements is empty", "planned"),
    (oracle(placement="planned", gpu_layers="19"), "placement planned with gpu_layers 19", "Remove one"),
    (oracle(gpus=["GPU-a"], placements=["doctrine"]), "none of its placements (doctrine) suits 1 card", "planned"),
    (oracle(gpus=["GPU-a"], placement="doctrine"), "tensor_split 75,25 for 1 card", "gpus"),
    (oracle(placement="three"), "wants 3 cards, gpus names 2", "gpus"),
    (lambda i: i["inference_service_placements"].update(planned={"card": 1}), "inference_service_placements: planned: card", "Remove"),
    (lambda i: i["inference_service_placements"].update(planned=19), "inference_service_placements: planned: 19", "Remove"),
    (lambda i: i["inference_service_placements"].update(auto={}), "inference_service_placements: auto", "Rename"),
    (lambda i: i["inference_service_speculations"].update(none={"arguments": ["a"]}), "inference_service_speculations: none", "Rename"),
    (lambda i: i["inference_service_speculations"].update(ngram={"needs": "luck", "arguments": ["a"]}), "inference_service_speculations: ngram", "Add"),
    (lambda i: i["inference_service_speculations"].update(ngram={}), "inference_service_speculations: ngram", "Add"),
    (lambda i: i["inference_service_speculations"].update(ngram={"arguments": "--spec-default"}), "arguments --spec-default", "as a list"),
    (lambda i: i["inference_service_speculations"].update(ngram={"arguments": ["--tools", "all"]}), "ngram: --tools", "Remove"),
    (lambda i: i["inference_service_speculations"].update(ngram={"arguments": ["--threads=9"]}), "ngram: --threads", "Remove"),
    (lambda i: i["inference_service_speculations"].update(ngram={"arguments": ["--spec-draft-n-max=4"]}), "ngram: --spec-draft-n-max=4", "two entries"),
    (lambda i: i["inference_service_speculations"].update(ngram={"arguments": ["--spec-draft-n-max", 4]}), "arguments ['--spec-draft-n-max', 4]", "as a list"),
    (lambda i: i["inference_service_speculations"].update(ngram={"arguments": ["--model_url", "x"]}), "ngram: --model-url", "Remove"),
    (lambda i: i["inference_service_placements"].update(planned={"gpu_layers": "9", "tensor_overrides": "exps=CPU"}), "tensor_overrides exps=CPU", "as a list"),
    (lambda i: i["inference_service_placements"].update(planned={"cards": -1}), "cards -1", "Raise"),
    (lambda i: i["inference_service_placements"].update(planned={"gpu_layers": "many"}), "gpu_layers many", "a number"),
    (lambda i: i["inference_service_placements"].update(planned={"tensor_split": "1,2"}), "planned: without gpu_layers", "Give gpu_layers"),
    (lambda i: i["inference_service_placements"].update(planned={"split_mode": "row"}), "planned: without gpu_layers", "Give gpu_layers"),
    (lambda i: i["inference_service_placements"].update(planned={"load_mode": "map"}), "planned: load_mode map", "none"),
    (lambda i: i["inference_service_placements"].update(planned={"others": "layers"}), "planned: others layers", "experts"),
    (lambda i: i["inference_service_placements"].update(planned={"others": "experts", "gpu_layers": "9"}), "others with gpu_layers", "Remove one"),
    (oracle(load_mode="none"), "load_mode 'none'", "Give gpu_layers"),
    (oracle(tensor_split="75,25"), "tensor_split '75,25'", "Give gpu_layers"),
    (oracle(tensor_overrides=["exps=CPU"]), "exps=CPU", "Give gpu_layers"),
    (variable(inference_service_vram_free=-1), "inference_service_vram_free -1", "7"),
    (variable(inference_service_speed_bound=101), "inference_service_speed_bound 101", "85"),
    (variable(inference_service_speed_seconds=0.0), "inference_service_speed_seconds 0", "5"),
    (variable(throughput_services=["seer"]), "throughput_services: seer", "Known: oracle, executor"),
    (variable(throughput_budget=29), "throughput_budget 29", "Raise"),
    (variable(throughput_repetitions=1), "throughput_repetitions 1", "Raise"),
    (variable(throughput_generate=0), "throughput_generate 0", "Raise"),
])
def test_one_fault_is_one_problem(change, value, remedy):
    inventory = copy.deepcopy(SOUND)
    change(inventory)
    problems = speed_rules.check(inventory)
    assert len(problems) == 1 and value in problems[0].value and remedy in problems[0].remedy, problems

"""One fault in the ladder or in what watches it is one problem, with its remedy."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import ladder_rules

SOUND = {
    "bunker_services": [{"name": "oracle", "device": "gpu", "gpu_layers": "19", "start_timeout": 200, "ladder": ["kv_to_ram", "experts"]}], "bunker_rung": -1,
    "inference_service_plans": {"kv_to_ram": {"kv_cache": "ram"}, "experts": {"expert_layers_in_ram": 1}},
    "vram_watch_service": "auto", "vram_watch_interval": 5, "vram_watch_warn": 7, "vram_watch_act": 2, "vram_watch_samples": 3, "vram_watch_window": 120,
    "vram_watch_lead": 180, "vram_watch_cooldown": 0, "vram_watch_steps_per_hour": 4, "vram_watch_failures": 3, "vram_watch_quiet": 0,
    "vram_watch_margin": 1, "vram_watch_drain": 0, "vram_watch_step_timeout": 600, "vram_watch_metrics_port": 9181,
}


def test_a_sound_inventory_has_no_problem():
    assert ladder_rules.check(SOUND) == []


@pytest.mark.parametrize("change, value, remedy", [
    (lambda i: i["bunker_services"][0].update(ladder=["kv_to_rom"]), "ladder: kv_to_rom", "Known: experts, kv_to_ram."),
    (lambda i: i["bunker_services"][0].update(ladder=["kv_to_ram", "kv_to_ram"]), "kv_to_ram, kv_to_ram", "Remove the other"),
    (lambda i: i["inference_service_plans"].update(empty={}), "empty", "Give it some of"),
    (lambda i: i["inference_service_plans"]["kv_to_ram"].update(kv_cache="disk"), "kv_cache disk", "Write one of the two"),
    (lambda i: i["inference_service_plans"]["experts"].update(threads=4), "experts: threads", "Remove it"),
    (lambda i: i["inference_service_plans"]["experts"].update(expert_layers_in_ram=0), "expert_layers_in_ram 0", "Raise it"),
    (lambda i: i.update(bunker_rung=3), "bunker_rung 3", "Choose one of them"),
    (lambda i: i.update(bunker_rung=-2), "bunker_rung -2", "Choose one of them"),
    (lambda i: i.update(vram_watch_service="pythia"), "vram_watch_service pythia", "Known: oracle."),
    (lambda i: i.update(vram_watch_act=7), "vram_watch_act 7", "Lower vram_watch_act"),
    (lambda i: i.update(vram_watch_interval=0), "vram_watch_interval 0", "Raise it"),
    (lambda i: i.update(vram_watch_cooldown=-1), "vram_watch_cooldown -1", "Raise it"),
    (lambda i: i.update(vram_watch_step_timeout=400), "vram_watch_step_timeout 400", "Raise it to 460"),
    (lambda i: i.update(vram_watch_metrics_port=0), "vram_watch_metrics_port 0", "Choose another"),
])
def test_one_fault_is_one_problem(change, value, remedy):
    inventory = copy.deepcopy(SOUND)
    change(inventory)
    problems = ladder_rules.check(inventory)
    assert len(problems) == 1 and value in problems[0].value and remedy in problems[0].remedy, problems

"""Sizes against llama.cpp's own figures and against known models' configurations."""
import json

import pytest
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils.model_memory import expert_bytes, ram_need, rung_relief

SAID = json.loads((ROOT / "tests" / "captures" / "kv_cache.json").read_text(encoding="utf-8"))


def header(architecture, **values):
    return dict({"%s.%s" % (architecture, key.replace("__", ".")): value for key, value in values.items()}, **{"general.architecture": architecture})


# DeepSeek-V3 as its config.json has it, 61 layers of which 3 dense; experts of 5 GB a layer, as at 4.5 bits a weight.
DEEPSEEK = header("deepseek2", block_count=61, leading_dense_block_count=3, expert_count=256, embedding_length=7168, attention__head_count=128,
                  attention__head_count_kv=1, attention__key_length=576, attention__value_length=512, attention__key_length_mla=192,
                  attention__value_length_mla=128, attention__kv_lora_rank=512, rope__dimension_count=64, vocab_size=129280)
TENSORS = {"blk.%d.ffn_%s_exps.weight" % (layer, part): 1_700_000_000 for layer in range(3, 61) for part in ("gate", "up", "down")}
TENSORS.update({"blk.3.ffn_up_shexp.weight": 7, "token_embd.weight": 11})
SERVICE = {"name": "oracle", "device": "gpu", "gpu_layers": "99", "context": 8192, "micro_batch": 512, "tensor_overrides": [],
           "extra_arguments": []}
KV = int(SAID["mib"]["DeepSeek-V3"] * (1 << 20)) // SAID["context"]  # bytes a token


@pytest.mark.parametrize("plan, gpu_layers, freed, ram", [
    ({}, "99", 0, 0),
    ({"kv_cache": "ram"}, "99", KV * 8192, KV * 8192),  # 0.58 GB
    ({"context": 4096}, "99", KV * 4096, 0),  # "8192 -> 4096 context frees 0.3 GB"
    ({"kv_cache": "ram", "context": 4096}, "99", KV * 8192, KV * 4096),
    ({"expert_layers_in_ram": 1}, "19", 5_100_000_000, 5_100_000_000),  # "one more layer's experts in RAM frees 5 GB"
    # All were on the card: the first that goes leaves room behind for a tensor of its experts.
    ({"expert_layers_in_ram": 1}, "99", 5_100_000_000 - 1_700_000_000, 5_100_000_000),
    ({"expert_layers_in_ram": 2}, "auto", 10_200_000_000 - 1_700_000_000, 10_200_000_000),
    ({"expert_layers_in_ram": 2}, "19", 10_200_000_000, 10_200_000_000),
    ({"micro_batch": 128}, "99", 384 * 129280 * 4, 0),
    ({"kv_cache": "ram"}, "19", KV * 18 // 61 * 8192, KV * 8192),  # 19 of 62, one of which is the output
    ({"context": 16384, "micro_batch": 1024}, "99", 0, 0),  # a plan never gives more than the definition
])
def test_what_a_rung_frees(plan, gpu_layers, freed, ram):
    service = dict(SERVICE, gpu_layers=gpu_layers)
    assert rung_relief(service, plan, DEEPSEEK, TENSORS) == freed
    assert ram_need(service, plan, DEEPSEEK, TENSORS) == ram


def test_a_layers_experts_are_all_three_parts_and_not_the_shared_one():
    assert expert_bytes(TENSORS)[3] == 3 * 1_700_000_000 and set(expert_bytes(TENSORS)) == set(range(3, 61))


def test_an_h100_measured_what_the_first_layer_of_experts_in_ram_frees():
    """tests/gpu/results/vram_gap.json: 4208 MiB with all layers on the card before, 6048 with one layer of experts in RAM before. Never more is predicted."""
    metadata = dict(DEEPSEEK, **{"deepseek2.block_count": 3, "deepseek2.leading_dense_block_count": 1})
    tensors = {"blk.%d.ffn_%s_exps.weight" % (layer, part): 2016 << 20 for layer in (1, 2) for part in ("gate", "up", "down")}
    assert rung_relief(SERVICE, {"expert_layers_in_ram": 1}, metadata, tensors) == 4032 << 20
    assert rung_relief(dict(SERVICE, gpu_layers="2"), {"expert_layers_in_ram": 1}, metadata, tensors) == 6048 << 20


def test_nothing_is_predicted_of_a_header_that_does_not_say():
    assert rung_relief(SERVICE, {"kv_cache": "ram"}, {"general.architecture": "x"}, {}) is None

"""Sizes against llama.cpp's own figures and against known models' configurations."""
import json

import pytest
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils.model_memory import expert_bytes, kv_bytes_per_token, ram_need, rung_relief

SAID = json.loads((ROOT / "tests" / "captures" / "kv_cache.json").read_text(encoding="utf-8"))


def header(architecture, **values):
    return dict({"%s.%s" % (architecture, key.replace("__", ".")): value for key, value in values.items()}, **{"general.architecture": architecture})


# By the models' own config.json; what llama-server says of models of these shapes: tests/captures/kv_cache.py.
SHAPES = {
    "SmolLM2-135M": header("llama", block_count=30, embedding_length=576, attention__head_count=9, attention__head_count_kv=3),
    "Qwen2.5-Coder-7B": header("qwen2", block_count=28, embedding_length=3584, attention__head_count=28, attention__head_count_kv=4),
    "Llama-3.3-70B": header("llama", block_count=80, embedding_length=8192, attention__head_count=64, attention__head_count_kv=8),
    "DeepSeek-V3": header("deepseek2", block_count=61, embedding_length=7168, attention__head_count=128, attention__head_count_kv=1,
                          attention__kv_lora_rank=512, rope__dimension_count=64),
    "keys of 192, values of 128": header("llama", block_count=2, embedding_length=768, attention__head_count=4, attention__head_count_kv=2,
                                         attention__key_length=192, attention__value_length=128),
}


@pytest.mark.parametrize("name", SAID["mib"])
def test_the_bytes_of_a_token_are_what_llama_server_says(name):
    assert kv_bytes_per_token(SHAPES[name]) * SAID["context"] == SAID["mib"][name] * (1 << 20)


@pytest.mark.parametrize("metadata", [
    {"general.architecture": "llama"}, header("llama", block_count=30), header("llama", block_count=30, attention__head_count=9)],
    ids=["nothing", "no heads", "no width"])
def test_a_header_that_does_not_say_gives_none(metadata):
    assert kv_bytes_per_token(metadata) is None


def test_a_compressed_rank_without_its_rotary_part_is_not_taken_for_the_whole():
    plain = header("x", block_count=2, attention__head_count=4, attention__key_length=8)
    assert kv_bytes_per_token(dict(plain, **{"x.attention.kv_lora_rank": 512})) == kv_bytes_per_token(plain) > 0


# DeepSeek-V3 as its config.json has it, 61 layers of which 3 dense; experts of 5 GB a layer, as at 4.5 bits a weight.
DEEPSEEK = header("deepseek2", block_count=61, leading_dense_block_count=3, expert_count=256, embedding_length=7168, attention__head_count=128,
                  attention__head_count_kv=1, attention__kv_lora_rank=512, rope__dimension_count=64, vocab_size=129280)
TENSORS = {"blk.%d.ffn_%s_exps.weight" % (layer, part): 1_700_000_000 for layer in range(3, 61) for part in ("gate", "up", "down")}
TENSORS.update({"blk.3.ffn_up_shexp.weight": 7, "token_embd.weight": 11})
SERVICE = {"name": "oracle", "device": "gpu", "gpu_layers": "99", "context": 8192, "micro_batch": 512, "tensor_overrides": []}
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

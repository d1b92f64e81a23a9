"""Bytes that a token reads, and what they say against the bandwidth."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import roofline

DENSE = {"token_embd.weight": 500, "blk.0.attn_q.weight": 100, "blk.1.ffn_up.weight": 200, "output.weight": 600}
DENSE_HEADER = {"general.architecture": "llama", "llama.block_count": 2}
MOE = {"token_embd.weight": 500, "output.weight": 600, "blk.0.ffn_up.weight": 50, "blk.1.ffn_up_exps.weight": 3200, "blk.1.ffn_gate_inp.weight": 10,
       "blk.1.ffn_up_shexp.weight": 40, "blk.2.nextn.eh_proj.weight": 70, "blk.2.ffn_up_exps.weight": 3200}
MOE_HEADER = {"general.architecture": "deepseek2", "deepseek2.block_count": 3, "deepseek2.nextn_predict_layers": 1, "deepseek2.expert_count": 256,
              "deepseek2.expert_used_count": 8}


def test_of_the_embeddings_one_row_is_read():
    assert roofline.bytes_per_token(DENSE_HEADER, DENSE) == 900


def test_embeddings_that_are_the_output_too_are_read_whole():
    tied = {name: size for name, size in DENSE.items() if name != "output.weight"}
    assert roofline.bytes_per_token(DENSE_HEADER, tied) == 800


def test_of_the_experts_those_that_are_used_and_no_layer_for_multi_token_prediction():
    assert roofline.bytes_per_token(MOE_HEADER, MOE) == 600 + 50 + 3200 * 8 // 256 + 10 + 40


def test_keys_and_values_of_the_context_are_read_too():
    header = dict(DENSE_HEADER, **{"llama.attention.head_count": 4, "llama.attention.head_count_kv": 2, "llama.embedding_length": 64})
    # Two layers, two heads of 16 keys and 16 values, two bytes each.
    assert roofline.bytes_per_token(header, DENSE, depth=10) == 900 + 10 * 2 * 2 * 32 * 2


@pytest.mark.parametrize("header, tensors", [
    (DENSE_HEADER, {}), (DENSE_HEADER, dict(DENSE, **{"output.weight": 0})), ({"general.architecture": "deepseek2", "deepseek2.block_count": 3}, MOE),
])
def test_what_the_header_does_not_say_is_not_guessed(header, tensors):
    assert roofline.bytes_per_token(header, tensors) is None


def test_a_speed_stands_against_the_bandwidth():
    assert roofline.placed(10.0, 2e9, 40e9, 4e9, 1e8) == {"limit": 20.0, "percent": 50.0, "reason": ""}


@pytest.mark.parametrize("bandwidth, per_token, bytes_, cache, reason", [
    (40e9, 1e8, 1e8, 32 << 20, "smaller than 4 times the last-level cache"), (None, 2e9, 4e9, 1e8, "was not measured"), (40e9, None, 4e9, 1e8, "header"),
    (40e9, 2e9, 4e9, None, "how large its caches are"),
])
def test_nothing_is_said_where_nothing_can_be(bandwidth, per_token, bytes_, cache, reason):
    found = roofline.placed(10.0, per_token, bandwidth, bytes_, cache)
    assert found["percent"] is None and found["limit"] is None and reason in found["reason"]


def test_four_times_the_cache_is_enough():
    assert roofline.placed(1.0, 1e8, 1e9, 4 * (32 << 20), 32 << 20)["percent"] == pytest.approx(10.0)

"""Sizes against llama.cpp's own figures and against known models' configurations."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.model_memory import kv_bytes_per_token


def header(architecture, **values):
    return dict({"%s.%s" % (architecture, key.replace("__", ".")): value for key, value in values.items()}, **{"general.architecture": architecture})


@pytest.mark.parametrize("metadata, expected", [
    # SmolLM2-135M: 30 layers, 3 of 9 heads are KV heads, 64 wide. llama-server -lv 5 prints "CPU KV buffer size = 180.00 MiB" for 8192 tokens.
    (header("llama", block_count=30, embedding_length=576, attention__head_count=9, attention__head_count_kv=3), 180 * 1024 * 1024 // 8192),
    # Qwen2.5-Coder-7B: 28 layers, 4 KV heads of 128 (its config.json): 2 * 28 * 4 * 128 * 2.
    (header("qwen2", block_count=28, embedding_length=3584, attention__head_count=28, attention__head_count_kv=4), 57344),
    # DeepSeek-V3: 61 layers, one vector of 512 + 64 each (its config.json): 61 * 576 * 2, "about 70 kB a token".
    (header("deepseek2", block_count=61, embedding_length=7168, attention__head_count=128, attention__head_count_kv=1, attention__kv_lora_rank=512,
            rope__dimension_count=64), 70272),
    # Key and value of different width.
    (header("x", block_count=2, attention__head_count=4, attention__head_count_kv=2, attention__key_length=192, attention__value_length=128), 2 * 2 * 320 * 2),
    ({"general.architecture": "llama"}, None),
    (header("llama", block_count=30), None),
    (header("llama", block_count=30, attention__head_count=9), None),
    # A compressed rank alone is not the whole of a token's entry.
    (header("x", block_count=2, attention__kv_lora_rank=512, attention__head_count=4, attention__key_length=8), 2 * 4 * 16 * 2),
])
def test_bytes_of_a_token(metadata, expected):
    assert kv_bytes_per_token(metadata) == expected

"""The caches of models of many architectures, against what llama.cpp's own server said of them (tests/captures/cache_shapes.py)."""
import json

import pytest
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kv_cache

SAID, SAID_OF_MODELS = (json.loads((ROOT / "tests" / "captures" / name).read_text(encoding="utf-8")) for name in ("cache_shapes.json", "kv_cache.json"))
MIB = 1 << 20


def used(arguments):
    """How the capture ran it: context and micro-batch stand among its arguments, or are the common ones."""
    given = dict(zip(arguments, arguments[1:]))
    context, micro_batch = given.get("--ctx-size", SAID["context"]), given.get("--ubatch-size", SAID["micro_batch"])
    return kv_cache.use_of(int(context), int(micro_batch), arguments)


MEASURED = [(name, way) for name, shape in SAID["shapes"].items() for way, said in shape["caches"].items() if said is not None]
REFUSED = [name for name, shape in SAID["shapes"].items() if None in shape["caches"].values()]


@pytest.mark.parametrize("name, way", MEASURED)
def test_a_cache_is_as_large_as_llama_server_says(name, way):
    said = SAID["shapes"][name]["caches"][way]
    cache = kv_cache.of(SAID["shapes"][name]["metadata"])
    # Two decimals are printed of each of at most two caches.
    assert kv_cache.size(cache, used(SAID["ways"][way])) / MIB == pytest.approx(sum(one["mib"] for one in said), abs=0.0051 * max(len(said), 1))
    assert len(cache.layers) == sum(one["layers"] for one in said)


@pytest.mark.parametrize("name", REFUSED)
def test_where_llama_cpp_refuses_a_type_of_its_own_for_values_the_keys_hold_them(name):
    cache = kv_cache.of(SAID["shapes"][name]["metadata"])
    assert cache.layers and {layer.value for layer in cache.layers} == {0}


def test_the_capture_shows_what_it_is_for():
    """At least 15 architectures; some with windows, an indexer, draft layers, recurrent layers, and a way that is refused."""
    assert len({shape["metadata"]["general.architecture"] for shape in SAID["shapes"].values()}) >= 15
    assert sum(len(shape["caches"]["as it comes"]) > 1 for shape in SAID["shapes"].values()) >= 8
    assert REFUSED and len(MEASURED) > 200
    windowed = SAID["shapes"]["gemma3"]["caches"]
    assert windowed["full windows"][1]["mib"] > windowed["as it comes"][1]["mib"] > windowed["one sequence, small batches"][1]["mib"]


def header(architecture, **values):
    return dict({"%s.%s" % (architecture, key.replace("__", ".")): value for key, value in values.items()}, **{"general.architecture": architecture})


# By the models' own config.json; what llama-server says of models of these shapes: tests/captures/kv_cache.py.
MODELS = {
    "SmolLM2-135M": header("llama", block_count=30, embedding_length=576, attention__head_count=9, attention__head_count_kv=3),
    "Qwen2.5-Coder-7B": header("qwen2", block_count=28, embedding_length=3584, attention__head_count=28, attention__head_count_kv=4),
    "Llama-3.3-70B": header("llama", block_count=80, embedding_length=8192, attention__head_count=64, attention__head_count_kv=8),
    "DeepSeek-V3": header("deepseek2", block_count=61, embedding_length=7168, attention__head_count=128, attention__head_count_kv=1,
                          attention__key_length=576, attention__value_length=512, attention__key_length_mla=192, attention__value_length_mla=128),
    "keys of 192, values of 128": header("llama", block_count=2, embedding_length=768, attention__head_count=4, attention__head_count_kv=2,
                                         attention__key_length=192, attention__value_length=128),
}


@pytest.mark.parametrize("name", SAID_OF_MODELS["mib"])
def test_the_cache_of_a_known_model_is_as_large_as_llama_server_says(name):
    assert kv_cache.size(kv_cache.of(MODELS[name]), kv_cache.use_of(SAID_OF_MODELS["context"], 512)) == SAID_OF_MODELS["mib"][name] * MIB


# Bytes of one token at f16, of headers that were met in the field.
@pytest.mark.parametrize("metadata, expected", [
    (header("lfm2", block_count=16, embedding_length=2048, attention__head_count=32, attention__head_count_kv=[0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0]),
     12288),
    (header("deci", block_count=80, embedding_length=8192, attention__head_count=[64] * 80, attention__head_count_kv=[8] * 80), 327680),
    (header("qwen35", block_count=64, embedding_length=5120, attention__head_count=24, attention__head_count_kv=4, attention__key_length=256,
            attention__value_length=256, full_attention_interval=4), 65536),
    (header("deepseek2", block_count=61, embedding_length=7168, attention__head_count=128, attention__head_count_kv=128, attention__key_length=192,
            attention__value_length=128, attention__kv_lora_rank=512, rope__dimension_count=64), 4997120),
    (header("deepseek2", block_count=61, embedding_length=7168, attention__head_count=128, attention__head_count_kv=1, attention__key_length=576,
            attention__value_length=512, attention__key_length_mla=192, attention__value_length_mla=128, attention__kv_lora_rank=512,
            rope__dimension_count=64), 70272),
], ids=["LFM2-1.2B", "lists of heads", "every fourth", "DeepSeek-V3 before MLA", "DeepSeek-V3"])
def test_headers_of_the_field(metadata, expected):
    assert kv_cache.size(kv_cache.of(metadata), kv_cache.use_of(1024, 512)) == expected * 1024


# By llama.cpp's source; none of these was put before a server.
@pytest.mark.parametrize("metadata, expected", [
    (header("plamo2", block_count=2, embedding_length=64, attention__head_count=[0, 4], attention__head_count_kv=[0, 2], attention__key_length=32,
            attention__value_length=32), ([(1, 64, 64, False)], 0)),
    (header("glm-dsa", block_count=7, context_length=1 << 20, embedding_length=64, attention__head_count=4, attention__head_count_kv=1,
            attention__key_length=96, attention__value_length=64, attention__key_length_mla=64, attention__value_length_mla=32,
            attention__indexer__key_length=32),
     ([(layer, 96, 0, False) for layer in range(7)] + [(layer, 32, 0, False) for layer in (0, 1, 2, 6)], 0)),
    (header("step35", block_count=3, embedding_length=64, attention__head_count=4, attention__sliding_window=512,
            attention__sliding_window_pattern=[True, False]), ([(0, 64, 64, True), (1, 64, 64, False), (2, 64, 64, False)], 512)),
    (header("llama", block_count=2, embedding_length=64, attention__head_count=4, nextn_predict_layers=2), ([(0, 64, 64, False), (1, 64, 64, False)], 0)),
    (header("gpt-oss", block_count=2, embedding_length=64, attention__head_count=4, attention__sliding_window=0),
     ([(0, 64, 64, True), (1, 64, 64, False)], 0)),
    (header("gemma3", block_count=2, embedding_length=64, attention__head_count=4, attention__sliding_window=0),
     ([(0, 64, 64, False), (1, 64, 64, False)], 0)),
    (header("lfm2", block_count=2, embedding_length=64, attention__head_count=4, attention__sliding_window=512,
            attention__sliding_window_pattern=[False, False]), ([(0, 64, 64, True), (1, 64, 64, True)], 512)),
], ids=["plamo2", "GLM 5.2", "a short list of windows", "draft layers alone", "a window of nothing", "no window", "a list that is not read"])
def test_what_the_source_says(metadata, expected):
    cache = kv_cache.of(metadata)
    assert ([tuple(layer) for layer in cache.layers], cache.window) == expected


def test_every_name_of_the_tables_is_one_of_llama_cpps():
    known = set((ROOT / "tests/fixtures/llama_cpp/architectures.txt").read_text(encoding="utf-8").split())
    tables = (kv_cache.WITHOUT, kv_cache.UNKNOWN, kv_cache.INTERVAL, kv_cache.KEEPS_DRAFT_LAYERS, kv_cache.INDEXED, kv_cache.WINDOWS, kv_cache.FIXED_SIZE,
              kv_cache.NONE_AT_ZERO)
    assert len(known) > 100 and {name for table in tables for name in table} - known == set()


def test_layers_before_the_first_one_count_elsewhere():
    cache = kv_cache.of(MODELS["Llama-3.3-70B"])
    whole, last = (kv_cache.size(cache, kv_cache.use_of(8192, 512), first) for first in (0, 79))
    assert whole == 80 * last


def test_a_window_is_read_no_deeper_than_it_is():
    metadata = SAID["shapes"]["gemma3"]["metadata"]  # seven layers of 128 values each way, the sixth with the whole context, a window of 512
    assert kv_cache.read_bytes(kv_cache.of(metadata), 4096) == (4096 + 6 * 512) * 256 * 2


def test_a_cache_comes_back_from_json():
    for metadata in (MODELS["DeepSeek-V3"], SAID["shapes"]["gemma3"]["metadata"], {}):
        cache = kv_cache.of(metadata)
        assert kv_cache.of_json(json.loads(json.dumps(kv_cache.as_json(cache)))) == cache


@pytest.mark.parametrize("metadata", [
    header("llama"), header("llama", block_count=2), header("llama", block_count=2, attention__head_count=4), header("llama", block_count=0),
    header("llama", block_count=4, attention__head_count=4, attention__head_count_kv=[1, 2], embedding_length=64),
    header("llama", block_count=2, attention__head_count=[4, -1], embedding_length=64),
    header("llama", block_count=2, attention__head_count="4", embedding_length=64),
    header("llama", block_count=1 << 40, attention__head_count=4, embedding_length=64),
    header("deepseek4", block_count=2, attention__head_count=4, embedding_length=64),
    header("gemma4", block_count=2, attention__head_count=4, embedding_length=64, attention__sliding_window=512),
    header("t5encoder", block_count=2, attention__head_count=4, embedding_length=64),
    header("llama", block_count=2, attention__head_count=0, embedding_length=64),
    header("step35", block_count=2, attention__head_count=4, embedding_length=64, nextn_predict_layers=3),
    dict(header("llama", block_count=2, attention__head_count=4, embedding_length=64), **{"general.architecture": [1, 2]}),
    {"None.block_count": 2, "None.embedding_length": 64, "None.attention.head_count": 4},
    {"block_count": 2}, {},
], ids=lambda metadata: str(len(metadata)))
def test_a_header_that_does_not_say_gives_none(metadata):
    assert kv_cache.of(metadata) is None


@pytest.mark.parametrize("arguments, expected", [
    ([], (4, True, "f16", "f16", False)),
    (["--parallel", "1"], (1, False, "f16", "f16", False)),
    (["-np", "2", "--kv-unified"], (2, True, "f16", "f16", False)),
    (["--parallel", "0"], (4, True, "f16", "f16", False)),
    (["--parallel", "many"], (4, True, "f16", "f16", False)),
    (["--parallel", "\u00b2"], (4, True, "f16", "f16", False)),
    (["--parallel", "\u0663"], (4, True, "f16", "f16", False)),
    (["--parallel", "9" * 5000], (4, True, "f16", "f16", False)),
    (["--parallel", "257"], (4, True, "f16", "f16", False)),
    (["--parallel", "-1"], (4, True, "f16", "f16", False)),
    (["--parallel", "+2"], (2, False, "f16", "f16", False)),
    (["--parallel", "3", "-np", "2"], (2, False, "f16", "f16", False)),
    (["-np", "2", "--kv-unified", "--no-kv-unified"], (2, False, "f16", "f16", False)),
    (["--no-kv-unified"], (4, False, "f16", "f16", False)),
    (["--cache-type-k", "q8_0", "-ctk", "q4_0"], (4, True, "q4_0", "f16", False)),
    (["--cache_type_k", "q8_0", "-ctv", "q4_0", "--swa-full"], (4, True, "q8_0", "q4_0", True)),
    (["--cache-type-k", "q9_9"], (4, True, "f16", "f16", False)),
    (["--cache-type-k"], (4, True, "f16", "f16", False)),
])
def test_what_a_service_says_of_its_cache(arguments, expected):
    use = kv_cache.use_of(8192, 512, arguments)
    assert (use.context, use.micro_batch) == (8192, 512) and tuple(use)[2:] == expected


@pytest.mark.parametrize("blocks, drafts, window", [(64, 0, 4096), (65, 1, 4096), (63, 1, 0), (64, 1, 0), (65, 0, 0), (30, 0, 0)])
def test_of_exaone4_only_the_model_of_64_layers_has_windows_and_draft_layers_are_not_counted(blocks, drafts, window):
    """llama.cpp's source, as of the other models that were not put before a server."""
    found = kv_cache.of(header("exaone4", block_count=blocks, embedding_length=64, attention__head_count=4, nextn_predict_layers=drafts))
    assert found.window == window

"""The stand-in for DeepSeek-V3 that the experiments on a card use: what it writes is what the collection's own reader and rules make of such a model."""
import pathlib
import sys

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf, model_memory, service_plan
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kv_cache

GPU = pathlib.Path(__file__).resolve().parents[2] / "gpu"
SERVICE = {"name": "oracle", "device": "gpu", "gpu_layers": "99", "context": 8192, "micro_batch": 512, "tensor_overrides": []}


@pytest.fixture
def writer(monkeypatch):
    monkeypatch.syspath_prepend(str(GPU))
    import moe_model
    yield moe_model
    sys.modules.pop("moe_model")


def test_a_tiny_model_is_read_with_its_layers_and_the_bytes_of_its_experts(writer, tmp_path):
    path = tmp_path / "tiny.gguf"
    size = writer.write(path, writer.Shape(**writer.TINY, layers=4, dense=1), jobs=2)
    metadata, tensors, end = gguf.read_file(str(path))
    assert size == path.stat().st_size and end <= size < end + 32
    assert service_plan.expert_layers(SERVICE, metadata) == [1, 2, 3]
    assert model_memory.expert_bytes(tensors) == {layer: 3 * 8 * 256 * 64 // 32 * 18 for layer in (1, 2, 3)}
    assert kv_cache.read_bytes(kv_cache.of(metadata), 1) == 4 * (64 + 16) * 2


def test_its_geometry_is_that_of_deepseek_v3(writer, tmp_path):
    """All but the data, which would be 14 GB."""
    shape = writer.Shape(layers=3, dense=1)
    writer.header(tmp_path / "header.gguf", shape)
    metadata, tensors = gguf.read_model([str(tmp_path / "header.gguf")])
    assert model_memory.expert_bytes(tensors) == {layer: 256 * 3 * 7168 * 2048 // 32 * 18 for layer in (1, 2)}
    # 61 layers of it are "about 70 kB a token".
    assert kv_cache.read_bytes(kv_cache.of(metadata), 1) * 61 // 3 == 70272
    assert metadata["deepseek2.attention.head_count"] == 128 and metadata["deepseek2.vocab_size"] == 129280


def test_its_random_blocks_hold_finite_scales_that_are_not_zero(writer):
    import numpy
    pool = numpy.frombuffer(writer.pool_of_blocks(numpy.random.default_rng(1))[:writer.BLOCK_BYTES * 4096], numpy.uint8).reshape(-1, writer.BLOCK_BYTES)
    scales = pool[:, :2].copy().view("<f2")
    assert numpy.isfinite(scales).all() and (scales > 0).all()


def test_a_tokenizer_has_as_many_tokens_as_the_model_and_none_twice(writer):
    tokens, types, merges = writer.vocabulary(129280)
    assert len(tokens) == len(types) == len(set(tokens)) == 129280
    assert all(pair.replace(" ", "") in set(tokens[:1000]) for pair in merges)

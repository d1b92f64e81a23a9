"""Headers of models that somebody damaged: what the store, preflight, the watcher and the bench make of them. The only error is the reader's own."""
import io
import pathlib
import struct
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf, model_memory, service_plan  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kv_cache  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import roofline, speculation  # noqa: E402

LONGEST = 1.0  # seconds for one file
SERVICE = {"name": "oracle", "device": "gpu", "gpu_layers": "19", "context": 8192, "micro_batch": 512, "tensor_overrides": [], "extra_arguments": []}
USE = kv_cache.use_of(8192, 512)
PLANS = [{}, {"kv_cache": "ram"}, {"context": 4096, "micro_batch": 128}, {"expert_layers_in_ram": 1}]


def text(value):
    return struct.pack("<Q", len(value)) + value


def header(architecture, numbers, tensors, *pairs):
    """A sound header."""
    pairs = [text(b"general.architecture") + struct.pack("<I", 8) + text(architecture), *pairs]
    pairs += [text(b"%s.%s" % (architecture, name)) + struct.pack("<II", 4, value) for name, value in numbers.items()]
    infos = [text(name) + struct.pack("<I%dQIQ" % len(sides), len(sides), *sides, kind, 32 * number) for number, (name, kind, sides) in enumerate(tensors)]
    return b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(pairs)) + b"".join(pairs) + b"".join(infos)


def seeds(_folder=None):
    """Headers to mutate: dense, of latent attention with experts, and one with every type of value."""
    kinds = [(0, "<B", 7), (1, "<b", -7), (2, "<H", 7), (3, "<h", -7), (4, "<I", 7), (5, "<i", -7), (6, "<f", .5), (7, "<?", True), (10, "<Q", 7),
             (11, "<q", -7), (12, "<d", .5)]
    values = [text(b"v.%d" % kind) + struct.pack("<I", kind) + struct.pack(form, value) for kind, form, value in kinds]
    arrays = [text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"bb"),
              text(b"tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<ff", 1, 2),
              text(b"x.attention.head_count_kv") + struct.pack("<IIQ", 9, 4, 3) + struct.pack("<III", 0, 8, 0),
              text(b"general.alignment") + struct.pack("<II", 4, 64), text(b"split.count") + struct.pack("<IH", 2, 1)]
    dense = {b"block_count": 30, b"embedding_length": 576, b"attention.head_count": 9, b"attention.head_count_kv": 3, b"context_length": 8192}
    latent = {b"block_count": 4, b"leading_dense_block_count": 1, b"expert_count": 8, b"expert_used_count": 2, b"embedding_length": 256,
              b"attention.head_count": 4, b"attention.kv_lora_rank": 64, b"rope.dimension_count": 16, b"vocab_size": 1024, b"nextn_predict_layers": 1}
    experts = [(b"blk.%d.ffn_%s_exps.weight" % (layer, part), 2, (256, 64, 8)) for layer in (1, 2, 3) for part in (b"up", b"gate", b"down")]
    odd = [struct.pack("<IQ2s", 8, 2, b"61"), struct.pack("<If", 6, float("nan")), struct.pack("<Ii", 5, -1), struct.pack("<IQ", 10, 1 << 63),
           struct.pack("<I?", 7, True), struct.pack("<IIQII", 9, 4, 2, 8, 8)]
    wrong = [header(b"deepseek2", {name: number for name, number in latent.items() if name != key}, experts, text(b"deepseek2." + key) + value)
             for key in latent for value in odd]
    named = text(b"general.architecture")
    nameless = header(b"None", {b"block_count": 3, b"embedding_length": 64, b"attention.head_count": 4}, []).replace(named, text(b"general.nothing_else"))
    listed = header(b"llama", dense, []).replace(named + struct.pack("<I", 8) + text(b"llama"), named + struct.pack("<IIQII", 9, 4, 2, 1, 2))
    return [nameless, listed, *wrong, header(b"llama", dense, [(b"token_embd.weight", 0, (576, 32)), (b"output.weight", 1, (576, 32))]),
            header(b"deepseek2", latent, experts), header(b"x", {b"block_count": 3}, [], *values, *arrays)]


class Reader:
    """Reads mutated headers and does with them what the collection does."""

    def read(self, data):
        """Fails with any exception but GGUFError, or where it takes too long."""
        begun = time.process_time()
        try:
            metadata, tensors, length = gguf.read_header(io.BytesIO(data), "mutated.gguf")
        except gguf.GGUFError as error:
            assert str(error).startswith("mutated.gguf, at byte ")
        else:
            assert length >= 0 and all(size >= 0 for size in tensors.values())
            cache = kv_cache.of(metadata)
            assert cache is None or kv_cache.size(cache, USE) >= kv_cache.read_bytes(cache, 0) == 0
            roofline.bytes_per_token(metadata, tensors, 512)
            speculation.possible({"mtp": {"needs": "mtp"}}, metadata, "")
            service_plan.expert_layers(SERVICE, metadata)
            for plan in PLANS:
                model_memory.rung_relief(SERVICE, plan, metadata, tensors)
                model_memory.ram_need(SERVICE, plan, metadata, tensors)
                service_plan.rung_arguments(SERVICE, plan, metadata)
        took = time.process_time() - begun
        assert took < LONGEST, "%.2f s" % took

    def close(self):
        """There is nothing to close."""

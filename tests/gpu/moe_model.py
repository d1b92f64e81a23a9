# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a stand-in for DeepSeek-V3: its shape, fewer layers, random weights. It answers nonsense, at the memory and the speed of the real one's layers.

    python3 tests/gpu/moe_model.py --layers 4 --dense 1 /tmp/moe.gguf      # 20 GB; about 6.3 GB for each layer of experts
    python3 tests/gpu/moe_model.py --tiny /tmp/tiny.gguf                   # 1 MB, for tests on the CPU

Needs the packages gguf (llama.cpp's own; it writes the header) and numpy. Matrices are Q4_0, what llama.cpp keeps in F32 is F32. All matrices are cuts of
one pool of random blocks: a file is written as fast as the disk takes it, and in little memory.
"""
import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import time

import gguf
import numpy

BLOCK, BLOCK_BYTES = 32, 18  # of Q4_0: weights of a block, and its bytes: a scale in F16, then two weights a byte
# A weight is scale × (0…15 − 8), so its deviation is about 4.6 scales: with 0.003 a matrix keeps the size of what it multiplies within an order of
# magnitude from 512 to 18432 inputs, and the norms between them do the rest. Larger ones end in infinities in F16.
SCALE = 0.003
POOL_BLOCKS = 1 << 21  # 36 MiB, and no multiple of any matrix: rows differ
PIECE = 1 << 26  # bytes of one write


@dataclasses.dataclass(frozen=True)
class Shape:
    """What is in a DeepSeek-V3's config.json; the defaults are those of DeepSeek-V3-0324 but for the number of layers."""

    layers: int = 4
    dense: int = 1
    width: int = 7168
    heads: int = 128
    q_rank: int = 1536
    kv_rank: int = 512
    nope: int = 128
    rope: int = 64
    value: int = 128
    feed_forward: int = 18432
    experts: int = 256
    used: int = 8
    shared: int = 1
    expert_feed_forward: int = 2048
    vocabulary: int = 129280
    context: int = 163840


TINY = {"width": 256, "heads": 4, "q_rank": 64, "kv_rank": 64, "nope": 32, "rope": 16, "value": 32, "feed_forward": 512, "experts": 8, "used": 2,
        "expert_feed_forward": 64, "vocabulary": 1024, "context": 4096}


def tensors(shape):
    """What the file holds, in its order.

    :returns: list of (name, dimensions as llama.cpp prints them, i.e. the row first, whether it is quantised).
    """
    s = shape
    found = [("token_embd.weight", (s.width, s.vocabulary), True)]
    for layer in range(s.layers):
        block = [
            ("attn_norm.weight", (s.width,), False), ("attn_q_a_norm.weight", (s.q_rank,), False), ("attn_kv_a_norm.weight", (s.kv_rank,), False),
            ("attn_q_a.weight", (s.width, s.q_rank), True), ("attn_q_b.weight", (s.q_rank, s.heads * (s.nope + s.rope)), True),
            ("attn_kv_a_mqa.weight", (s.width, s.kv_rank + s.rope), True),
            # Multi-head latent attention as llama.cpp computes it: the matrix that unfolds keys and values, in its two parts.
            ("attn_k_b.weight", (s.nope, s.kv_rank, s.heads), True), ("attn_v_b.weight", (s.kv_rank, s.value, s.heads), True),
            ("attn_output.weight", (s.heads * s.value, s.width), True), ("ffn_norm.weight", (s.width,), False)]
        if layer < s.dense:
            block += [("ffn_%s.weight" % part, sides, True) for part, sides in (
                ("gate", (s.width, s.feed_forward)), ("up", (s.width, s.feed_forward)), ("down", (s.feed_forward, s.width)))]
        else:
            inner = s.expert_feed_forward
            block += [("ffn_gate_inp.weight", (s.width, s.experts), False), ("exp_probs_b.bias", (s.experts,), False)]
            block += [("ffn_%s_exps.weight" % part, sides, True) for part, sides in (
                ("gate", (s.width, inner, s.experts)), ("up", (s.width, inner, s.experts)), ("down", (inner, s.width, s.experts)))]
            block += [("ffn_%s_shexp.weight" % part, sides, True) for part, sides in (
                ("gate", (s.width, inner * s.shared)), ("up", (s.width, inner * s.shared)), ("down", (inner * s.shared, s.width)))]
        found += [("blk.%d.%s" % (layer, name), sides, quantised) for name, sides, quantised in block]
    return found + [("output_norm.weight", (s.width,), False), ("output.weight", (s.width, s.vocabulary), True)]


def byte_letters():
    """GPT-2's letter for each byte: those that print stand for themselves, the others for letters from 256 on."""
    letters, spare = [], 256
    for byte in range(256):
        prints = 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF
        letters.append(chr(byte if prints else spare))
        spare += not prints
    return letters


def vocabulary(size):
    """A tokenizer that llama.cpp takes: all bytes, pairs of small letters with their merges, two marks, and words that no text becomes.

    :returns: (tokens, types, merges).
    """
    small = "abcdefghijklmnopqrstuvwxyz"
    pairs = [(first, second) for first in small for second in small]
    tokens = byte_letters() + [first + second for first, second in pairs] + ["<|begin|>", "<|end|>"]
    types = [gguf.TokenType.NORMAL] * (len(tokens) - 2) + [gguf.TokenType.CONTROL] * 2
    words = ["\u0120word%d" % number for number in range(size - len(tokens))]
    return tokens + words, types + [gguf.TokenType.NORMAL] * len(words), ["%s %s" % pair for pair in pairs]


def add_tokenizer(writer, size, pre):
    """A tokenizer of so many made-up tokens; ``pre`` is how llama.cpp splits text before it (tokenizer.ggml.pre)."""
    tokens, types, merges = vocabulary(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index("<|begin|>"))
    writer.add_eos_token_id(tokens.index("<|end|>"))


def header(path, shape):
    """Writes all but the data, with llama.cpp's own writer.

    :returns: (bytes up to the data, alignment of the data).
    """
    writer = gguf.GGUFWriter(None, "deepseek2")
    writer.add_name("stand-in for DeepSeek-V3, random weights")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(1)  # latent attention is one head of keys for all queries
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.rope)
    writer.add_q_lora_rank(shape.q_rank)
    writer.add_kv_lora_rank(shape.kv_rank)
    writer.add_key_length(shape.kv_rank + shape.rope)
    writer.add_value_length(shape.kv_rank)
    writer.add_key_length_mla(shape.nope + shape.rope)
    writer.add_value_length_mla(shape.value)
    writer.add_leading_dense_block_count(shape.dense)
    writer.add_expert_count(shape.experts)
    writer.add_expert_used_count(shape.used)
    writer.add_expert_shared_count(shape.shared)
    writer.add_expert_feed_forward_length(shape.expert_feed_forward)
    writer.add_expert_weights_scale(2.5)
    writer.add_expert_weights_norm(True)
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_vocab_size(shape.vocabulary)
    add_tokenizer(writer, shape.vocabulary, "deepseek-v3")
    for name, sides, quantised in tensors(shape):
        kind = gguf.GGMLQuantizationType.Q4_0 if quantised else gguf.GGMLQuantizationType.F32
        writer.add_tensor_info(name, sides[::-1], numpy.dtype(numpy.float32), length(sides, quantised), raw_dtype=kind)
    writer.write_header_to_file(pathlib.Path(path))
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return pathlib.Path(path).stat().st_size, writer.data_alignment


def length(sides, quantised):
    """Bytes of a tensor."""
    count = 1
    for side in sides:
        count *= side
    return count // BLOCK * BLOCK_BYTES if quantised else count * 4


def pool_of_blocks(random):
    """Random blocks of Q4_0 as bytes: any nibble is a weight, and each scale is finite and not 0."""
    blocks = numpy.empty((POOL_BLOCKS, BLOCK_BYTES), numpy.uint8)
    blocks[:, :2] = (SCALE * random.uniform(0.5, 1.5, POOL_BLOCKS)).astype("<f2").view(numpy.uint8).reshape(POOL_BLOCKS, 2)
    blocks[:, 2:] = random.integers(0, 256, (POOL_BLOCKS, BLOCK_BYTES - 2), numpy.uint8)
    return memoryview(blocks).cast("B")


def put(file, offset, size, pool, start):
    """Writes a tensor's bytes, from the pool over and over.

    :param start: byte of the pool at which it begins, the first of a block.
    """
    end, at = offset + size, start
    while offset < end:
        piece = pool[at:at + min(PIECE, end - offset)]
        offset += os.pwrite(file, piece, offset)
        at = 0 if at + len(piece) == len(pool) else at + len(piece)


def write(path, shape, seed=0, jobs=8):
    """Writes the model.

    :param path: the file; what stood there is replaced.
    :param shape: a :class:`Shape`.
    :param jobs: threads that write.
    :returns: bytes of the file.
    :raises OSError: the disk took no more.
    """
    random = numpy.random.default_rng(seed)
    pool = pool_of_blocks(random)
    end, alignment = header(path, shape)
    offset = -(-end // alignment) * alignment
    file = os.open(path, os.O_WRONLY)
    try:
        with concurrent.futures.ThreadPoolExecutor(jobs) as threads:
            waiting = []
            for name, sides, quantised in tensors(shape):
                size = length(sides, quantised)
                if quantised:
                    start = int(random.integers(0, POOL_BLOCKS)) * BLOCK_BYTES
                    waiting.append(threads.submit(put, file, offset, size, pool, start))
                elif "norm" in name:
                    os.pwrite(file, numpy.ones(size // 4, "<f4").tobytes(), offset)
                else:  # the router: inputs are of about 1, so that experts differ by a few units before the sigmoid
                    os.pwrite(file, random.normal(0, 1 / sides[0] ** 0.5 if len(sides) > 1 else 0.01, size // 4).astype("<f4").tobytes(), offset)
                offset += -(-size // alignment) * alignment
            for one in waiting:
                one.result()
        os.ftruncate(file, offset)
    finally:
        os.close(file)
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--dense", type=int, default=1, help="of these, the first ones, without experts")
    parser.add_argument("--experts", type=int, help="of each layer that has some; 256")
    parser.add_argument("--tiny", action="store_true", help="all sizes small, for the CPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("file")
    chosen = parser.parse_args()
    sizes = dict(TINY if chosen.tiny else {}, layers=chosen.layers, dense=chosen.dense)
    if chosen.experts:
        sizes["experts"] = chosen.experts
    began = time.monotonic()
    size = write(chosen.file, Shape(**sizes), chosen.seed, chosen.jobs)
    print("%s: %.2f GB in %.0f s" % (chosen.file, size / 1e9, time.monotonic() - began))


if __name__ == "__main__":
    main()

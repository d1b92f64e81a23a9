"""Captures how large llama.cpp makes the KV cache of known models: kv_cache.json beside this file.

    python tests/captures/kv_cache.py --server 'chroot /somewhere /opt/llama/llama-server' --folder /somewhere/tmp --inside /tmp

Models of the real shapes are written without weights (files with holes), loaded by llama-server, and its own words read. The server's command may run
it in another root; --folder is where this program writes the models, --inside the same folder as the server sees it. Needs the package gguf and numpy.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

import gguf
import numpy

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "gpu"))
import moe_model  # noqa: E402

CONTEXT = 8192
WORDS = re.compile(r"llama_kv_cache: +size = +([0-9.]+) MiB")
VERSION = re.compile(r"(?m)^version: (.*)$")


def dense(path, architecture, layers, width, heads, heads_kv, feed_forward, key=None, value=None):
    """A model without experts: grouped heads, gated feed-forward, biases where the architecture has them."""
    vocabulary = 1024
    writer = gguf.GGUFWriter(None, architecture)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    for add, number in ((writer.add_block_count, layers), (writer.add_context_length, 32768), (writer.add_embedding_length, width),
                        (writer.add_feed_forward_length, feed_forward), (writer.add_head_count, heads), (writer.add_head_count_kv, heads_kv),
                        (writer.add_layer_norm_rms_eps, 1e-6), (writer.add_rope_freq_base, 10000.0), (writer.add_vocab_size, vocabulary)):
        add(number)
    if key:
        writer.add_key_length(key)
        writer.add_value_length(value)
    key, value = key or width // heads, value or width // heads
    writer.add_rope_dimension_count(key)
    moe_model.add_tokenizer(writer, vocabulary, "qwen2")
    found = [("token_embd.weight", (width, vocabulary), True), ("output_norm.weight", (width,), False), ("output.weight", (width, vocabulary), True)]
    for layer in range(layers):
        block = [("attn_norm.weight", (width,), False), ("ffn_norm.weight", (width,), False), ("attn_q.weight", (width, heads * key), True),
                 ("attn_k.weight", (width, heads_kv * key), True), ("attn_v.weight", (width, heads_kv * value), True),
                 ("attn_output.weight", (heads * key, width), True), ("ffn_gate.weight", (width, feed_forward), True),
                 ("ffn_up.weight", (width, feed_forward), True), ("ffn_down.weight", (feed_forward, width), True)]
        if architecture == "qwen2":
            block += [("attn_%s.bias" % part, (size,), False) for part, size in (("q", heads * key), ("k", heads_kv * key), ("v", heads_kv * value))]
        found += [("blk.%d.%s" % (layer, name), sides, quantised) for name, sides, quantised in block]
    for name, sides, quantised in found:
        kind = gguf.GGMLQuantizationType.Q4_0 if quantised else gguf.GGMLQuantizationType.F32
        writer.add_tensor_info(name, sides[::-1], numpy.dtype(numpy.float32), moe_model.length(sides, quantised), raw_dtype=kind)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return hole(path, found, writer.data_alignment)


def hole(path, tensors, alignment):
    """Makes the file as long as its tensors are; nothing of them is written."""
    end = -(-path.stat().st_size // alignment) * alignment
    os.truncate(path, end + sum(-(-moe_model.length(sides, quantised) // alignment) * alignment for _name, sides, quantised in tensors))


def deepseek(path, layers, first):
    shape = moe_model.Shape(layers=layers, dense=first)
    _end, alignment = moe_model.header(path, shape)
    hole(path, moe_model.tensors(shape), alignment)


# Shapes by the models' own config.json; the last is nobody's, with keys and values of different width.
MODELS = {
    "SmolLM2-135M": lambda path: dense(path, "llama", 30, 576, 9, 3, 1536),
    "Qwen2.5-Coder-7B": lambda path: dense(path, "qwen2", 28, 3584, 28, 4, 18944),
    "Llama-3.3-70B": lambda path: dense(path, "llama", 80, 8192, 64, 8, 28672),
    "DeepSeek-V3": lambda path: deepseek(path, 61, 3),
    "keys of 192, values of 128": lambda path: dense(path, "llama", 2, 768, 4, 2, 1024, key=192, value=128),
}


def ask(command, model):
    """MiB of the KV cache by the server's own words; the server is ended."""
    words = [*command, "--model", model, "--ctx-size", str(CONTEXT), "--no-warmup", "--no-repack", "--parallel", "1", "--port", "18099", "--log-verbosity", "5"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        said, until = [], time.time() + 120
        try:
            for line in server.stdout:
                said.append(line)
                found = WORDS.search(line)
                if found:
                    return float(found.group(1))
                if time.time() > until:
                    break
        finally:
            server.kill()
    raise SystemExit("no word of the KV cache:\n" + "".join(said[-20:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, type=shlex.split)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--inside")
    options = parser.parse_args()
    version = subprocess.run([*options.server, "--version"], capture_output=True, text=True, check=True)
    result = {"date": datetime.date.today().isoformat(), "llama_cpp": VERSION.search(version.stdout + version.stderr).group(1), "context": CONTEXT, "mib": {}}
    for name, write in MODELS.items():
        path = options.folder / "model.gguf"
        write(path)
        result["mib"][name] = ask(options.server, "%s/model.gguf" % (options.inside or options.folder))
        print(name, result["mib"][name], flush=True)
        path.unlink()
    (HERE / "kv_cache.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

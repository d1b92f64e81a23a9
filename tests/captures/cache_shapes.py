"""Captures how large llama.cpp makes the caches of models of many architectures: cache_shapes.json beside this file.

    python tests/captures/cache_shapes.py --server 'chroot /somewhere /opt/llama/llama-server' --folder /somewhere/tmp --inside /tmp

A model's header is written here; which tensors it needs, and of which shape, llama-server says itself, one after the other, until it loads the file. The
files are holes. The server's command may run it in another root (with /proc); --folder is where this program writes, --inside the same folder as the server
sees it. Needs the packages gguf and numpy.
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import re
import shlex
import subprocess
import sys

import gguf
import numpy

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "gpu"))
import moe_model  # noqa: E402

VOCABULARY = 1024
MOST_TENSORS = 600
NOT_THERE = re.compile(r"tensor '([^']+)' not found")
OTHER_SHAPE = re.compile(r"tensor '([^']+)' has wrong shape; expected ([0-9, ]+), got")
CACHE = re.compile(r"llama_kv_cache: +size = +([0-9.]+) MiB \( *(\d+) cells, *(\d+) layers, *(\d+)/")
VERSION = re.compile(r"(?m)^version: (.*)$")


def shape(architecture, layers, heads, heads_kv, width=256, **more):
    """A header: what all have, and what one architecture has besides (dots in names as two underscores, None for what it shall lack)."""
    values = {"block_count": layers, "context_length": 32768, "embedding_length": width, "feed_forward_length": 64, "attention__head_count": heads,
              "attention__head_count_kv": heads_kv, "attention__layer_norm_rms_epsilon": 1e-6, "vocab_size": VOCABULARY, **more}
    found = {"%s.%s" % (architecture, key.replace("__", ".")): value for key, value in values.items() if value is not None}
    return dict(found, **{"general.architecture": architecture})


MLA = {"attention__q_lora_rank": 64, "attention__kv_lora_rank": 64, "attention__key_length": 96, "attention__value_length": 64,
       "attention__key_length_mla": 64, "attention__value_length_mla": 32, "rope__dimension_count": 32}
NO_MLA = {key: value for key, value in MLA.items() if not key.endswith("_mla")}
NO_MLA.update(attention__key_length=64, attention__value_length=32)
EXPERTS = {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 64}
SOME_EXPERTS = dict(EXPERTS, leading_dense_block_count=1, expert_shared_count=1, expert_weights_scale=1.0, expert_gating_func=2)
INDEXER = {"attention__indexer__head_count": 2, "attention__indexer__key_length": 32, "attention__indexer__top_k": 16}
SSM = {"ssm__conv_kernel": 4, "ssm__state_size": 32, "ssm__time_step_rank": 4, "ssm__group_count": 2}
LINEAR, WIDE_LINEAR = {"ssm__inner_size": 128, **SSM}, {"ssm__inner_size": 512, **SSM}  # twice the width, which some want
SHAPES = {
    "llama, grouped heads": shape("llama", 4, 4, 2),
    "llama, keys of 96 and values of 32": shape("llama", 2, 4, 2, attention__key_length=96, attention__value_length=32, rope__dimension_count=96),
    "llama, no number of key heads": shape("llama", 2, 4, None),
    "qwen2": shape("qwen2", 4, 4, 1),
    "qwen3": shape("qwen3", 3, 4, 2, attention__key_length=128, attention__value_length=128),
    "deci, a number of heads for each layer": shape("deci", 4, [4, 4, 4, 4], [2, 1, 2, 4], feed_forward_length=[64] * 4),
    "lfm2, attention in some layers": shape("lfm2", 6, 4, [0, 0, 2, 0, 2, 0], shortconv__l_cache=3),
    "lfm2, a window in them": shape("lfm2", 6, 4, [0, 0, 2, 0, 2, 0], shortconv__l_cache=3, attention__sliding_window=512),
    "qwen35, attention in every fourth": shape("qwen35", 8, 4, 2, attention__key_length=64, attention__value_length=64, full_attention_interval=4,
                                               rope__dimension_sections=[8, 8, 8, 0], **LINEAR),
    "qwen35, another interval": shape("qwen35", 6, 4, 2, attention__key_length=64, attention__value_length=64, full_attention_interval=3,
                                      rope__dimension_sections=[8, 8, 8, 0], **LINEAR),
    "qwen3next": shape("qwen3next", 8, 4, 2, attention__key_length=64, attention__value_length=64, **LINEAR, **EXPERTS),
    "mamba": shape("mamba", 4, None, None, **WIDE_LINEAR),
    "jamba, attention in one": shape("jamba", 4, 4, [0, 0, 2, 0], **WIDE_LINEAR, **EXPERTS),
    "falcon-h1, both in each": shape("falcon-h1", 3, 4, 2, attention__key_length=64, attention__value_length=64, **LINEAR),
    "nemotron_h": shape("nemotron_h", 4, 4, [0, 2, 0, 0], feed_forward_length=[0, 0, 64, 0], attention__layer_norm_epsilon=1e-6, **LINEAR),
    "granitehybrid": shape("granitehybrid", 4, 4, [0, 2, 0, 2], **WIDE_LINEAR),
    "deepseek2 with MLA": shape("deepseek2", 4, 4, 1, **MLA, **SOME_EXPERTS),
    "deepseek2 from before MLA": shape("deepseek2", 4, 4, 4, **NO_MLA, **SOME_EXPERTS),
    "deepseek32, an indexer besides": shape("deepseek32", 4, 4, 1, **MLA, **SOME_EXPERTS, **INDEXER),
    "deepseek32, a draft layer that is not loaded": shape("deepseek32", 5, 4, 1, nextn_predict_layers=1, **MLA, **SOME_EXPERTS, **INDEXER),
    "glm-dsa": shape("glm-dsa", 4, 4, 1, **MLA, **SOME_EXPERTS, **INDEXER),
    "glm4moe, a draft layer": shape("glm4moe", 4, 4, 2, nextn_predict_layers=1, attention__key_length=64, attention__value_length=64, **SOME_EXPERTS),
    "gemma2": shape("gemma2", 4, 4, 2, attention__key_length=64, attention__value_length=64, attention__sliding_window=1024),
    "gemma2, no window said": shape("gemma2", 4, 4, 2, attention__key_length=64, attention__value_length=64),
    "gemma3": shape("gemma3", 7, 4, 2, attention__key_length=64, attention__value_length=64, attention__sliding_window=512),
    "gemma3 without windows": shape("gemma3", 3, 4, 2, attention__key_length=64, attention__value_length=64),
    "gemma4, shared and of two widths": shape(
        "gemma4", 8, 4, [2, 2, 2, 1, 2, 2, 2, 1], attention__key_length=128, attention__value_length=128, attention__key_length_swa=64,
        attention__value_length_swa=64, attention__sliding_window=512, attention__sliding_window_pattern=[True, True, True, False] * 2,
        attention__shared_kv_layers=4, embedding_length_per_layer_input=32, rope__dimension_count_swa=64, rope__dimension_count=128),
    "gpt-oss": shape("gpt-oss", 4, 4, 2, attention__key_length=64, attention__value_length=64, attention__sliding_window=128, **EXPERTS),
    "cohere2": shape("cohere2", 5, 4, 2, attention__sliding_window=512, attention__layer_norm_epsilon=1e-6, logit_scale=1.0),
    "llama4, chunks": shape("llama4", 5, 4, 2, interleave_moe_layer_step=1, **EXPERTS),
    "olmo2 with windows": shape("olmo2", 5, 4, 2, attention__sliding_window=512),
    "exaone-moe": shape("exaone-moe", 5, 4, 2, attention__sliding_window=256, attention__key_length=64, attention__value_length=64, **SOME_EXPERTS),
    "mimo2": shape("mimo2", 4, 4, 2, attention__sliding_window=256, attention__sliding_window_pattern=[False, True, True, False],
                   attention__key_length=64, attention__value_length=32, **EXPERTS),
    "smallthinker": shape("smallthinker", 5, 4, 2, attention__sliding_window=512, **EXPERTS),
}
# How they are run: llama-server's own way, one sequence, some that share nothing, caches of smaller values, windows as long as the context.
WAYS = {
    "as it comes": [],
    "one sequence, small batches": ["--ctx-size", "6000", "--ubatch-size", "128", "--parallel", "1"],
    "three sequences": ["--ctx-size", "6000", "--parallel", "3"],
    "three sequences that share": ["--ctx-size", "6000", "-np", "3", "--kv-unified"],
    "q8_0": ["--cache-type-k", "q8_0", "--cache_type_v", "q8_0", "--flash-attn", "on"],
    "q8_0 and q4_0": ["-ctk", "q8_0", "-ctv", "q4_0", "-fa", "on"],
    "full windows": ["--swa-full"],
}
CONTEXT, MICRO_BATCH = "8192", "512"  # unless a way says otherwise
REFUSED = "model does not support different K"  # a cache that holds values as a part of its keys


def write(path, metadata, tensors):
    """The file: its header, and a hole."""
    writer = gguf.GGUFWriter(None, metadata["general.architecture"])
    for key, value in metadata.items():
        if key == "general.architecture":
            continue
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array}[type(value)]
        add(key, value)
    moe_model.add_tokenizer(writer, VOCABULARY, "qwen2")
    for name, sides in tensors.items():
        writer.add_tensor_info(name, sides[::-1], numpy.dtype(numpy.float32), 4 * math.prod(sides), raw_dtype=gguf.GGMLQuantizationType.F32)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    whole = sum(-(-4 * math.prod(sides) // 32) * 32 for sides in tensors.values())
    os.truncate(path, -(-path.stat().st_size // 32) * 32 + whole)


class Server:
    """llama-server, started once for each question; what it says until it listens or gives up."""

    def __init__(self, command, folder, inside):
        self.command, self.path, self.model = command, folder / "shape.gguf", "%s/shape.gguf" % (inside or folder)

    def load(self, metadata, tensors, arguments=()):
        write(self.path, metadata, tensors)
        words = [*self.command, "--model", self.model, "--no-warmup", "--no-repack", "--fit", "off", "--host", "127.0.0.1", "--port", "18099",
                 "--log-verbosity", "5", *arguments]
        for option, value in (("--ctx-size", CONTEXT), ("--ubatch-size", MICRO_BATCH)):
            if option not in arguments:
                words += [option, value]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            said = []
            for line in server.stdout:
                said.append(line)
                if "listening" in line:
                    break
            server.kill()
        self.path.unlink()
        return "".join(said)

    def caches(self, metadata, tensors, arguments):
        """What it says of its caches: a list of dicts; None where llama.cpp refuses the way for this model."""
        for _attempt in range(3):
            said = self.load(metadata, tensors, arguments)
            if REFUSED in said:
                return None
            if "listening" in said or "sched_reserve: " in said:  # a graph of such a shape may be refused; the caches are there
                return [{"mib": float(mib), "cells": int(cells), "layers": int(layers)} for mib, cells, layers, _sequences in CACHE.findall(said)]
        raise SystemExit("%s does not start with %s:\n%s" % (metadata["general.architecture"], " ".join(arguments), said[-1500:]))

    def tensors_of(self, metadata):
        """The tensors that a model of this header has, by llama-server's own complaints."""
        found = {}
        for _step in range(MOST_TENSORS):
            said = self.load(metadata, found or {"token_embd.weight": [1]})
            if CACHE.search(said) or "listening" in said:
                return found
            other, missing = OTHER_SHAPE.search(said), NOT_THERE.search(said)
            if other:
                found[other.group(1)] = [int(side) for side in other.group(2).split(",")]
            elif missing and missing.group(1) not in found:
                found[missing.group(1)] = [1]
            else:
                break
        raise SystemExit("%s does not load:\n%s" % (metadata["general.architecture"], said[-1500:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, type=shlex.split)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--inside")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    server = Server(options.server, options.folder, options.inside)
    version = subprocess.run([*options.server, "--version"], capture_output=True, text=True, check=True)
    result = {"date": datetime.date.today().isoformat(), "llama_cpp": VERSION.search(version.stdout + version.stderr).group(1),
              "context": int(CONTEXT), "micro_batch": int(MICRO_BATCH), "ways": WAYS, "shapes": {}}
    for name, metadata in SHAPES.items():
        if options.only not in name:
            continue
        tensors = server.tensors_of(metadata)
        found = {way: server.caches(metadata, tensors, arguments) for way, arguments in WAYS.items()}
        result["shapes"][name] = {"metadata": metadata, "caches": found}
        print(name, found, flush=True)
    if not options.only:
        (HERE / "cache_shapes.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of llama-server that an inventory cannot give: those that the role sets itself, and those that open the bunker.

Source of the spellings: common/arg.cpp of llama.cpp, as shipped with llama_cpp_python 0.3.36. All spellings of an option stand together, its negation
among them; tests/unit/plugins/module_utils/llama/test_options.py holds them to the list of all that this llama-server knows.
"""
from __future__ import annotations

import fnmatch
import re

# A service's field, and the options that the role sets by it. A second one on the command line would win in silence.
MANAGED = {
    "model": ("-m", "--model"),
    "name": ("-a", "--alias"),
    "address": ("--host", "--reuse-port"),
    "port": ("--port",),
    "context": ("-c", "--ctx-size"),
    "threads": ("-t", "--threads"),
    "batch": ("-b", "--batch-size"),
    "micro_batch": ("-ub", "--ubatch-size"),
    "cpuset": ("-C", "--cpu-mask", "-Cr", "--cpu-range", "--cpu-strict", "-Cb", "--cpu-mask-batch", "-Crb", "--cpu-range-batch",
               "--cpu-strict-batch", "--numa"),
    "gpus": ("-dev", "--device", "-mg", "--main-gpu"),
    "gpu_layers": ("-ngl", "--gpu-layers", "--n-gpu-layers"),
    "tensor_split": ("-ts", "--tensor-split"),
    "tensor_overrides": ("-ot", "--override-tensor", "-cmoe", "--cpu-moe", "-ncmoe", "--n-cpu-moe", "-ncffn", "--n-cpu-ffn"),
    "split_mode": ("-sm", "--split-mode"),
    # Older ones had options for each of the values.
    "load_mode": ("-lm", "--load-mode", "--mlock", "--mmap", "--no-mmap", "-dio", "--direct-io", "-ndio", "--no-direct-io"),
    "placement": ("-fit", "--fit", "-fitt", "--fit-target", "-fitc", "--fit-ctx"),
    "ladder": ("-kvo", "--kv-offload", "-nkvo", "--no-kv-offload"),
    "speculation": ("--spec-type", "--spec-default"),
    "draft_model": ("-md", "--model-draft", "--spec-draft-model", "--draft-model"),
}
# The same for files of the model: by their roles in its entry of the catalogue, so that they are verified.
OF_MODEL = {
    "projector": ("-mm", "--mmproj"),
    "chat_template": ("--chat-template-file",),
    "adapter": ("--lora", "--lora-scaled"),
}
# The same for what no field says: the server's own pages and figures, which only the gateway and the host's own checks are to reach.
FIXED = ("--ui", "--webui", "--no-ui", "--no-webui", "--slots", "--no-slots", "--metrics",
         "--cors-origins", "--cors-methods", "--cors-headers", "--cors-credentials", "--no-cors-credentials")

# What an option would open, and its spellings. A "*" stands for anything, so that a later option of the family is refused as well.
FORBIDDEN = {
    "gives callers tools, agents or programs": (
        "--video-ffmpeg*", "--tools*", "-ag", "--agent*", "-no-ag", "--no-agent*", "--mcp*", "--ui-*", "--webui-*", "--no-ui-*", "--no-webui-*"),
    "computes on other machines": ("--rpc*",),
    "opens files to callers": ("--slot-save*", "--media*", "--path*"),
    "writes down what callers asked": (
        "--log-prompts*", "--log-file*", "-lcd", "--lookup-cache-dynamic", "-v", "--verbose", "--log-verbose", "-lv", "--verbosity", "--log-verbosity"),
    "lets callers change what is served": ("--props", "--models-*", "--no-models-*"),
    "fetches files that nobody verified": (
        "-hf*", "--hf*", "-mu", "--model-url", "-dr", "--docker*", "-mmu", "--mmproj-url", "--spec-draft-hf", "--embd-gemma-*", "--fim-*", "--gpt-oss-*",
        "--vision-*", "--*-default"),
    "prints something and ends": ("-h", "--help", "--usage", "--version", "--completion*", "-cl", "--cache-list", "--list-devices"),
    "is the gateway's (keys, certificates, paths)": ("--api-*", "--ssl-*"),
}
_OPTION = re.compile(r"^--?[A-Za-z]")


def of_word(word):
    """The option that a word of a command line is, as llama.cpp reads it: in options of two dashes "_" is "-".

    :param word: str, for example ``--ctx_size``. What follows a "=" is left out, though llama.cpp itself takes values as words of their own.
    :returns: str, for example ``--ctx-size``; "" for a word that is no option.
    """
    if not _OPTION.match(word):
        return ""
    option = re.split(r"[=\s]", word, maxsplit=1)[0]
    return option.replace("_", "-") if option.startswith("--") else option


def is_alone(word):
    """Whether a word is an option and nothing else: llama.cpp takes a value as a word of its own, and knows no "=".

    :param word: str that :func:`of_word` takes for an option.
    """
    return not re.search(r"[=\s]", word)


def field_of(option):
    """The service's field by which the role sets an option: a name of :data:`MANAGED`, "" for one of :data:`FIXED`, None for one that it does not set.

    Of a file that belongs to the model it is "model (a file of its with role: projector)", or another role of :data:`OF_MODEL`.
    """
    if option in FIXED:
        return ""
    role = next((role for role, spellings in OF_MODEL.items() if option in spellings), None)
    if role:
        return "model (a file of its with role: %s)" % role
    return next((field for field, spellings in MANAGED.items() if option in spellings), None)


def harm_of(option):
    """Why an option has no place in the bunker: a key of :data:`FORBIDDEN`, or None. What the role sets is asked first, by :func:`field_of`."""
    return next((harm for harm, spellings in FORBIDDEN.items() if any(fnmatch.fnmatchcase(option, spelling) for spelling in spellings)), None)

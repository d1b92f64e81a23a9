# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a service's weights lie: on which of its cards, what of them in RAM. Pure functions.

A placement is a dict of ``gpus`` (UUIDs, in CUDA's order), ``gpu_layers`` (str), ``tensor_split`` (shares of the cards, "" for llama.cpp's own),
``tensor_overrides`` (list of "PATTERN=BUFFER TYPE", the first that matches a tensor counts) and ``split_mode`` ("" for llama.cpp's own). Named ones are data
(inference_service_placements). One that leaves ``gpu_layers`` open is planned: llama.cpp's own llama-fit-params puts the dense parts, attention and
shared experts on the cards first, then experts as far as memory allows with so much of it kept free, and what it says is written out, so that each
start places the same.
"""
from __future__ import annotations

import re
import shlex

KEYS = ("gpus", "gpu_layers", "tensor_split", "tensor_overrides", "split_mode")
AS_DEFINED = "as_defined"
# Options of llama-server that a definition may have besides and that llama-fit-params has to know too (llama.cpp, common/arg.cpp).
TAKES_MEMORY = ("--cache-type-k", "-ctk", "--cache-type-v", "-ctv", "--parallel", "-np", "--flash-attn", "-fa", "--kv-unified", "-kvu", "--swa-full")
MIB = 1 << 20


def of_service(service):
    """The placement that a definition gives by itself."""
    return {key: service[key] for key in KEYS}


def named(service, placements, name):
    """A named placement of a service, as far as it is known before it is planned.

    :param service: complete service definition.
    :param placements: inference_service_placements: name to dict with some of ``cards`` (how many of the service's, from the first on; 0 for all),
        ``gpu_layers``, ``tensor_split``, ``tensor_overrides`` and ``split_mode``.
    :returns: a placement; with ``gpu_layers`` "auto" it is to be planned.
    :raises ValueError: there is no such name, it wants more cards than the service has, or more shares than it has cards.
    """
    if name == AS_DEFINED:
        return of_service(service)
    if name not in placements:
        raise ValueError("service %s: there is no placement %s in inference_service_placements (%s)" % (
            service["name"], name, ", ".join(sorted(placements)) or "which is empty"))
    found = placements[name]
    cards = int(found.get("cards") or 0) or len(service["gpus"])
    if cards > len(service["gpus"]):
        raise ValueError("service %s: placement %s wants %d cards, gpus names %d" % (service["name"], name, cards, len(service["gpus"])))
    split = str(found.get("tensor_split", ""))
    if split and len(split.split(",")) > cards:
        raise ValueError("service %s: placement %s has tensor_split %s for %d card%s" % (service["name"], name, split, cards, "" if cards == 1 else "s"))
    return {"gpus": service["gpus"][:cards], "gpu_layers": str(found.get("gpu_layers", "auto")), "tensor_split": split,
            "tensor_overrides": list(found.get("tensor_overrides", [])), "split_mode": str(found.get("split_mode", ""))}


def _cards_needed(placements, name):
    """How many cards a named placement needs: what it says, or one for each of its shares."""
    found = placements[name]
    split = str(found.get("tensor_split", ""))
    return max(int(found.get("cards") or 1), len(split.split(",")) if split else 1)


def suitable(service, placements):
    """Those of a service's ``placements`` that its cards suffice for: with a card less, others are left. An unknown name is kept, so that it is refused.

    :raises ValueError: none is left.
    """
    found = [name for name in service["placements"] if name not in placements or _cards_needed(placements, name) <= len(service["gpus"])]
    if not found:
        raise ValueError("service %s: none of its placements (%s) suits %d card%s" % (
            service["name"], ", ".join(service["placements"]), len(service["gpus"]), "" if len(service["gpus"]) == 1 else "s"))
    return found


def is_planned(placement):
    """Whether llama-fit-params has to say what it is."""
    return placement["gpu_layers"] == "auto"


def cards_of(text):
    """UUID to bytes, of ``nvidia-smi --query-gpu=uuid,COLUMN --format=csv,noheader,nounits``, whose column is in MiB."""
    rows = [line.split(",") for line in text.splitlines() if line.count(",") == 1]
    return {uuid.strip(): int(size) * MIB for uuid, size in rows if size.strip().isdigit()}


def memory_arguments(service):
    """Those of a service's further arguments that change how much memory it takes, with their values."""
    words, found = service["extra_arguments"], []
    for place, word in enumerate(words):
        option, equals, _value = word.partition("=")
        if option in TAKES_MEMORY:
            found.append(word)
            if not equals and place + 1 < len(words) and not words[place + 1].startswith("-"):
                found.append(words[place + 1])
    return found


def fit_words(service, placement, model_path, free):
    """Words of llama-fit-params.

    :param free: GiB to keep free on each card.
    """
    words = ["--model", model_path, "--ctx-size", str(service["context"]), "--ubatch-size", str(service["micro_batch"]),
             "--fit-target", str(int(round(float(free) * 1024)))] + memory_arguments(service)
    return words + (["--split-mode", placement["split_mode"]] if placement["split_mode"] else [])


def of_fit(placement, text):
    """A placement with what llama-fit-params printed.

    :param text: its output; the line begins with "-c" (tools/fit-params/fit-params.cpp).
    :raises ValueError: no such line, or one with options that are not known.
    """
    line = next((line for line in reversed(text.splitlines()) if line.startswith("-c ")), None)
    if line is None:
        raise ValueError("llama-fit-params printed no plan: %s" % (text.strip()[-300:] or "nothing"))
    words = shlex.split(line)
    found = dict(zip(words[::2], words[1::2]))
    unknown = sorted(set(found) - {"-c", "-ngl", "-ts", "-ot"})
    if len(words) % 2 or unknown or not re.match(r"^-?\d+$", found.get("-ngl", "")):
        raise ValueError("llama-fit-params printed a plan that is not understood: %s" % line)
    # -1: nothing had to be changed, all layers fit.
    layers = found["-ngl"] if int(found["-ngl"]) >= 0 else "999"
    return dict(placement, gpu_layers=layers, tensor_split=found.get("-ts", "") if len(placement["gpus"]) > 1 else "",
                tensor_overrides=[one for one in found.get("-ot", "").split(",") if one] + placement["tensor_overrides"])


def override_words(overrides):
    """Words of llama-server for tensor overrides, in their order."""
    return ["--override-tensor", ",".join(overrides)] if overrides else []


def server_words(placement):
    """Words of llama-server for a placement that is no longer open."""
    words = [] if is_planned(placement) else ["--n-gpu-layers", placement["gpu_layers"]]
    if placement["tensor_split"]:
        words += ["--tensor-split", placement["tensor_split"]]
    if placement["split_mode"]:
        words += ["--split-mode", placement["split_mode"]]
    return words + override_words(placement["tensor_overrides"])


def bench_words(placement):
    """The same for llama-bench, which separates otherwise because commas separate what it tries (tools/llama-bench)."""
    words = server_words(placement)
    for option, comma in (("--tensor-split", "/"), ("--override-tensor", ";")):
        if option in words:
            place = words.index(option) + 1
            words[place] = words[place].replace(",", comma)
    return words


def overridden(placement, tensor):
    """The buffer type that a placement's overrides give a tensor; "" where none matches it, as llama.cpp searches (std::regex_search)."""
    for one in placement["tensor_overrides"]:
        pattern, _equals, buffer = one.rpartition("=")
        if re.search(pattern, tensor):
            return buffer
    return ""


def chosen_name(service, placements, measured=""):
    """Which placement a service gets: the inventory's; of those it leaves open the measured best; before that the first that its cards suffice for.

    :param placements: inference_service_placements.
    :param measured: name of the best one, "" where nothing counts.
    :raises ValueError: its cards suffice for none.
    """
    if service["placement"] != "auto":
        return service["placement"]
    if service["gpu_layers"] != "auto":
        return AS_DEFINED
    names = suitable(service, placements)
    return measured if measured in names else names[0]


def fit_command(service, placement, folder, file_name, image, cdi_kind, free):
    """Words that run llama-fit-params in a container of its own: hardened as the service's, and without any network.

    :param folder: of the model, on the host.
    :param file_name: its first file.
    """
    words = ["docker", "run", "--rm", "--pull", "never", "--network", "none", "--user", "65532:65532", "--read-only", "--cap-drop", "ALL",
             "--security-opt", "no-new-privileges", "--volume", "%s:/models:ro" % folder, "--env", "CUDA_VISIBLE_DEVICES=" + ",".join(placement["gpus"])]
    for gpu in placement["gpus"]:
        words += ["--device", "%s=%s" % (cdi_kind, gpu)]
    return words + ["--entrypoint", "/opt/llama/llama-fit-params", image] + fit_words(service, placement, "/models/" + file_name, free)


def identity(service, placement, image, model, cards, free):
    """What a plan was made for; another one is made where any of it has changed.

    :param image: ID of the image, whose llama-fit-params it is.
    :param model: hash of the model.
    :param cards: UUID to bytes of VRAM, of the host's cards.
    :param free: GiB to keep free.
    """
    return {"image": image, "model": model, "cards": [[uuid, cards.get(uuid, 0) // MIB] for uuid in placement["gpus"]], "context": service["context"],
            "micro_batch": service["micro_batch"], "free": float(free), "arguments": memory_arguments(service), "split_mode": placement["split_mode"],
            "tensor_overrides": placement["tensor_overrides"]}

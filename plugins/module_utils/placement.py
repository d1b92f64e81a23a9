# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a service's weights lie: on which of its cards, what of them in RAM. Pure functions.

A placement is a dict of ``gpus`` (UUIDs, in CUDA's order), ``gpu_layers`` (str), ``tensor_split`` (shares of the cards, "" for llama.cpp's own),
``tensor_overrides`` (list of "PATTERN=BUFFER TYPE", the first that matches a tensor counts), ``split_mode`` and ``load_mode`` (each "" for llama.cpp's
own). Named ones are data (inference_service_placements). One that leaves ``gpu_layers`` open is planned: llama.cpp's own llama-fit-params puts the
dense parts, attention and shared experts on the cards first, then experts as far as memory allows with so much of it kept free, and what it says is
written out, so that each start places the same.
"""
from __future__ import annotations

import re
import shlex

from .engine import container
from .llama import options
from .llama.kv_cache import SEQUENCES

KEYS = ("gpus", "gpu_layers", "tensor_split", "tensor_overrides", "split_mode", "load_mode")
AS_DEFINED = "as_defined"
# Options of llama-server that a definition may have besides and that llama-fit-params has to be told too. It ends at one that it does not know, such as
# --kv-unified (llama.cpp, common/arg.cpp).
TAKES_MEMORY = ("--cache-type-k", "-ctk", "--cache-type-v", "-ctv", "--parallel", "-np", "--flash-attn", "-fa", "--swa-full")
MIB = 1 << 20
COMPUTED_WITH = 1200  # MiB of a card that holds experts alone, beside them: 961 on an H200 (tests/gpu/results/placement_two_cards.json)
# Matrices of a layer's experts, for llama.cpp's --override-tensor, and all of them; the names are those that its own --n-cpu-moe takes.
MATRICES = r"blk\.%s\.ffn_(%s)_(ch|)exps"
EXPERTS = MATRICES % ("%d", "up|down|gate_up|gate")
FREE = re.compile(r"- CUDA(\d+) \(.*MiB used, +(-?\d+) MiB free")
# llama-fit-params takes of a layer that fits in part all matrices of these names from the card (common/fit.cpp), the shared experts and the router too, which
# every token reads.
FITS_IN_PART = re.compile(r"^(blk\\\.\d+\\\.ffn_\([a-z_|]+\))\.\*=")


def of_service(service):
    """The placement that a definition gives by itself."""
    return {key: service[key] for key in KEYS}


def named(service, placements, name):
    """A named placement of a service, as far as it is known before it is planned.

    :param service: complete service definition.
    :param placements: inference_service_placements: name to dict with some of ``cards`` (how many of the service's, from the first on; 0 for all),
        ``gpu_layers``, ``tensor_split``, ``tensor_overrides``, ``split_mode``, ``load_mode`` and ``others``.
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
            "tensor_overrides": list(found.get("tensor_overrides", [])), "split_mode": str(found.get("split_mode", "")),
            "load_mode": str(found.get("load_mode", "")), **({"others": found["others"]} if found.get("others") else {})}


def _cards_needed(placements, name):
    """How many cards a named placement needs: what it says, or one for each of its shares, or another one than the first."""
    found = placements[name]
    split = str(found.get("tensor_split", ""))
    return max(int(found.get("cards") or 1), len(split.split(",")) if split else 1, 2 if found.get("others") else 1)


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
        option = options.of_word(word)
        if option in TAKES_MEMORY:
            found += [word] if option == "--swa-full" else words[place:place + 2]
    # llama-fit-params would plan for one sequence, where llama-server computes several.
    return found if {"--parallel", "-np"} & {options.of_word(word) for word in found} else found + ["--parallel", str(SEQUENCES)]


def fit_words(service, placement, model_path, kept):
    """Words of llama-fit-params.

    :param kept: MiB to keep free on each card, a list.
    """
    words = ["--model", model_path, "--ctx-size", str(service["context"]), "--ubatch-size", str(service["micro_batch"]),
             "--fit-target", ",".join(str(one) for one in kept), "--verbosity", "4"] + memory_arguments(service)
    return words + (["--split-mode", placement["split_mode"]] if placement["split_mode"] else [])


def of_fit(placement, text):
    """A placement with what llama-fit-params printed, but for shared experts: a few MB of each layer that fits in part stay on the card.

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
                tensor_overrides=[FITS_IN_PART.sub(r"\1(\\.weight|_(ch|)exps)=", one) for one in found.get("-ot", "").split(",") if one]
                + placement["tensor_overrides"])


def short_of(text, kept):
    """MiB of each card that its plan leaves free less than it shall, by llama-fit-params' own last words about it (verbosity 4)."""
    free = {int(card): int(size) for card, size in FREE.findall(text)}
    return [max(wanted - free.get(number, wanted), 0) for number, wanted in enumerate(kept)]


def kept_free(placement, free, besides=None):
    """MiB that a plan keeps free on each card: what is to stay free, and room for what it does not know of.

    :param free: GiB.
    :param besides: of model_files.beside_weights(); None for nothing.
    """
    first, each = (-(-(besides or {}).get(which, 0) // MIB) for which in ("first", "each"))
    return [int(round(float(free) * 1024)) + each + (0 if number else first) for number in range(len(placement["gpus"]))]


def planned(placement, free, run, cards=None, matrices=None, besides=None):
    """A placement as llama-fit-params plans it, with so much kept free on every card.

    With ``others`` "experts" that is the plan for the first card alone; the other cards take experts that it leaves in RAM, and nothing else.
    Otherwise it is the plan for all of them. For several, llama-fit-params counts the output layer among those that it leaves in RAM, and the last card ends
    up with a layer's experts more than there is room for (seen on two H200, tests/gpu/results/placement_two_cards.json). Where its own figures say so, it
    is asked again for that much more.

    :param free: GiB to keep free on each card.
    :param run: function of a placement and of the MiB to keep free on each of its cards, a list; returns what llama-fit-params printed and logged.
    :param cards: UUID to bytes of VRAM that are free now, where ``others`` says something: other programs may hold some of a card.
    :param matrices: bytes of each matrix of experts (model_memory.expert_matrices), likewise.
    :param besides: as of :func:`kept_free`.
    :raises ValueError: as of_fit(), or it keeps less free each time.
    """
    if placement.get("others"):
        first = planned(dict(placement, gpus=placement["gpus"][:1], others=""), free, run, besides=besides)
        rooms = [cards.get(uuid, 0) - (kept + COMPUTED_WITH) * MIB for uuid, kept in list(zip(placement["gpus"], kept_free(placement, free, besides)))[1:]]
        return dict(with_experts_elsewhere(first, matrices, rooms), gpus=placement["gpus"], tensor_split=",".join(["1"] + ["0"] * len(rooms)))
    placement = {key: placement[key] for key in KEYS}
    wanted = kept = kept_free(placement, free, besides)
    for _turn in range(len(kept) + 1):
        out, log = run(placement, wanted)
        found, short = of_fit(placement, out), short_of(out + log, kept)
        if not any(short):
            return found
        wanted = [one + more for one, more in zip(wanted, short)]
    raise ValueError("llama-fit-params keeps %s MiB less free on the cards than the %d that it was asked for" % (", ".join(map(str, short)), kept[0]))


def with_experts_elsewhere(placement, matrices, rooms):
    """A placement on one card whose experts in RAM are on further cards, from the first layer and card on, as far as there is room: whole layers first,
    because each one is computed in one place then, and what is left is filled with single matrices.

    :param matrices: bytes of each matrix of experts, by (layer, part).
    :param rooms: bytes that each further card has for them.
    """
    left = [one for one in sorted(matrices) if overridden(placement, "blk.%d.ffn_%s_exps.weight" % one) == "CPU"]
    layers, card_of, rooms = {}, {}, list(rooms)
    for one in sorted(matrices):
        layers.setdefault(one[0], []).append(one)

    def fill(groups):
        """Each group on one card, in their order."""
        for card, room in enumerate(rooms):
            while groups and sum(matrices[one] for one in groups[0]) <= room:
                room -= sum(matrices[one] for one in groups[0])
                card_of.update((one, card + 1) for one in groups.pop(0))
            rooms[card] = room
    fill([layer for layer in layers.values() if set(layer) <= set(left)])
    fill([[one] for one in left if one not in card_of])
    moved = {}
    for (layer, part), card in sorted(card_of.items()):
        moved.setdefault((layer, card), []).append(part)
    overrides = ["%s=CUDA%d" % (MATRICES % (layer, "|".join(parts)), card) for (layer, card), parts in moved.items()]
    return dict(placement, tensor_overrides=overrides + placement["tensor_overrides"])  # the first that matches counts


def override_words(overrides):
    """Words of llama-server for tensor overrides, in their order."""
    return ["--override-tensor", ",".join(overrides)] if overrides else []


def server_words(placement):
    """Words of llama-server for a placement that is no longer open."""
    words = [] if is_planned(placement) else ["--n-gpu-layers", placement["gpu_layers"]]
    if placement["tensor_split"]:
        words += ["--tensor-split", placement["tensor_split"]]
    for option, key in (("--split-mode", "split_mode"), ("--load-mode", "load_mode")):
        if placement[key]:
            words += [option, placement[key]]
    return words + override_words(placement["tensor_overrides"])


def layer_shares(placement):
    """UUID to share of the layers, of a placement that says how they are split; {} where llama.cpp decides."""
    return dict(zip(placement["gpus"], map(float, placement["tensor_split"].split(",")))) if placement["tensor_split"] else {}


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


def expert_buffers(placement, number):
    """The buffer types that the overrides give a layer's experts, a set: {""} where none matches one of them, several where they are split."""
    return {overridden(placement, "blk.%d.ffn_%s_exps.weight" % (number, part)) for part in ("up", "gate", "down")}


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


def fit_command(service, placement, folder, file_name, image, cdi_kind, kept):
    """Words that run llama-fit-params in a container of its own: hardened as the service's, and without any network.

    :param folder: of the model, on the host.
    :param file_name: its first file.
    """
    words = ["docker", "run"] + container.hardened() + [
        "--network", "none", "--volume", "%s:/models:ro" % folder, "--env", "CUDA_VISIBLE_DEVICES=" + ",".join(placement["gpus"])]
    for gpu in placement["gpus"]:
        words += ["--device", "%s=%s" % (cdi_kind, gpu)]
    return words + ["--entrypoint", "/opt/llama/llama-fit-params", image] + fit_words(service, placement, "/models/" + file_name, kept)


def identity(service, placement, image, model, cards, free):
    """What a plan was made for; another one is made where any of it has changed.

    :param image: ID of the image, whose llama-fit-params it is.
    :param model: hash of the model.
    :param cards: UUID to bytes of VRAM, of the host's cards.
    :param free: GiB to keep free.
    """
    return {"image": image, "model": model, "cards": [[uuid, cards.get(uuid, 0) // MIB] for uuid in placement["gpus"]], "context": service["context"],
            "micro_batch": service["micro_batch"], "free": float(free), "arguments": memory_arguments(service), "split_mode": placement["split_mode"],
            "load_mode": placement["load_mode"], "others": placement.get("others", ""), "tensor_overrides": placement["tensor_overrides"]}

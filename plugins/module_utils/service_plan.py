# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a service's definition into everything that its unit needs. Pure functions."""
from __future__ import annotations

from . import gguf, model_files, placement
from .engine import container
from .llama import kinds
from .seal_rules import LABEL, hardware_address


# Keys of a rung's plan (inference_service_plans of the role inference_service).
PLAN_KEYS = ("kv_cache", "context", "micro_batch", "expert_layers_in_ram")
MOST_LAYERS = 1 << 16  # and experts; far beyond any model's
# The rung that changes nothing.
INVENTORY = {"name": "inventory", "plan": {}}


def first_gpu_layer(service, layers):
    """The first layer whose weights are on a GPU, llama.cpp's i_gpu_start (llama-model.cpp): the last ones are, and the output counts as one.

    :param service: complete service definition; with ``gpu_layers`` auto, or on the CPU, all layers count as being there.
    :param layers: block_count of the model.
    """
    return max(layers + 1 - int(service["gpu_layers"]), 0) if service["device"] == "gpu" and service["gpu_layers"] != "auto" else 0


def rung_arguments(service, plan, metadata):
    """What a rung's plan changes on llama-server's command line.

    :param service: complete service definition.
    :param plan: dict with some of :data:`PLAN_KEYS`. It is complete by itself: the changes are to the definition, not to another rung.
    :param metadata: scalar metadata of the model's GGUF file; {} where it cannot be read yet.
    :returns: list of words; None where the model has no layers of experts that could go to RAM.
    """
    words = ["--ctx-size", str(min(service["context"], plan.get("context") or service["context"])),
             "--ubatch-size", str(min(service["micro_batch"], plan.get("micro_batch") or service["micro_batch"]))]
    if plan.get("kv_cache") == "ram":
        words.append("--no-kv-offload")
    overrides = list(service["tensor_overrides"])
    if plan.get("expert_layers_in_ram"):
        layers = expert_layers(service, metadata)
        if not layers:
            return None
        moved = layers[:plan["expert_layers_in_ram"]]
        if overrides:
            # Some are in RAM already, wherever the placement has them; these ones besides.
            overrides += ["%s=CPU" % (placement.EXPERTS % number) for number in moved]
        else:
            # The first layers stay in RAM; those before the first one on a GPU are there already.
            words += ["--n-cpu-moe", str(moved[-1] + 1)]
    return words + placement.override_words(overrides)


def expert_layers(service, metadata):
    """Numbers of the layers whose experts are on a GPU as the definition has it; [] for a dense model."""
    def value(key):
        return gguf.whole(metadata, "." + key, MOST_LAYERS) or 0

    if not value("expert_count"):
        return []
    first = max(first_gpu_layer(service, value("block_count")), value("leading_dense_block_count"))
    # A layer that a placement has split between card and RAM counts as being in RAM: what is left of it frees little.
    return [number for number in range(first, value("block_count"))
            if placement.expert_buffers(service, number) == {""}]


def ladder(service, plans, metadata):
    """The rungs of a service, rung 0 (the definition as it is) first.

    :param plans: inference_service_plans, name to plan.
    :returns: list of dicts with ``name``, ``plan``, and ``arguments`` of :func:`rung_arguments`.
    :raises ValueError: the service's ladder names a plan that is not there.
    """
    unknown = [name for name in service["ladder"] if name not in plans]
    if unknown:
        raise ValueError("service %s: its ladder names %s, which inference_service_plans has not" % (service["name"], ", ".join(unknown)))
    rungs = [INVENTORY] + [{"name": name, "plan": plans[name]} for name in service["ladder"]]
    return [dict(rung, arguments=rung_arguments(service, rung["plan"], metadata)) for rung in rungs]


def server_arguments(service, model, tuning, rung=None, facts=None):
    """Arguments of llama-server.

    :param service: complete service definition (inference_service's spec, defaults filled in), its ``kind`` resolved.
    :param model: its catalogue entry; a split model is opened by its first shard.
    :param tuning: ``threads``, ``batch`` and further ``arguments`` of throughput/tuning.py's tune().
    :param rung: words of :func:`rung_arguments`; None for those of the definition.
    :param facts: of kinds.facts_of(), what the model's header says; None where it cannot be read yet.
    """
    arguments = [
        "--model", "%s/%s" % (model_files.FOLDER, model_files.weights(model["files"])[0]["name"]), "--alias", service["name"],
        "--host", "0.0.0.0", "--port", str(service["port"]),
        "--batch-size", str(tuning["batch"]), "--threads", str(tuning["threads"]),
        # Its own doors: no page, no look at other callers' prompts, and no web page of any origin ("none" is no origin that a browser could have).
        "--no-ui", "--no-slots", "--cors-origins", "none", "--no-cors-credentials",
        # Counts and speeds, nothing of what was asked; the door does not lead there.
        "--metrics",
    ] + model_files.server_words(model["files"]) + kinds.server_words(service, facts or {}) + tuning["arguments"] + (rung or rung_arguments(service, {}, {}))
    if service["device"] == "cpu":
        arguments += ["--n-gpu-layers", "0"] + (["--load-mode", service["load_mode"]] if service["load_mode"] else [])
    else:
        arguments += placement.server_words(dict(service, tensor_overrides=[]))  # those come with the rung
    return arguments + service["extra_arguments"]


def container_arguments(service, models_path, image, cdi_kind, cuda_cache_path="", tuning=None):
    """Options of ``docker run``, up to and including the image.

    :param models_path: folder on the host that holds one folder a model.
    :param image: image ID (``sha256:…``), so that a moved tag changes nothing until the next deployment.
    :param cdi_kind: CDI kind under which the GPUs are registered, ``nvidia.com/gpu``.
    :param cuda_cache_path: folder on the host for the machine code that CUDA compiles at load; "" for none. The container is read-only and
        would compile anew at each start without it.
    :param tuning: ``cpuset`` and ``mems`` of throughput/tuning.py's tune(): on which CPUs it computes, and where its memory is; None for anywhere.
    """
    gpus = service["gpus"]
    options = container.hardened(service["name"]) + container.locked_memory(service["load_mode"]) + [
        "--tmpfs", "/tmp:rw,noexec,nosuid,size=64m",
        "--volume", "%s/%s:/models:ro" % (models_path, service["model"]),
        # CUDA takes the cards in the order of this list; nvidia-smi's indices would be another order.
        "--env", "CUDA_VISIBLE_DEVICES=%s" % ",".join(gpus),
        "--env", "BUNKER_PORT=%d" % service["port"],
        "--health-start-period", "%ds" % service["start_timeout"],
    ]
    for option, value in (("--cpuset-cpus", (tuning or {}).get("cpuset")), ("--cpuset-mems", (tuning or {}).get("mems"))):
        if value:
            options += [option, value]
    if service["draft_model"]:
        options += ["--volume", "%s/%s:/draft:ro" % (models_path, service["draft_model"])]
    if service["address"]:
        options += ["--publish", "%s:%d:%d" % (service["address"], service["port"], service["port"])]
    if service["sealed"]:
        # Names of containers still resolve. Any other would be asked of the container's own loopback, where nobody answers; without this the engine
        # asks the host's resolver, and where that one is on loopback it does so from the host itself, past every rule on the container.
        options += ["--label", "%s=%s" % (LABEL, service["name"]), "--dns", "127.0.0.1", "--dns-search", "."]
    if service["memory"]:
        options += ["--memory", service["memory"], "--memory-swap", service["memory"]]
    for gpu in gpus:
        options += ["--device", "%s=%s" % (cdi_kind, gpu)]
    if gpus and cuda_cache_path:
        options += ["--volume", "%s:/cuda-cache" % cuda_cache_path, "--env", "CUDA_CACHE_PATH=/cuda-cache"]
    for network in service["networks"]:
        # The seal knows a service by both addresses, so both are fixed.
        parts = ["name=%s" % network["name"], "ip=%s" % network["address"], "mac-address=%s" % hardware_address(network["address"])]
        parts += ["alias=%s" % alias for alias in network["aliases"]]
        options += ["--network", ",".join(parts)]
    return options + [image]


def resolve(service, model, tuning, models_path, image, cdi_kind, cuda_cache_path="", plans=None, metadata=None, rung=0, facts=None):
    """The resolved service: what /etc/protocol_omni/services/NAME.json holds.

    :param tuning: of throughput/tuning.py's tune().
    :param rung: at which rung of its ladder it shall run.
    :param facts: of kinds.facts_of(), what the model's header says of its kind.
    :returns: dict with the definition, ``image``, ``container_arguments``, ``server_arguments``, its ``ladder``, the ``rung``, and the ``tuning`` and
        ``placement`` that it has.
    :raises ValueError: its ladder has no such rung, or the model none of the layers that the rung moves.
    """
    rungs = ladder(service, plans or {}, metadata or {})
    if not 0 <= rung < len(rungs):
        raise ValueError("service %s: its ladder has the rungs 0 to %d, not %d" % (service["name"], len(rungs) - 1, rung))
    if rungs[rung]["arguments"] is None:
        raise ValueError("service %s: %s has no layers of experts on a GPU, so there is no rung %d (%s)" % (
            service["name"], model["name"], rung, rungs[rung]["name"]))
    return {
        "definition": service,
        "image": image["id"],
        "image_tag": image["tag"],
        "architecture": model["architecture"],
        "container_arguments": container_arguments(service, models_path, image["id"], cdi_kind, cuda_cache_path, tuning),
        "server_arguments": server_arguments(service, model, tuning, rungs[rung]["arguments"], facts),
        "ladder": rungs,
        "rung": rung,
        # What a contingency keeps, whatever was measured or planned since.
        "tuning": tuning,
        "placement": placement.of_service(service),
    }


def systemd_quote(argument):
    """One word of an Exec line: systemd expands % and $ and splits at spaces (systemd.service(5))."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return '"%s"' % escaped if escaped != argument or not escaped or any(letter in " '\t;" for letter in escaped) else escaped

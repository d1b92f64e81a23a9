# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a service's definition into everything that its unit needs. Pure functions."""
from __future__ import annotations

from .seal_rules import LABEL, hardware_address


def server_arguments(service, model, physical_cores):
    """Arguments of llama-server.

    :param service: complete service definition (inference_service's spec, defaults filled in).
    :param model: its catalogue entry; a split model is opened by its first shard.
    :param physical_cores: the host's cores without SMT siblings, the default number of threads: generation is bound
        by memory bandwidth, which siblings share.
    """
    threads = physical_cores if service["threads"] == "auto" else int(service["threads"])
    arguments = [
        "--model", "/models/%s" % model["files"][0]["name"], "--alias", service["name"],
        "--host", "0.0.0.0", "--port", str(service["port"]),
        "--ctx-size", str(service["context"]), "--batch-size", str(service["batch"]), "--threads", str(threads),
        # Its own doors: no page, no look at other callers' prompts, and no web page of any origin ("none" is no origin that a browser could have).
        "--no-ui", "--no-slots", "--cors-origins", "none", "--no-cors-credentials",
    ]
    if service["device"] == "cpu":
        arguments += ["--n-gpu-layers", "0"]
    elif service["gpu_layers"] != "auto":
        arguments += ["--n-gpu-layers", service["gpu_layers"]]
    if service["tensor_split"]:
        arguments += ["--tensor-split", service["tensor_split"]]
    return arguments + service["extra_arguments"]


def container_arguments(service, models_path, image, cdi_kind, cuda_cache_path=""):
    """Options of ``docker run``, up to and including the image.

    :param models_path: folder on the host that holds one folder a model.
    :param image: image ID (``sha256:…``), so that a moved tag changes nothing until the next deployment.
    :param cdi_kind: CDI kind under which the GPUs are registered, ``nvidia.com/gpu``.
    :param cuda_cache_path: folder on the host for the machine code that CUDA compiles at load; "" for none. The container is read-only and
        would compile anew at each start without it.
    """
    gpus = service["gpus"]
    options = [
        "--rm", "--name", service["name"], "--pull", "never", "--log-driver", "none",
        "--user", "65532:65532", "--read-only", "--tmpfs", "/tmp:rw,noexec,nosuid,size=64m",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "4096",
        "--volume", "%s/%s:/models:ro" % (models_path, service["model"]),
        # CUDA takes the cards in the order of this list; nvidia-smi's indices would be another order.
        "--env", "CUDA_VISIBLE_DEVICES=%s" % ",".join(gpus),
        "--env", "BUNKER_PORT=%d" % service["port"],
        "--health-start-period", "%ds" % service["start_timeout"],
    ]
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


def resolve(service, model, physical_cores, models_path, image, cdi_kind, cuda_cache_path=""):
    """The resolved service: what /etc/protocol_omni/services/NAME.json holds.

    :returns: dict with the definition, ``image``, ``container_arguments`` and ``server_arguments``.
    """
    return {
        "definition": service,
        "image": image["id"],
        "image_tag": image["tag"],
        "architecture": model["architecture"],
        "container_arguments": container_arguments(service, models_path, image["id"], cdi_kind, cuda_cache_path),
        "server_arguments": server_arguments(service, model, physical_cores),
    }


def systemd_quote(argument):
    """One word of an Exec line: systemd expands % and $ and splits at spaces (systemd.service(5))."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return '"%s"' % escaped if escaped != argument or not escaped or any(letter in " '\t;" for letter in escaped) else escaped

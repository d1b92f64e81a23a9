# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of a running service: its container, its process, its unit and its doors. The readers of texts are pure functions."""
from __future__ import annotations

import os
import re

from . import small_file
from .llama import client, kinds
from .throughput import served

ELSEWHERE = "https://elsewhere.invalid"  # an origin that no page of anybody's has
DOORS = ("/", "/slots", "/health")
MEASURED_TOKENS = 64
INSIDE = ('oifname "lo" accept', "counter drop")  # what the seal's table inside begins and ends with


def container(inspected, label):
    """What counts of a container.

    :param inspected: the engine's ``/containers/NAME/json``.
    :param label: under which it carries what it was made by.
    :returns: dict as module service_info returns it as ``container``. Nothing of its environment, which may hold secrets.
    """
    host, settings = inspected["HostConfig"], inspected["Config"]
    return {
        "pid": inspected["State"]["Pid"], "image": inspected["Image"], "definition": (settings.get("Labels") or {}).get(label) or "",
        "networks": {name: place.get("IPAddress") or "" for name, place in (inspected["NetworkSettings"].get("Networks") or {}).items()},
        "ports": ["%s:%s" % (place["HostIp"], place["HostPort"]) for places in (host.get("PortBindings") or {}).values() for place in places or []],
        "cpuset": host.get("CpusetCpus") or "", "restart": (host.get("RestartPolicy") or {}).get("Name") or "no",
        "hardening": {
            "user": settings.get("User") or "", "read_only": host.get("ReadonlyRootfs"), "dropped": "".join(host.get("CapDrop") or []),
            "added": "".join(host.get("CapAdd") or []), "security": " ".join(host.get("SecurityOpt") or []), "privileged": host.get("Privileged"),
            "pids": host.get("PidsLimit"), "models_writable": [mount["RW"] for mount in inspected["Mounts"] if mount["Destination"] == "/models"]}}


def process(pid, proc="/proc"):
    """What the kernel tells of a process.

    :param proc: where proc(5) is mounted.
    :returns: dict as module service_info returns it as ``process``. Of its environment only CUDA_VISIBLE_DEVICES.
    :raises OSError: there is no such process, or it may not be looked at.
    """
    folder = os.path.join(proc, str(pid))

    def read(name):
        with open(os.path.join(folder, name), "rb") as stream:
            return stream.read().decode("utf-8", "replace")

    def libraries(pattern):
        return sorted(set(re.findall(r"/\S*%s\S*" % pattern, maps)))

    maps = read("maps")
    visible = [entry.partition("=")[2] for entry in read("environ").split("\0") if entry.startswith("CUDA_VISIBLE_DEVICES=")]
    resident = re.search(r"^VmRSS:\s*(\d+) kB", read("status"), re.MULTILINE)
    return {"arguments": read("cmdline").split("\0")[:-1], "visible_devices": visible[0] if visible else None, "devices": _devices(os.path.join(folder, "fd")),
            "libcuda": libraries(r"libcuda\.so"), "backend": libraries(r"libggml-cuda\.so"), "memory": int(resident.group(1)) * 1024 if resident else 0}


def _devices(folder):
    found = set()
    for name in os.listdir(folder):
        try:
            found.add(os.readlink(os.path.join(folder, name)))
        except OSError:
            continue  # closed meanwhile
    return sorted(target for target in found if target.startswith("/dev/nvidia"))


def statements_inside(text):
    """Which of the two statements that close a container the table inside its namespace has, in its order: list of str.

    :param text: what ``nft --stateless list table`` printed there.
    """
    return [statement for line in text.splitlines() for statement in INSIDE if statement in line]


def definition_of_unit(content, label):
    """The definition that a unit's file gives its container: str, "" for none.

    :param content: bytes of the file.
    """
    found = re.search(r"--label %s=([0-9a-f]+)" % re.escape(label), content.decode("utf-8", "replace"))
    return found.group(1) if found else ""


def resolved(record):
    """At which rung a resolved service is, and the arguments that llama-server has there; {} where the record is none.

    :param record: what /etc/protocol_omni/services/NAME.json holds.
    """
    try:
        return {"rung": record["rung"], "name": record["ladder"][record["rung"]]["name"], "arguments": record["server_arguments"]}
    except (KeyError, IndexError, TypeError):
        return {}


def gpus_of(pid, text):
    """The GPUs on which a process computes: list of UUIDs.

    :param text: what ``nvidia-smi --query-compute-apps=gpu_uuid,pid --format=csv,noheader`` printed.
    """
    rows = [[word.strip() for word in line.split(",")] for line in text.splitlines()]
    return [row[0] for row in rows if len(row) == 2 and row[1] == str(pid)]


def speeds(kind, endpoint, question, timeout):
    """Tokens per second of one request with a prompt of some hundred tokens, so that its speed is more than the cost of one start.

    :param kind: one of kinds.KINDS.
    :returns: dict of ``generation`` and ``prompt`` (float, None where a service of this kind has none), and ``why`` where it refuses the measurement.
    :raises client.NoAnswer: see there, or its answer has no timings.
    """
    try:
        if kind not in kinds.TEXT:
            return {"generation": None, "prompt": served.vectors_speed(kind, endpoint, timeout)}
        path, body = ("/completion", {"prompt": served.PROMPT, "n_predict": MEASURED_TOKENS}) if kind == kinds.COMPLETION else (
            "/v1/chat/completions", {"messages": [{"role": "user", "content": served.PROMPT + question}], "max_tokens": MEASURED_TOKENS})
        url = endpoint + path
        timings = client.ask_json(url, dict(body, temperature=0, ignore_eos=True, cache_prompt=False), timeout).get("timings")
    except client.Refused as error:
        return {"generation": None, "prompt": None, "why": str(error)}
    try:
        return {"generation": float(timings["predicted_per_second"]), "prompt": float(timings["prompt_per_second"])}
    except (KeyError, TypeError, ValueError) as error:
        raise client.NoAnswer("%s: no timings in its answer" % url) from error


def doors(endpoint):
    """How its own doors answer a page of another origin: list of dict with ``path``, ``status`` and ``origin`` (that it allows, "" for none).

    :raises client.NoAnswer: see there.
    """
    found = []
    for path in DOORS:
        answered = client.ask(endpoint + path, headers={"Origin": ELSEWHERE})
        found.append({"path": path, "status": answered.status, "origin": answered.headers.get("Access-Control-Allow-Origin") or ""})
    return found


def last_speed(path):
    """What the last measurement after a deployment came to, as module service_speed noted it; {} for none."""
    return small_file.record(path).get("last") or {}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells of a service: the engine, llama-server itself, and the journal of its unit. Standard library only."""
import http.client
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request

from ansible_collections.protocol_omni.bunker.plugins.module_utils.local_http import LocalConnection

# What llama.cpp writes when a card has no more memory: ggml-cuda.cu (cudaMalloc failed: out of memory; CUDA error: out of memory), cuBLAS' own status.
OUT_OF_MEMORY = re.compile(
    r"(CUDA error|cudaMalloc failed|cuMem\w+ failed)[^\n]*out of memory|CUBLAS_STATUS_ALLOC_FAILED|failed to allocate \w*CUDA\w* buffer", re.IGNORECASE)
ENGINE_SOCKET, ENGINE_PID_FILE = "/run/docker.sock", "/run/docker.pid"
LONGEST_DRAIN = 3600  # that the gateway allows, seconds
_METRIC = re.compile(r"^llamacpp:(\w+) ([0-9.eE+-]+)$", re.MULTILINE)


def _state_of(unit):
    """What systemd says of a unit, "" where it does not answer in time."""
    try:
        return subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True, check=False, timeout=5).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def container(name):
    """(ID, pid) of a running container; ("", 0) where it does not run, (None, 0) where the engine does not answer."""
    # systemd listens on the socket of a stopped engine, and starts it for whoever connects, also while it still ends.
    if not os.path.exists(ENGINE_PID_FILE) or _state_of("docker.service") == "deactivating":
        return None, 0
    connection = LocalConnection(ENGINE_SOCKET)
    try:
        connection.request("GET", "/containers/%s/json" % name)
        answer = connection.getresponse()
        state = json.loads(answer.read()) if answer.status == 200 else {}
        if answer.status not in (200, 404):
            return None, 0
        return (state["Id"], state["State"]["Pid"]) if state and state["State"]["Running"] else ("", 0)
    except (OSError, http.client.HTTPException, ValueError):
        return None, 0
    finally:
        connection.close()


def keep_out(name, seconds):
    """Has the gateway send no new requests to a service, for so many seconds at most: they go to its fallback, or wait."""
    _door("/drain?service=%s&seconds=%d" % (name, min(seconds, LONGEST_DRAIN)))


def let_in(name):
    """Has the gateway send requests to a service again."""
    _door("/resume?service=%s" % name)


def drained(name):
    """For how many more seconds the gateway sends a service no new requests; 0 for none, also where no gateway says so."""
    try:
        return float(json.loads(_door("/services", "GET"))[name]["draining"])
    except (ValueError, LookupError, TypeError):
        return 0


def _door(path, method="POST"):
    """What the gateway answers at its control socket, "" for nothing."""
    connection = LocalConnection("/run/protocol-omni-gateway/control.sock")
    try:
        connection.request(method, path)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return ""  # no gateway, or none that runs; a drain ends by itself as well
    finally:
        connection.close()


def restart(unit):
    """Restarts a systemd unit that runs, without waiting until it is up; one that somebody stops stays down. What systemd says where it does not, else ""."""
    try:
        done = subprocess.run(["systemctl", "--no-block", "try-restart", unit], capture_output=True, text=True, errors="replace", timeout=30, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or "systemctl ended with status %d" % done.returncode


def ask(url, body=None, timeout=2):
    """The text of an answer; None where there is none, or no success."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=timeout) as answer:
            return answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, urllib.error.URLError):
        return None


def counts(endpoint):
    """What llama-server counts (its /metrics), name without prefix to number; {} while it is too busy to say. Its gauges of speed start anew whenever
    anybody has read them, so speeds are computed from its totals: see speed()."""
    return {name: float(value) for name, value in _METRIC.findall(ask(endpoint + "/metrics") or "")}


def wait_until_idle(endpoint, seconds):
    """Whether nothing is being answered by then, at the latest; a service that does not say counts as busy."""
    end = time.monotonic() + seconds
    while True:
        if counts(endpoint).get("requests_processing") == 0:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(1)


def speed(found, what):
    """Tokens per second since its start, of its totals; None before the first.

    :param found: of counts().
    :param what: "prompt" or "generation".
    """
    tokens, seconds = {"prompt": ("prompt_tokens_total", "prompt_seconds_total"),
                       "generation": ("tokens_predicted_total", "tokens_predicted_seconds_total")}[what]
    return found[tokens] / found[seconds] if found.get(seconds) else None


def journal(unit, cursor):
    """What a unit wrote since a cursor.

    :param cursor: of the last call; "" for the last two minutes.
    :returns: (text, cursor for the next call); no text where the journal does not answer.
    """
    since = ["--after-cursor", cursor] if cursor else ["--since", "-120s"]
    try:
        done = subprocess.run(["journalctl", "--unit", unit, "--no-pager", "--output", "cat", "--show-cursor", "--lines", "200", *since],
                              capture_output=True, text=True, errors="replace", timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return "", cursor
    lines = done.stdout.splitlines()
    if lines and lines[-1].startswith("-- cursor: "):
        return "\n".join(lines[:-1]), lines[-1][len("-- cursor: "):]
    return done.stdout, cursor


def fill_context(endpoint, timeout):
    """Has the service read one prompt that fills its context, and generate a token.

    :returns: tokens of the prompt; 0 where it did not answer.
    """
    properties, tokens = ask(endpoint + "/props"), ask(endpoint + "/tokenize", {"content": "The quick brown fox jumps over the lazy dog. " * 64})
    if properties is None or tokens is None:
        return 0
    tokens = json.loads(tokens)["tokens"]
    count = json.loads(properties)["default_generation_settings"]["n_ctx"] - 2
    prompt = (tokens * (count // len(tokens) + 1))[:count]
    return count if ask(endpoint + "/completion", {"prompt": prompt, "n_predict": 1, "cache_prompt": False}, timeout) is not None else 0

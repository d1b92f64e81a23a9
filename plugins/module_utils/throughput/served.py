# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a llama-server answers, by its own timings of requests made for that. For modules."""
from __future__ import annotations

import re
import statistics
import time

from ..llama import kinds
from ..llama.client import NoAnswer, ask_json, ask_text

SENTENCE, SENTENCES = "The quick brown fox jumps over the lazy dog. ", 24
PROMPT = SENTENCE * SENTENCES  # some 240 tokens
LEAST = 3  # requests
FIRST, FEWEST, MOST = 8, 8, 256  # tokens to generate: of the request that tells how fast it is about, and of the others
LONGEST = 4  # times the seconds that were asked for: a slow service gets its requests all the same, and no more
COUNTED = re.compile(r"^llamacpp:(tokens_predicted_total|requests_processing) ([0-9.eE+-]+)$", re.MULTILINE)
DIGITS = 1e-5  # the server prints six digits of what it has counted


def _counted(endpoint, timeout):
    """(tokens that the server has generated for anybody, requests that it works on)."""
    found = dict(COUNTED.findall(ask_text(endpoint + "/metrics", timeout=timeout)))
    if len(found) < 2:
        raise NoAnswer("%s/metrics does not tell llamacpp:tokens_predicted_total and requests_processing (llama-server's --metrics)" % endpoint)
    return float(found["tokens_predicted_total"]), float(found["requests_processing"])


def _request(endpoint, tokens, timeout):
    body = {"prompt": PROMPT, "n_predict": tokens, "cache_prompt": False, "ignore_eos": True, "temperature": 0}
    try:
        timings = ask_json(endpoint + "/completion", body, timeout)["timings"]
        return {"generation": timings["predicted_per_second"], "prompt": timings["prompt_per_second"], "tokens": timings["predicted_n"]}
    except (KeyError, TypeError) as error:
        raise NoAnswer("%s/completion: no timings in its answer" % endpoint) from error


def vectors_speed(kind, endpoint, timeout):
    """Tokens per second that it reads of texts to make vectors or scores of: by the clock, for its answer has no timings. The way there is short.

    They are as many as a prompt has, in short texts: a longer one than its batch such a server refuses (llama.cpp, server-context.cpp).

    :raises NoAnswer: see there, or it does not say how many tokens it has read.
    """
    path, body = ("/v1/embeddings", {"input": [SENTENCE] * SENTENCES}) if kind == kinds.EMBEDDINGS else (
        "/v1/rerank", {"query": "Who jumps?", "documents": [SENTENCE] * SENTENCES})
    begun = time.monotonic()
    usage = ask_json(endpoint + path, body, timeout).get("usage")
    took = time.monotonic() - begun
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if not isinstance(count, int) or count < 1:
        raise NoAnswer("%s%s: it does not say how many tokens it has read (usage)" % (endpoint, path))
    return count / max(took, 1e-6)


def _measure_vectors(kind, endpoint, seconds, timeout):
    """As :func:`measure`, of a service that generates nothing."""
    vectors_speed(kind, endpoint, timeout)
    (_before, working), begun, samples = _counted(endpoint, timeout), time.monotonic(), []
    while len(samples) < LEAST or time.monotonic() - begun < seconds:
        samples.append({"prompt": vectors_speed(kind, endpoint, timeout)})
        if time.monotonic() - begun > LONGEST * seconds:
            break
    _after, still_working = _counted(endpoint, timeout)
    return {"prompt": statistics.median(sample["prompt"] for sample in samples), "samples": samples, "disturbed": working > 0 or still_working > 0}


def measure(endpoint, seconds, timeout=600, kind=kinds.CHAT):
    """Generation and prompt speed: medians over requests of about a second each.

    :param endpoint: such as http://172.30.0.20:8002.
    :param seconds: for which to ask, at least :data:`LEAST` requests.
    :param kind: one of kinds.KINDS; those that generate nothing have a prompt speed alone.
    :returns: dict of ``generation`` and ``prompt`` (tokens per second), ``samples`` (both for each request), ``disturbed`` (it answered others too).
    :raises NoAnswer: see there.
    """
    if kind not in kinds.TEXT:
        return _measure_vectors(kind, endpoint, seconds, timeout)
    # A first one warms up what later ones find warm, and tells how many tokens a second of generation is.
    rough = _request(endpoint, FIRST, timeout)
    tokens = int(min(max(rough["generation"], FEWEST), MOST))
    (before, working), begun, samples = _counted(endpoint, timeout), time.monotonic(), []
    while len(samples) < LEAST or time.monotonic() - begun < seconds:
        samples.append(_request(endpoint, tokens, timeout))
        if len(samples) >= 1 and time.monotonic() - begun > LONGEST * seconds:
            break
    after, still_working = _counted(endpoint, timeout)
    others = after - before - sum(sample["tokens"] for sample in samples)
    return {"generation": statistics.median(sample["generation"] for sample in samples), "prompt": statistics.median(sample["prompt"] for sample in samples),
            "samples": [{what: sample[what] for what in ("generation", "prompt")} for sample in samples],
            "disturbed": others > DIGITS * after or working > 0 or still_working > 0}

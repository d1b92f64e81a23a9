"""Asks several llama-servers in turns, so that what disturbs the machine disturbs all of them: turns.py ROUNDS PROMPT TOKENS NAME=URL...

Prints JSON: for each its tokens per second of generation and of prompts (medians), and the ratio of each to the first one.

Runs on the host, with Python's standard library and tests/bench/paired.py beside it.
"""
import json
import random
import statistics
import sys
import urllib.request

from paired import ratio

VOCABULARY = 900  # prompts are of the first so many tokens; the smallest model has 1024


def ask(url, chance, prompt, tokens):
    """{"generation", "prompt"} in tokens per second, of a prompt of random tokens that no cache knows."""
    body = {"prompt": [chance.randrange(VOCABULARY) for _token in range(prompt)], "n_predict": tokens, "ignore_eos": True, "cache_prompt": False,
            "temperature": 0}
    request = urllib.request.Request(url + "/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        timings = json.load(answer)["timings"]
    if (timings["prompt_n"], timings["predicted_n"]) != (prompt, tokens):
        raise SystemExit("%s read %s and generated %s tokens" % (url, timings["prompt_n"], timings["predicted_n"]))
    return {"generation": timings["predicted_per_second"], "prompt": timings["prompt_per_second"]}


def in_turns(urls, numbers, prompt, tokens):
    """Each server once a round, in an order of the round's own.

    :param urls: name to address.
    :param numbers: of the rounds; each number is a prompt of its own.
    :returns: name to what :func:`ask` said in each round.
    """
    found = {name: [] for name in urls}
    for number in numbers:
        order = list(urls)
        random.Random(number).shuffle(order)
        for name in order:
            found[name].append(ask(urls[name], random.Random(number), prompt, tokens))
    return found


def compared(found):
    """Of what :func:`in_turns` found: name to medians, and to the ratio of each to the first one's in the same round."""
    first, told = next(iter(found)), {}
    for name, rows in found.items():
        told[name] = {what: round(statistics.median(one[what] for one in rows), 2) for what in ("generation", "prompt")}
        told[name]["to " + first] = {what: ratio([(one[what], other[what]) for one, other in zip(rows, found[first])]) for what in ("generation", "prompt")}
    return told


def main():
    rounds, prompt, tokens = map(int, sys.argv[1:4])
    servers = dict(word.split("=", 1) for word in sys.argv[4:])
    in_turns(servers, [-1], prompt, tokens)  # a round that warms up
    print(json.dumps(compared(in_turns(servers, range(rounds), prompt, tokens))))


if __name__ == "__main__":
    main()

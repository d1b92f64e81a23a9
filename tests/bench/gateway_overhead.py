"""What the gateway costs: the same streams with and without it, in turns, in one run.

    gateway_overhead.py --direct http://172.30.0.10:8000/v1 --gateway https://…:8443/v1 --model oracle --key-file FILE [--certificate FILE] [--rounds 20]

Run it on the host of the services: only from there a service can be asked directly. Prints JSON: the median over the rounds of the milliseconds
that the gateway adds to the first token, and of the ratio of tokens per second through it to those without it, each with its 95 % interval. Standard
library only; paired.py lies beside it.
"""
import argparse
import http.client
import json
import pathlib
import ssl
import statistics
import time
import urllib.parse

from paired import interval_of_median


class Way:
    """One way to the model. A stream is timed on a connection that is open already; servers close it after a stream."""

    def __init__(self, base, model, tokens, key="", certificate=None):
        url = urllib.parse.urlsplit(base)
        if url.scheme == "https":
            self.connection = http.client.HTTPSConnection(url.hostname, url.port, context=ssl.create_default_context(cafile=certificate))
        else:
            self.connection = http.client.HTTPConnection(url.hostname, url.port)
        self.path = url.path.rstrip("/") + "/chat/completions"
        self.headers = {"Content-Type": "application/json", **({"Authorization": "Bearer " + key} if key else {})}
        self.body = json.dumps({"model": model, "stream": True, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "cache_prompt": False,
                                "messages": [{"role": "user", "content": "Tell a long story."}]}).encode()

    def ask(self):
        """One stream: tuple of the seconds to its first token and of tokens per second from there on."""
        self.connection.close()
        self.connection.connect()
        begun, times = time.monotonic(), []
        self.connection.request("POST", self.path, self.body, self.headers)
        response = self.connection.getresponse()
        if response.status != 200:
            raise SystemExit("%s answers %d: %s" % (self.connection.host, response.status, response.read()[:300]))
        for line in response:
            if line.startswith(b"data: {") and b'"content":"' in line.replace(b'": "', b'":"'):
                times.append(time.monotonic())
        return times[0] - begun, (len(times) - 1) / (times[-1] - times[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name in ("direct", "gateway", "model", "key-file"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=64)
    arguments = parser.parse_args()
    key = pathlib.Path(arguments.key_file).read_text(encoding="utf-8").strip()
    direct = Way(arguments.direct, arguments.model, arguments.tokens)
    through = Way(arguments.gateway, arguments.model, arguments.tokens, key, arguments.certificate)
    added, ratios, bare = [], [], []
    for number in range(-1, arguments.rounds):
        # Each goes first every other time; the first round warms up and is not counted.
        found = {way: way.ask() for way in ((direct, through) if number % 2 else (through, direct))}
        if number >= 0:
            added.append(1000 * (found[through][0] - found[direct][0]))
            ratios.append(found[through][1] / found[direct][1])
            bare.append(found[direct])
    print(json.dumps({
        "rounds": arguments.rounds, "first_token_added_ms": round(statistics.median(added), 2), "first_token_added_ms_95": interval_of_median(added),
        "speed_ratio": round(statistics.median(ratios), 4), "speed_ratio_95": interval_of_median(ratios),
        "direct_first_token_ms": round(1000 * statistics.median(first for first, _speed in bare), 1),
        "direct_tokens_per_second": round(statistics.median(speed for _first, speed in bare), 1)}))


if __name__ == "__main__":
    main()

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama-servers with different placements on the same cards at once, asked in turns, so that what disturbs the machine disturbs all of them."""
import os
import random
import subprocess
import time

import turns
from ansible_collections.protocol_omni.bunker.plugins.module_utils import placement

PROMPT, GENERATE = 512, 48  # tokens of a request


class Server:
    """A llama-server with a placement, until it is stopped. Its log lies beside the result."""

    def __init__(self, options, cards, place, port):
        before, self.url = cards.used(), "http://127.0.0.1:%d" % port
        words = [str(options.binaries / "llama-server"), "--model", str(options.model), "--threads", str(options.threads),
                 "--host", "127.0.0.1", "--port", str(port), "--ctx-size", "1024", "--parallel", "1", "--ubatch-size", "512", "--cache-ram", "0",
                 "--no-ui", "--no-slots", *placement.server_words(place)]
        environment = dict(os.environ, CUDA_VISIBLE_DEVICES=",".join(place["gpus"]))
        with open(options.result.with_suffix(".%d.log" % port), "wb") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=environment)
        begun = time.monotonic()
        while True:
            try:
                turns.ask(self.url, random.Random(0), PROMPT, GENERATE)
                break
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() - begun > options.longest:
                    self.stop()
                    raise SystemExit("llama-server %s does not serve: %s" % (" ".join(words), error)) from error
                time.sleep(0.5)
        self.seconds, self.vram = round(time.monotonic() - begun, 1), [used - old for used, old in zip(cards.used(), before)]

    def stop(self):
        self.process.kill()
        self.process.wait()


def ask(bench, places, rounds):
    """Servers asked in turns: what each gave, and its ratio to the first one.

    :param places: name to placement.
    """
    servers = {}
    try:
        for number, (name, place) in enumerate(places.items()):
            servers[name] = Server(bench.options, bench.cards, place, 18100 + number)
        told = turns.compared(turns.in_turns({name: server.url for name, server in servers.items()}, range(rounds), PROMPT, GENERATE))
    finally:
        for server in servers.values():
            server.stop()
    return {name: dict({"placement": {key: value for key, value in place.items() if key != "gpus" and value}, "vram_mib": servers[name].vram,
                        "seconds_to_start": servers[name].seconds}, **told[name]) for name, place in places.items()}

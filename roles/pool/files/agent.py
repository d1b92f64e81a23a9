# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the doors of a pool whether this member takes requests for a model: HAProxy's agent check (Configuration Manual, "agent-check").

    agent.py ADDRESS PORT METRICS HOLD DOOR...

A door sends a line with a model's name, or "any", and gets one back: "ready up", "drain" (what runs goes on, nobody new) or "down". It is said by what the
gateway of this host tells in METRICS, an address of its own; as long as the file HOLD is there, it is "drain". Who is no DOOR gets no answer.
Standard library only.
"""
from __future__ import annotations

import os
import re
import socket
import socketserver
import sys
import urllib.request

LONGEST = 1024  # bytes of a question
PATIENCE = 1  # seconds for a question, and for the gateway
# No proxy of the environment: it is this host that is asked. Made once: each would have a TLS context of its own, which stays in memory for a while.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SAMPLE = re.compile(r'^bunker_gateway_(service_up|draining)\{service="([^"]*)"\} ([01])$', re.MULTILINE)


def answer(question, metrics, held):
    """What a door is told of a model: str, words of HAProxy's agent check.

    A model that the gateway does not measure is a provider's or an alias; its gateway answers for it.

    :param question: str, the model's name or "any".
    :param metrics: str, Prometheus' text of the gateway, "" where it does not answer.
    :param held: bool, whether this host is held back from the pool.
    """
    if held:
        return "drain"
    if not metrics:
        return "down"
    said = {(what, service): value == "1" for what, service, value in SAMPLE.findall(metrics)}
    if said.get(("draining", question)):
        return "drain"
    return "ready up" if said.get(("service_up", question), True) else "down"


def read(url):
    """The gateway's metrics, "" where it does not answer."""
    try:
        with OPENER.open(url, timeout=PATIENCE) as found:
            return found.read().decode("utf-8", "replace")
    except OSError:
        return ""


class Server(socketserver.ThreadingTCPServer):
    """Listens for the doors."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self, where, doors, metrics, hold):
        super().__init__(where, Door)
        self.doors, self.metrics, self.hold = doors, metrics, hold

    def verify_request(self, request, client_address):
        return client_address[0] in self.doors


class Door(socketserver.StreamRequestHandler):
    """One question of a door."""

    timeout = PATIENCE

    def handle(self):
        try:
            question = self.rfile.readline(LONGEST).decode("utf-8", "replace").strip()
        except OSError:
            return
        self.wfile.write((answer(question, read(self.server.metrics), os.path.exists(self.server.hold)) + "\n").encode())


def main(address, port, metrics, hold, *doors):
    if ":" in address:
        Server.address_family = socket.AF_INET6
    with Server((address, int(port)), doors, metrics, hold) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

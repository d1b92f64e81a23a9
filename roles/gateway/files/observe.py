# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the gateway's control socket, and compares what it believes of the services with what they say: prints JSON.

    observe.py SOCKET '{"SERVICE": "ADDRESS:PORT"}'

For tasks/verify.yml, as root. Python 3.9, its standard library.
"""
import json
import os
import socket
import sys
import time
import urllib.request

PATH, ADDRESSES = sys.argv[1], json.loads(sys.argv[2])
NOBODY = 65534


def believed():
    """The context that the gateway believes each service has; the reason where it does not say."""
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(PATH)
            control.sendall(b"GET /services HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: control.recv(65536), b""))
        return {name: known["context"] for name, known in json.loads(answer.split(b"\r\n\r\n", 1)[1]).items()}
    except (OSError, ValueError, IndexError) as problem:
        return str(problem)


def held(address):
    """The context of one slot, as the server itself says."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://%s/props" % address, timeout=10) as answer:
            return json.load(answer)["default_generation_settings"]["n_ctx"]
    except (OSError, ValueError, KeyError):
        return None


def answers_others():
    """Whether somebody without rights gets at the socket."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            socket.socket(socket.AF_UNIX).connect(PATH)
        except PermissionError:
            os._exit(0)
        except OSError:
            os._exit(2)
        os._exit(1)
    return {0: "no", 1: "yes"}.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "there is none")


def compared():
    """What the servers say and what the gateway believes. It learns within ten seconds what a server that was restarted holds."""
    ends = time.monotonic() + 15
    while True:
        says, thinks = {name: held(address) for name, address in ADDRESSES.items()}, believed()
        if says == thinks or time.monotonic() > ends:
            return says, thinks
        time.sleep(1)


SAYS, THINKS = compared()
print(json.dumps({"says": SAYS, "thinks": THINKS if isinstance(THINKS, dict) else {}, "root": "yes" if isinstance(THINKS, dict) else THINKS,
                  "others": answers_others()}))

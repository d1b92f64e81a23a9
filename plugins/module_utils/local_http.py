# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP on a socket of the host: the engine's, the gateway's, that of a llama-server without a network. Standard library only."""
from __future__ import annotations

import http.client
import socket
import urllib.parse


class LocalConnection(http.client.HTTPConnection):
    """A connection to a Unix socket.

    :param path: of the socket.
    :param timeout: seconds.
    """

    def __init__(self, path, timeout=5):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def text_at(url, timeout=5):
    """What a program of the host answers at an address of its loopback, "" where nobody does, or with another status than 200. No proxy, no redirects.

    :param url: such as http://127.0.0.1:9090/metrics.
    :param timeout: seconds for each wait.
    """
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")))
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return text if answer.status == 200 else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP on a socket of the host: the engine's, the gateway's, that of a llama-server without a network. Standard library only."""
from __future__ import annotations

import http.client
import socket


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

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a Docker engine on its socket. Nothing is changed by them. Standard library only."""
from __future__ import annotations

import http.client
import json

from ..local_http import LocalConnection

DEFAULT_HOST = "unix:///var/run/docker.sock"
PATIENCE = 60  # seconds: an engine that removes containers answers slowly


class EngineError(Exception):
    """The engine does not answer, or not with what was asked for. The message says what to do."""


def get(docker_host, address):
    """What the engine knows.

    :param docker_host: ``unix:///path`` of its socket.
    :param address: path of the Docker Engine API, such as ``/networks``.
    :returns: the JSON of its answer, None where it knows no such thing (404).
    :raises EngineError: see there.
    """
    scheme, separator, path = docker_host.partition("unix://")
    if scheme or not separator or not path.startswith("/"):
        raise EngineError("docker_host '%s' is not a Unix socket. Write unix:///path" % docker_host)
    connection = LocalConnection(path, PATIENCE)
    try:
        connection.request("GET", address)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise EngineError("the engine answered %d to %s: %s" % (answer.status, address, text[:500].decode("utf-8", "replace")))
        return json.loads(text)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EngineError("no Docker engine answers at %s (%s). Is it running? See: systemctl status docker" % (path, error)) from error
    finally:
        connection.close()

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host of a pool lets one see of it. Standard library only."""
from __future__ import annotations

import csv
import socket
import ssl

PATIENCE = 5  # seconds for an answer
# As OpenSSL names the alert of a server that wants a certificate, with TLS 1.3 and with 1.2.
REFUSALS = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE")
LOCAL = ("BACKEND", "FRONTEND")  # HAProxy's lines that are no servers


def servers(text):
    """The servers in what HAProxy answers to ``show stat``: list of dict of str, ``backend``, ``name`` and ``state`` (its status, such as "UP").

    The member's own gateway is none of a pool's.

    :param text: str, CSV with a head (Management Guide, "CSV format"); "" where it did not answer.
    """
    rows = csv.DictReader(text.lstrip("# ").splitlines())
    return [{"backend": row["pxname"], "name": row["svname"], "state": row["status"]} for row in rows
            if row["svname"] not in LOCAL and row["pxname"] != "gateway"]


def statistics(path):
    """What HAProxy answers to ``show stat`` on its socket: str, "" where it does not."""
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.settimeout(PATIENCE)
            opened.connect(path)
            opened.sendall(b"show stat\n")
            return b"".join(iter(lambda: opened.recv(65536), b"")).decode("utf-8", "replace")
    except OSError:
        return ""


def answers(address, port):
    """Why nobody takes a connection there, "" where somebody does."""
    try:
        socket.create_connection((address, port), timeout=PATIENCE).close()
    except OSError as error:
        return str(error)
    return ""


def stranger(address, port):
    """What becomes of somebody who asks a member without a certificate: str, "refused", "let in", or why nobody could ask.

    With TLS 1.3 a client learns that it is refused when it reads, not in the handshake.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who one is, is asked here, and not who answers
    try:
        opened = socket.create_connection((address, port), timeout=PATIENCE)
    except OSError as error:
        return "not asked: %s" % error
    try:
        with opened, context.wrap_socket(opened) as wrapped:
            wrapped.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return "let in" if wrapped.recv(1) else "not told: the connection was closed"
    except ssl.SSLError as error:
        words = str(error).upper().replace(" ", "_")
        return "refused" if any(reason in words for reason in REFUSALS) else "not told: %s" % error
    except OSError as error:  # as where no gateway is there: nobody gets in, and that shows nothing
        return "not told: %s" % error

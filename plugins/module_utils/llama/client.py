# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a llama-server at an address of the host: no proxy, no redirects. Standard library only."""
from __future__ import annotations

import collections
import http.client
import json
import urllib.parse

# ``status`` (int), ``text`` (str) and ``headers`` (names as they are, looked up in any case).
Answer = collections.namedtuple("Answer", "status text headers")


class NoAnswer(Exception):
    """The server did not answer, or not as llama-server does. The message names the address."""


class Refused(NoAnswer):
    """It answered that it does not do this: the request's fault, or an ability that it has not. It lives."""


LOADING = 503  # llama-server's answer until its model is there; with 500 it refuses a text that is larger than its batch too


def ask(url, body=None, timeout=10, headers=None):
    """One request, whatever its status is.

    :param url: such as http://172.30.0.20:8002/health.
    :param body: JSON for a POST; None for a GET.
    :param timeout: seconds for each wait.
    :returns: :class:`Answer`.
    :raises NoAnswer: nobody answers.
    """
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET" if body is None else "POST", parts.path or "/", None if body is None else json.dumps(body),
                           dict({"Content-Type": "application/json"}, **(headers or {})))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode("utf-8", "replace"), answer.headers)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer("%s: %s" % (url, error or type(error).__name__)) from error
    finally:
        connection.close()


def ask_text(url, body=None, timeout=10):
    """The text of a successful answer.

    :raises NoAnswer: nobody answers, or with another status than 200; :class:`Refused` with any that is an error of the request's.
    """
    answer = ask(url, body, timeout)
    if answer.status != 200:
        raise (Refused if 400 <= answer.status < LOADING else NoAnswer)("%s: it answered %d: %s" % (url, answer.status, answer.text[:300]))
    return answer.text


def ask_json(url, body=None, timeout=10):
    """The JSON object of a successful answer.

    :raises NoAnswer: as of :func:`ask_text`, or it is something else.
    """
    text = ask_text(url, body, timeout)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NoAnswer("%s: what it answered is no JSON object: %s" % (url, text[:300]))
    return found

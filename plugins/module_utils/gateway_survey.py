# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of the gateway: who listens for it, what it has loaded, whom it answers, and what it believes of services. Standard library only.

Nothing that is returned holds a key.
"""
from __future__ import annotations

import http.client
import json
import os
import pwd
import ssl
import stat
import time
import urllib.parse

from . import small_file
from .llama import client, kinds, proof
from .local_http import LocalConnection

SERVER = "llama-server"  # also one of nobody's counts
TOKENS = 16  # of an answer that only has to come
WRONG_KEY = "0" * 64
NONE, WRONG, OPERATOR = "none", "wrong", "operator"  # with which key a path is asked for
DOORS = (("/health", NONE), ("/v1/models", NONE), ("/v1/models", WRONG), ("/slots", OPERATOR), ("/props", OPERATOR), ("/metrics", OPERATOR))
DOOR_TIMEOUT = 30  # seconds
CONTROL_TIMEOUT = 10  # seconds
PAUSE = 1  # seconds between two comparisons of contexts
NOBODY = 65534  # a user without rights


def first_line(path):
    """The first line of a file, "" of one that is empty or cannot be read."""
    return (small_file.seen(path).splitlines() or [""])[0].strip()


def plan(path):
    """What the gateway's own file has it load.

    :returns: dict of ``digest``, ``holders`` (of keys, each once, sorted), ``routes`` (names, sorted) and ``why`` it was not read, "" where it was.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        return {"digest": str(found["digest"]), "holders": sorted(set(found["keys"].values())), "routes": sorted(found["routes"]), "why": ""}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {"digest": "", "holders": [], "routes": [], "why": "%s: %s" % (type(error).__name__, error)}


def file_at(path):
    """Who may read a file: dict of ``name``, ``owner`` and ``mode`` (octal, such as "600"), both "" where it is not there. Links are not followed."""
    name = os.path.basename(path)
    try:
        found = os.lstat(path)
    except OSError:
        return {"name": name, "owner": "", "mode": ""}
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = str(found.st_uid)
    return {"name": name, "owner": owner, "mode": "%o" % stat.S_IMODE(found.st_mode)}


def processes(unit, words, root="/proc"):
    """Numbers of a unit's processes, and of those that have one of some words on their command line, as the engine's proxies have addresses of containers.

    :param words: set of str.
    :param root: where the kernel tells of processes.
    """
    found = set()
    for pid in filter(str.isdigit, os.listdir(root)):
        line = small_file.seen("%s/%s/cmdline" % (root, pid)).split("\0")
        if unit in small_file.seen("%s/%s/cgroup" % (root, pid)) or not words.isdisjoint(line):
            found.add(int(pid))
    return found


def listening(sockets, pids):
    """Addresses on which llama-servers or some processes listen, each once, sorted.

    :param sockets: of listeners.parsed.
    :param pids: set of int.
    """
    return sorted({socket["address"] for socket in sockets if SERVER in socket["programs"] or not pids.isdisjoint(socket["pids"])})


def _connection(parts, timeout):
    if parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the inventory says who it is; clients check it
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)


def ask(url, key="", body=None, timeout=DOOR_TIMEOUT):
    """One request to the gateway. No proxy, no redirects.

    :param key: for the Authorization header, "" for none.
    :param body: JSON for a POST; None for a GET.
    :param timeout: seconds for each wait.
    :returns: dict of ``status`` (None where nobody answers), ``by`` (the service that did, "" where none is named), ``json`` (None of what is none) and
        ``why`` nobody answered, "" otherwise.
    """
    parts = urllib.parse.urlsplit(url)
    headers = dict({"Content-Type": "application/json"}, **({"Authorization": "Bearer " + key} if key else {}))
    connection = _connection(parts, timeout)
    try:
        connection.request("GET" if body is None else "POST", parts.path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return {"status": None, "by": "", "json": None, "why": str(error) or type(error).__name__}
    except ValueError:  # its text may hold the key
        return {"status": None, "by": "", "json": None, "why": "the key is none that a header can hold"}
    finally:
        connection.close()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return {"status": answer.status, "by": answer.headers.get("X-Bunker-Service", ""), "json": found, "why": ""}


def question(kind, asked):
    """Path and body of the small request that a service of a kind gets; of a kind that nobody knows, as one that chats.

    :param asked: the question of kinds that chat.
    """
    path, body = proof.question(kind or kinds.CHAT, asked)
    return path, dict(body, max_tokens=TOKENS) if "messages" in body else body


def doors(endpoint, key):
    """How the gateway answers at its doors.

    :param key: the operator's, "" where it could not be read: then nobody asks with it.
    :returns: the digest of what it has loaded ("" where it does not say), and of each of DOORS a dict of ``path``, ``key``, ``status`` and ``why``.
    """
    loaded, found = "", []
    for path, whose in DOORS:
        if whose == OPERATOR and not key:
            said = {"status": None, "why": "the operator's key was not read", "json": None}
        else:
            said = ask(endpoint + path, {NONE: "", WRONG: WRONG_KEY, OPERATOR: key}[whose])
        if path == "/health" and isinstance(said["json"], dict):
            loaded = str(said["json"].get("configuration") or "")
        found.append({"path": path, "key": whose, "status": said["status"], "why": said["why"]})
    return loaded, found


def answers(endpoint, key, services, routes):
    """Who answers for each service through the gateway.

    :param services: complete definitions; an answer may take as long as the service's start may.
    :param routes: of gateway_routes.routes, which know of which kind a service is.
    :returns: list of dict of ``service``, ``status``, ``by``, ``answered`` (as one of its kind does) and ``why``.
    """
    found = []
    for service in services:
        if not key:
            said = {"status": None, "by": "", "json": None, "why": "the operator's key was not read"}
        else:
            kind = routes.get(service["name"], {}).get("kind", "")
            path, body = question(kind, service["question"])
            said = ask(endpoint + path, key, dict(body, model=service["name"]), service["start_timeout"])
        answered = said["status"] == 200 and proof.answered(routes.get(service["name"], {}).get("kind") or kinds.CHAT, said["json"])
        found.append({"service": service["name"], "status": said["status"], "by": said["by"], "answered": answered, "why": said["why"]})
    return found


def believed(path):
    """What the gateway says of services through its control socket.

    :returns: name to the context that it believes a service has (None where it knows none), and why it does not say, "" where it does.
    """
    connection = LocalConnection(path, timeout=CONTROL_TIMEOUT)
    try:
        connection.request("GET", "/services")
        return {name: known["context"] for name, known in json.loads(connection.getresponse().read()).items()}, ""
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        return {}, str(error) or type(error).__name__
    finally:
        connection.close()


def held(address):
    """The context of one slot of a service, as its server itself says; None where it does not.

    :param address: host:port.
    """
    try:
        return client.ask_json("http://%s/props" % address, timeout=CONTROL_TIMEOUT)["default_generation_settings"]["n_ctx"]
    except (client.NoAnswer, KeyError, TypeError):
        return None


def contexts(path, addresses, patience):
    """What the servers say and what the gateway believes, as soon as they agree: it learns within ten seconds what a server that was restarted holds.

    :param path: of its control socket.
    :param addresses: name to host:port.
    :param patience: seconds for that.
    :returns: what the servers say, what the gateway believes, and why it does not say.
    """
    end = time.monotonic() + patience
    while True:
        says, (thinks, why) = {name: held(address) for name, address in addresses.items()}, believed(path)
        if says == thinks or time.monotonic() >= end:
            return says, thinks, why
        time.sleep(PAUSE)


def reached_by_nobody(path):
    """Whether a user without rights gets at a socket: yes, no, "there is none", or why that could not be tried."""
    groups, group, user = os.getgroups(), os.getegid(), os.geteuid()
    try:
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    except OSError as error:
        _rights(groups, group, user)
        return "not tried: %s" % error
    connection = LocalConnection(path, timeout=CONTROL_TIMEOUT)
    try:
        connection.connect()
        return "yes"
    except PermissionError:
        return "no"
    except OSError:
        return "there is none"
    finally:
        connection.close()
        _rights(groups, group, user)


def _rights(groups, group, user):
    """Gives back what :func:`reached_by_nobody` let go; what it could not let go is there still."""
    os.seteuid(user)
    os.setegid(group)
    if os.getgroups() != groups:
        os.setgroups(groups)

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's routes: model name to who answers. Pure functions."""
from __future__ import annotations

import hashlib
import json
import urllib.parse

from .llama import kinds


def key_file_name(provider):
    """The name of the gateway's copy of a provider's key; a model's name may hold slashes."""
    return hashlib.sha256(provider.encode()).hexdigest()[:16] + ".key"


def kind_of(service, deployed):
    """The kind of a service: as its definition says, else as it is deployed; "" where only the header of its model could tell.

    :param service: complete definition.
    :param deployed: text of its resolved service (/etc/protocol_omni/services/NAME.json), "" or None for none.
    """
    try:
        found = json.loads(deployed or "{}")["definition"]["kind"]
    except (ValueError, KeyError, TypeError):
        found = ""
    return kinds.named(service) or (found if found in kinds.KINDS else "")


def routes(services, providers, fallbacks, keys_path, deployed=None, failsafes=None):
    """
    :param services: complete service definitions.
    :param providers: enabled entries of gateway_providers.
    :param fallbacks: gateway_fallbacks, service to service.
    :param keys_path: folder of the gateway's own copies of the providers' keys.
    :param deployed: name to the text of the resolved service, as far as there is one.
    :param failsafes: gateway_failsafes, service to provider; one that is not enabled stands in for nobody.
    :returns: dict of name to dict with ``target`` (what nginx proxies to, without the path's /v1), ``host`` (for the Host header) and
        ``address`` (host:port of a service, "" of a provider), ``fallback`` and ``failsafe`` (or ""), ``key_file`` (or "") and ``kind`` (of kinds.KINDS;
        "" where nobody knows, and of a provider).
    """
    found, enabled = {}, {provider["name"] for provider in providers}
    for service in services:
        failsafe = (failsafes or {}).get(service["name"], "")
        address = "%s:%d" % (service["networks"][0]["address"], service["port"])
        found[service["name"]] = {"target": "http://service_%s/v1" % service["name"], "host": address, "address": address,
                                  "fallback": fallbacks.get(service["name"], ""), "failsafe": failsafe if failsafe in enabled else "", "key_file": "",
                                  "kind": kind_of(service, (deployed or {}).get(service["name"]))}
    for provider in providers:
        found[provider["name"]] = {"target": provider["url"].rstrip("/"), "host": urllib.parse.urlsplit(provider["url"]).netloc, "address": "",
                                   "fallback": "", "failsafe": "", "kind": "",
                                   "key_file": "%s/%s" % (keys_path, key_file_name(provider["name"])) if provider["key_file"] else ""}
    return found


def parameters(entries):
    """
    :param entries: gateway_parameters, as somebody wrote it.
    :returns: dict of model to dict with ``set`` and ``defaults`` (name to JSON, which the gateway writes as it stands) and ``strip`` (list of names).
    """
    return {entry["model"]: {"strip": list(entry.get("strip") or []),
                             **{part: {name: json.dumps(value) for name, value in (entry.get(part) or {}).items()} for part in ("set", "defaults")}}
            for entry in entries}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's routes: model name to who answers. Pure functions."""
from __future__ import annotations

import urllib.parse


def routes(services, providers, fallbacks, keys_path):
    """
    :param services: complete service definitions.
    :param providers: enabled entries of gateway_providers.
    :param fallbacks: gateway_fallbacks, service to service.
    :param keys_path: folder of the gateway's own copies of the providers' keys.
    :returns: dict of name to dict with ``target`` (what nginx proxies to, without the path's /v1), ``host`` (for the Host header) and
        ``address`` (host:port of a service, "" of a provider), ``fallback`` (or "") and ``key_file`` (or "").
    """
    found = {}
    for service in services:
        address = "%s:%d" % (service["networks"][0]["address"], service["port"])
        found[service["name"]] = {"target": "http://service_%s/v1" % service["name"], "host": address, "address": address,
                                  "fallback": fallbacks.get(service["name"], ""), "key_file": ""}
    for provider in providers:
        found[provider["name"]] = {"target": provider["url"].rstrip("/"), "host": urllib.parse.urlsplit(provider["url"]).netloc, "address": "",
                                   "fallback": "", "key_file": "%s/%s.key" % (keys_path, provider["name"]) if provider["key_file"] else ""}
    return found

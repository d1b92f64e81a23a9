# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of images by the API of their registry (OCI Distribution Specification 1.1; Docker's token authentication)."""
from __future__ import annotations

import hashlib
import json
import re
import urllib.parse

from .fetch import Changed, Missing, OriginError

# Docker's own name for its registry is not the host that answers.
HOSTS = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
KINDS = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
         "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
PLATFORM = "linux/amd64"
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


def parts(name):
    """(registry's host, repository, tag) of an image's name such as "debian:trixie-slim" or "ghcr.io/owner/image:1"."""
    name = name.split("@")[0]
    first, slash, rest = name.partition("/")
    host, path = (first, rest) if slash and ("." in first or ":" in first or first == "localhost") else ("docker.io", name)
    path, _colon, tag = path.partition(":")
    if host in HOSTS and "/" not in path:
        path = "library/" + path
    return HOSTS.get(host, host), path, tag or "latest"


def challenge(header):
    """Parameters of a WWW-Authenticate of the kind Bearer, name to value; {} for another kind."""
    kind, _space, rest = (header or "").partition(" ")
    return dict(re.findall(r'(\w+)="([^"]*)"', rest)) if kind.lower() == "bearer" else {}


def digest(fetcher, name, scheme="https"):
    """The digest of what a tag names now: of the index where the image is of several architectures.

    :param fetcher: a fetch.Fetcher.
    :param name: the image, with its tag.
    :param scheme: http for a registry on loopback.
    :returns: "sha256:…".
    :raises OriginError: it is not there, wants a login, does not answer, or answers what is no manifest, as a network's login page does.
    :raises Missing: it is an index without PLATFORM, too.
    :raises Changed: the registry's digest is not that of what it sent.
    """
    host, path, tag = parts(name)
    url = "%s://%s/v2/%s/manifests/%s" % (scheme, host, path, tag)
    headers = {"Accept": ", ".join(KINDS)}
    answer = fetcher.get(url, headers, accepted=(200, 401))
    if answer.status == 401:
        headers["Authorization"] = "Bearer " + _token(fetcher, url, answer.headers.get("WWW-Authenticate"), scheme)
        answer = fetcher.get(url, headers)
    _check(url, answer.body)
    found, said = "sha256:" + hashlib.sha256(answer.body).hexdigest(), answer.headers.get("Docker-Content-Digest")
    if said and DIGEST.match(said) and said != found:
        raise Changed("%s: it sent %s and says that it is %s. Something on the way changed it; try from another network." % (url, found, said))
    return found


def _check(url, body):
    """Raises where a body is no manifest, or an index without PLATFORM."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not (isinstance(said.get("manifests"), list) or "config" in said and "layers" in said):
        raise OriginError("%s: what it sent is no manifest of an image. See what stands there; a network that wants a login answers like that." % url)
    platforms = [entry.get("platform") if isinstance(entry, dict) else None for entry in said.get("manifests") or []]
    there = sorted({"%s/%s" % (one.get("os"), one.get("architecture")) for one in platforms if isinstance(one, dict)})
    if "manifests" in said and PLATFORM not in there:
        raise Missing("%s: has no image for %s, but for %s. Choose another one." % (url, PLATFORM, ", ".join(there) or "nothing"))


def _token(fetcher, url, header, scheme):
    asked = challenge(header)
    realm = urllib.parse.urlsplit(asked.get("realm", ""))
    if not realm.netloc or realm.scheme != scheme:
        raise OriginError("%s: it wants a login of a kind that is not known (%s). See: docker login" % (url, header))
    query = urllib.parse.urlencode({key: asked[key] for key in ("service", "scope") if key in asked})
    try:
        said = json.loads(fetcher.get("%s?%s" % (asked["realm"], query)).body)
    except (ValueError, RecursionError):
        said = None
    found = said.get("token") or said.get("access_token") if isinstance(said, dict) else None
    if not found or not isinstance(found, str):
        raise OriginError("%s: gave no token for %s. Try again later." % (asked["realm"], url))
    return found

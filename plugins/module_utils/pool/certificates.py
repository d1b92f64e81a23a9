# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a pool, made with openssl: an authority on one host, a key and a certificate on each. No key leaves its folder.

What is asked of openssl works from 1.1.1 on. Whoever calls gives ``run``, a function of a list of words that returns what they print and raises ValueError,
with what openssl says, where they fail.
"""
from __future__ import annotations

import ipaddress
import os
import re
import tempfile

from ..key_rotation import content, write

AUTHORITY_DAYS = 3650
DAY = 86400  # seconds
KEY, CERTIFICATE, AUTHORITY = "host.pem.key", "host.pem", "ca.pem"  # HAProxy looks for the key of x.pem in x.pem.key
# RFC 5280's extended key usages, as openssl prints them.
USES = {"TLS Web Server Authentication": "serverAuth", "TLS Web Client Authentication": "clientAuth"}
OF_AUTHORITY = "[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE,pathlen:0\n" \
               "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
REQUEST = "[req]\ndistinguished_name=dn\n[dn]\n"


def extensions(names, uses):
    """The extensions of a host's certificate, as openssl reads them: str.

    :param names: list of str, ``DNS:`` and ``IP:``.
    :param uses: list of str, ``serverAuth`` and ``clientAuth``.
    """
    return "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n" \
           "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n" % (",".join(uses), ",".join(names))


def described(text):
    """What openssl prints of a certificate's extensions: tuple of its names and its uses, sets of str."""
    names = {"IP:" + _short(word) if kind == "IP Address" else "%s:%s" % (kind, word) for kind, word in re.findall(r"(DNS|IP Address):([^,\s]+)", text)}
    return names, {use for words, use in USES.items() if words in text}


def _short(address):
    return str(ipaddress.ip_address(address))  # openssl writes IPv6 at length


def _path(folder, name):
    return os.path.join(folder, name)


class _Scratch:
    """A file with a text, for a command that reads files alone."""

    def __init__(self, folder, text):
        handle, self.path = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)

    def __enter__(self):
        return self.path

    def __exit__(self, *_error):
        os.unlink(self.path)


def _key(run, path):
    if not os.path.exists(path):
        write(path, run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]), 0o600)


class Authority:
    """Signs the certificates of a pool.

    :param folder: str, its own, readable by root alone.
    """

    def __init__(self, folder, run):
        self._folder, self._run = folder, run

    def missing(self):
        """Whether it has to be made."""
        return not os.path.exists(_path(self._folder, AUTHORITY))

    def make(self):
        """Makes it where it is missing; returns its certificate, PEM."""
        if self.missing():
            key = _path(self._folder, "ca.key")
            _key(self._run, key)
            with _Scratch(self._folder, OF_AUTHORITY) as config:
                write(_path(self._folder, AUTHORITY), self._run([
                    "openssl", "req", "-x509", "-new", "-sha256", "-config", config, "-key", key, "-days", str(AUTHORITY_DAYS),
                    "-subj", "/CN=pool of bunkers"]), 0o644)
        return content(_path(self._folder, AUTHORITY))

    def sign(self, request, names, uses, days):
        """A certificate, PEM, for a request, PEM. Only its key is taken from the request: whose names these are the inventory says.

        :param names: list of str, ``DNS:`` and ``IP:``.
        :param uses: list of str, as of :func:`extensions`.
        :param days: int, how long it holds.
        :raises ValueError: openssl refuses it.
        """
        with _Scratch(self._folder, request) as asked, _Scratch(self._folder, extensions(names, uses)) as extra:
            return self._run(["openssl", "x509", "-req", "-sha256", "-in", asked, "-CA", _path(self._folder, AUTHORITY),
                              "-CAkey", _path(self._folder, "ca.key"), "-set_serial", "0x" + os.urandom(16).hex(), "-days", str(days), "-extfile", extra])


class Own:
    """The key and the certificate of a host.

    :param folder: str, the pool's on this host.
    """

    def __init__(self, folder, run):
        self._folder, self._run = folder, run

    def due(self, authority, names, uses, days):
        """Why a certificate has to be made: str, "" where the present one will do.

        :param authority: str, PEM of the authority.
        :param names: list of str, as of :func:`extensions`; ``uses`` likewise.
        :param days: int, how long a new one holds; the present one has to hold for a third of it.
        """
        path, key = _path(self._folder, CERTIFICATE), _path(self._folder, KEY)
        if not (os.path.exists(path) and os.path.exists(key)):
            return "there is none"
        with _Scratch(self._folder, authority) as known:
            if not self._passes(["openssl", "verify", "-no_check_time", "-CAfile", known, path]):
                return "it is of another authority"
        if self._run(["openssl", "x509", "-in", path, "-noout", "-pubkey"]) != self._run(["openssl", "pkey", "-in", key, "-pubout"]):
            return "it is of another key"
        if described(self._run(["openssl", "x509", "-in", path, "-noout", "-ext", "subjectAltName,extendedKeyUsage"])) != (set(names), set(uses)):
            return "it has other names or uses"
        if not self._passes(["openssl", "x509", "-in", path, "-noout", "-checkend", str(days * DAY // 3)]):
            return "it ends within %d days" % (days // 3)
        return ""

    def request(self):
        """A request, PEM, for the host's key, which is made where it is missing."""
        key = _path(self._folder, KEY)
        _key(self._run, key)
        with _Scratch(self._folder, REQUEST) as config:
            return self._run(["openssl", "req", "-new", "-sha256", "-config", config, "-key", key, "-subj", "/CN=pool of bunkers"])

    def keep(self, certificate, authority):
        """Writes both, PEM; returns whether anything changed."""
        changed = False
        for name, text in ((AUTHORITY, authority), (CERTIFICATE, certificate)):
            path = _path(self._folder, name)
            if text and content(path) != text:
                write(path, text, 0o644)
                changed = True
        return changed

    def _passes(self, words):
        try:
            self._run(words)
            return True
        except ValueError:
            return False

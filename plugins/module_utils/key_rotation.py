# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's own key and certificate exchanged in steps, each of which can be run again after an interruption.

The operator's key: ``begin`` makes operator.next, which the gateway then loads besides operator.key; ``switch`` makes it operator.key and notes in
operator.previous the hash of the former one and until when that holds; ``end`` forgets that one.

The certificate: ``begin`` makes next.key and next.pem, and trust.pem, which holds the served one and the next, for clients; ``switch`` has the next one served;
``end`` forgets the former one.
"""
from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time


def content(path):
    """A file's text, None where there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def write(path, text, mode):
    """Writes a file complete or not at all; nobody but its owner reads it before it has its mode."""
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(path + ".new", path)


def remove(*paths):
    """Removes what is there of it; True where anything was."""
    there = [path for path in paths if os.path.lexists(path)]
    for path in there:
        os.unlink(path)
    return bool(there)


def hashed(key):
    """What routes.json has of a key: SHA-256 without the end of its line."""
    return hashlib.sha256(key.replace("\n", "").encode("utf-8")).hexdigest()


class OperatorKey:
    """The operator's key in a folder.

    :param folder: the gateway's folder.
    :param now: seconds since 1970.
    """

    def __init__(self, folder, now=None):
        self.path, self.next, self.previous = (os.path.join(folder, "operator." + name) for name in ("key", "next", "previous"))
        self.now = int(time.time() if now is None else now)

    def former(self):
        """operator.previous: dict with sha256 and until, or None.

        :raises ValueError: it cannot be read.
        """
        text = content(self.previous)
        try:
            found = None if text is None else json.loads(text)
            if found is not None and not (isinstance(found["sha256"], str) and isinstance(found["until"], int) and not isinstance(found["until"], bool)):
                raise ValueError("no hash and time")
            return found
        except (ValueError, KeyError, TypeError):
            raise ValueError("%s is not what a rotation writes. Remove it: the former key is refused from the next run on." % self.previous) from None

    def hashes(self):
        """Hash of each key that holds to when it ends, 0 for never."""
        former = self.former()
        found = {former["sha256"]: former["until"]} if former else {}
        for text in (content(self.path), content(self.next)):
            if text is not None:
                found[hashed(text)] = 0
        return found

    def begin(self):
        """Makes the next key.

        :raises ValueError: there is no key yet, or the one before it still holds.
        """
        present, former = content(self.path), self.former()
        if present is None:
            raise ValueError("%s is not there: site.yml makes the first key. Run that." % self.path)
        if former and former["until"] > self.now and former["sha256"] != hashed(present):
            raise ValueError("The operator's key was rotated, and the one before still holds until %s. Wait, or end that first: -e rotate_step=end."
                             % time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(former["until"])))
        if os.path.exists(self.next):
            return False
        write(self.next, secrets.token_hex(32) + "\n", 0o600)
        return True

    def switch(self, overlap):
        """Makes the next key the present one; the former one holds for ``overlap`` seconds more."""
        if not os.path.exists(self.next):
            return False
        write(self.previous, json.dumps({"sha256": hashed(content(self.path)), "until": self.now + overlap}) + "\n", 0o600)
        os.replace(self.next, self.path)
        return True

    def end(self):
        """Forgets the former key, and one that was made and never switched to."""
        return remove(self.previous, self.next)


def certificate_command(subject, names, key, pem):
    """The words of the command that makes a server's certificate which nobody else signed.

    It is no authority's (CA:FALSE), which openssl req would make of it: clients with rustls, Codex among them, take none from a server (CaUsedAsEndEntity).
    It says nothing of its key's uses: of one that may not sign certificates, OpenSSL 1.1, LibreSSL and BoringSSL do not see that it signed itself, and find no
    issuer although they were given it (x509v3_cache_extensions and check_issued of theirs).

    :param subject: common name.
    :param names: list such as DNS:example.com and IP:192.0.2.1.
    :param key: path that its key is written to.
    :param pem: path that the certificate is written to.
    """
    extensions = ("subjectAltName=" + ",".join(names), "basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth")
    return ["openssl", "req", "-config", "/dev/null", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
            "-subj", "/CN=" + subject, *(word for extension in extensions for word in ("-addext", extension)), "-keyout", key, "-out", pem]


class Certificate:
    """The certificate that the gateway made itself, in its folder.

    :param run: function that runs a command's words and raises ValueError where it fails.
    :param uid: number of the user that reads the key; None leaves it to whoever runs this.
    """

    def __init__(self, folder, run, uid=None):
        self.folder, self.run, self.uid = folder, run, uid
        self.key, self.pem = (os.path.join(folder, "self_signed." + name) for name in ("key", "pem"))
        self.next_key, self.next_pem = (os.path.join(folder, "next." + name) for name in ("key", "pem"))
        self.former, self.trust = (os.path.join(folder, name) for name in ("previous.pem", "trust.pem"))

    def begin(self, subject, names):
        """Makes the next certificate, and the file of both for clients.

        :param subject: common name.
        :param names: list such as DNS:example.com and IP:192.0.2.1.
        """
        present = content(self.pem)
        if present is None:
            raise ValueError("%s is not there: with gateway_tls self_signed site.yml makes the first one. Run that." % self.pem)
        if os.path.exists(self.former):
            raise ValueError("The certificate was rotated, and clients may still trust the one before. End that first: -e rotate_step=end.")
        if os.path.exists(self.next_pem) and content(self.trust) == present + content(self.next_pem):
            return False
        scratch = tempfile.mkdtemp(dir=self.folder, prefix=".rotation-")  # its owner's alone
        try:
            key, pem = os.path.join(scratch, "key"), os.path.join(scratch, "pem")
            self.run(certificate_command(subject, names, key, pem))
            os.chmod(key, 0o600)
            if self.uid is not None:
                os.chown(key, self.uid, -1)
            os.chmod(pem, 0o644)
            os.replace(key, self.next_key)
            os.replace(pem, self.next_pem)
        finally:
            shutil.rmtree(scratch)
        write(self.trust, present + content(self.next_pem), 0o644)
        return True

    def switch(self):
        """Makes the next certificate the one that is served from the next load on.

        :raises ValueError: there is no next one.
        """
        if not os.path.exists(self.next_pem):
            if os.path.exists(self.former):
                return False
            raise ValueError("There is no next certificate. Begin first: -e rotate_step=begin, then give clients trust.pem.")
        if os.path.exists(self.next_key):  # otherwise an earlier switch was interrupted here
            write(self.former, content(self.pem), 0o644)
            os.replace(self.next_key, self.key)
        os.replace(self.next_pem, self.pem)
        return True

    def end(self):
        """Forgets the former certificate, or one that was made and is not served."""
        if os.path.exists(self.next_pem) and not os.path.exists(self.next_key):
            raise ValueError("A switch was interrupted in the middle. Complete it first: -e rotate_step=switch.")
        return remove(self.former, self.next_key, self.next_pem, self.trust)

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys an OpenPGP keyring holds (RFC 4880). Pure functions.

A bare Debian 13 has sqv, which verifies, but no gpg that shows a fingerprint; installing one would be a change before the
key is judged. A fingerprint is a hash over one packet, so it is computed here. Nothing here verifies a signature: apt does.
"""
from __future__ import annotations

import base64
import binascii
import hashlib
import re

PUBLIC_KEY = 6
ARMOR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


class OpenPGPError(ValueError):
    """The bytes are no keyring that this reads."""


def dearmor(content):
    """The binary form of a keyring, whether it is armored or not."""
    if not content.lstrip().startswith(b"-----BEGIN"):
        return content
    binary = b""
    for block in ARMOR.findall(content):
        lines = [line.strip() for line in block.splitlines()]
        start = lines.index(b"") + 1 if b"" in lines else 0  # headers such as "Version:" end with an empty line
        text = b"".join(line for line in lines[start:] if line and not line.startswith(b"="))  # "=" begins the checksum
        try:
            binary += base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise OpenPGPError("its armor is damaged: %s" % error) from error
    return binary


def packets(binary):
    """Yields (tag, body) of each packet."""
    position = 0

    def number(size):
        nonlocal position
        if position + size > len(binary):
            raise OpenPGPError("it ends in the middle of a packet")
        position += size
        return int.from_bytes(binary[position - size:position], "big")

    while position < len(binary):
        header = number(1)
        if not header & 0x80:
            raise OpenPGPError("it holds no OpenPGP packet")
        if header & 0x40:  # new format
            tag, first = header & 0x3F, number(1)
            if first < 192:
                length = first
            elif first < 224:
                length = ((first - 192) << 8) + number(1) + 192
            elif first == 255:
                length = number(4)
            else:
                raise OpenPGPError("it holds a packet of partial length")
        else:
            tag, kind = (header & 0x3C) >> 2, header & 3
            if kind == 3:
                raise OpenPGPError("it holds a packet of unknown length")
            length = number(1 << kind)
        if position + length > len(binary):
            raise OpenPGPError("it ends in the middle of a packet")
        yield tag, binary[position:position + length]
        position += length


def fingerprints(content):
    """Fingerprints of the primary keys of a keyring, 40 capital hexadecimal digits each.

    :raises OpenPGPError: the bytes are no keyring, or hold a key of another version than 4.
    """
    found = []
    for tag, body in packets(dearmor(content)):
        if tag == PUBLIC_KEY:
            if body[:1] != b"\x04":
                raise OpenPGPError("it holds a key of version %d; only version 4 is read" % (body[0] if body else 0))
            found.append(hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper())  # noqa: S324 - RFC 4880 says SHA-1
    return found


def normalized(fingerprint):
    """A fingerprint as people write it, without spaces and colons, in capitals."""
    return re.sub(r"[\s:]", "", fingerprint).upper()

"""Fingerprints of keyrings: the fixtures' are what `gpg --show-keys` prints."""
import base64
import pathlib

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import openpgp

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures" / "openpgp"
ONE = (FIXTURES / "one-key.asc").read_bytes()
TWO = (FIXTURES / "two-keys.gpg").read_bytes()
RSA = "9D47686239BDB869EE696B5EAB0E866074AD5674"
ED25519 = "D59E806AEBEC4479B90E0E472993B37AE022402A"


def test_the_fingerprint_is_gpgs_and_a_subkey_is_none():
    assert openpgp.fingerprints(ONE) == [RSA]


def test_armored_and_binary_are_the_same():
    assert openpgp.fingerprints(openpgp.dearmor(ONE)) == [RSA]
    assert openpgp.fingerprints(ONE.replace(b"\n", b"\r\n")) == [RSA]
    assert openpgp.fingerprints(ONE.replace(b"BLOCK-----\n\n", b"BLOCK-----\nVersion: GnuPG v1\nComment: x\n\n", 1)) == [RSA]


def test_every_key_of_a_keyring_is_seen():
    assert openpgp.fingerprints(TWO) == [RSA, ED25519]
    second = base64.encodebytes(TWO[len(openpgp.dearmor(ONE)):])
    appended = ONE + b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + second + b"-----END PGP PUBLIC KEY BLOCK-----\n"
    assert openpgp.fingerprints(appended) == [RSA, ED25519]


def test_one_changed_byte_of_the_key_changes_the_fingerprint():
    binary = bytearray(openpgp.dearmor(ONE))
    binary[100] ^= 1
    assert openpgp.fingerprints(bytes(binary)) != [RSA]


@pytest.mark.parametrize("content, message", [
    (b"<html>not found</html>", "no OpenPGP packet"),
    (openpgp.dearmor(ONE)[:-5], "in the middle"),
    (openpgp.dearmor(ONE)[:2], "in the middle"),
    (b"\xc6\x04\x06abc", "version 6"),
    (b"\xc6\x00", "version 0"),
    (b"\xc6\xe0abc", "partial length"),
    (b"\x9babc", "unknown length"),
    (ONE[:60] + b"!!" + ONE[60:], "armor is damaged"),
])
def test_what_is_no_keyring_is_refused(content, message):
    with pytest.raises(openpgp.OpenPGPError, match=message):
        openpgp.fingerprints(content)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"])
def test_nothing_holds_no_key(content):
    assert openpgp.fingerprints(content) == []


@pytest.mark.parametrize("size", [1, 191, 192, 8383, 8384, 70000])
@pytest.mark.parametrize("new", [True, False])
def test_packets_of_every_length_are_read(size, new):
    body = b"\x04" + b"k" * (size - 1)
    if not new:
        header = b"\x98" + bytes([size]) if size < 256 else b"\x99" + size.to_bytes(2, "big") if size < 65536 else b"\x9a" + size.to_bytes(4, "big")
    elif size < 192:
        header = bytes([0xC6, size])
    elif size < 8384:
        header = bytes([0xC6, ((size - 192) >> 8) + 192, (size - 192) & 0xFF])
    else:
        header = b"\xc6\xff" + size.to_bytes(4, "big")
    assert list(openpgp.packets(header + body)) == [(6, body)]


def test_a_fingerprint_is_compared_as_people_write_it():
    assert openpgp.normalized("9d47 6862 39BD B869 EE69  6B5E AB0E 8660 74AD 5674\n") == RSA

"""The operator's key and the certificate step by step, also where a step was interrupted."""
import hashlib
import json
import os
import ssl
import subprocess

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import key_rotation

FIRST = "0123456789abcdef" * 4
NOW = 1_000_000


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def key(tmp_path):
    (tmp_path / "operator.key").write_text(FIRST + "\n", encoding="ascii")
    return lambda now=NOW: key_rotation.OperatorKey(str(tmp_path), now)


def present(folder):
    return (folder / "operator.key").read_text(encoding="ascii").strip()


def test_both_keys_are_known_before_the_new_one_is_given_out_and_until_the_old_one_ends(key, tmp_path):
    assert key().hashes() == {sha256(FIRST): 0}
    assert key().begin() and present(tmp_path) == FIRST
    second = (tmp_path / "operator.next").read_text(encoding="ascii").strip()
    assert len(second) == 64 and second != FIRST and (tmp_path / "operator.next").stat().st_mode & 0o777 == 0o600
    assert key().hashes() == {sha256(FIRST): 0, sha256(second): 0}
    assert key().switch(3600) and present(tmp_path) == second and (tmp_path / "operator.key").stat().st_mode & 0o777 == 0o600
    assert key().hashes() == {sha256(FIRST): NOW + 3600, sha256(second): 0}
    assert FIRST not in (tmp_path / "operator.previous").read_text(encoding="ascii")
    assert key().end() and key().hashes() == {sha256(second): 0} and not key().end()


def test_a_second_rotation_waits_for_the_first_ones_end(key, tmp_path):
    key().begin()
    key().switch(3600)
    with pytest.raises(ValueError, match=r"still holds until 1970-01-12T14:46:40Z.*rotate_step=end"):
        key(NOW + 3599).begin()
    assert key(NOW + 3600).begin() and (tmp_path / "operator.next").exists()


def test_an_interrupted_rotation_goes_on_with_the_same_key(key, tmp_path):
    key().begin()
    second = (tmp_path / "operator.next").read_text(encoding="ascii").strip()
    assert not key().begin()
    # switch, cut off in the middle
    (tmp_path / "operator.previous").write_text(json.dumps({"sha256": sha256(FIRST), "until": NOW + 9}), encoding="ascii")
    assert key().hashes() == {sha256(FIRST): 0, sha256(second): 0}
    assert not key().begin() and key().switch(60) and present(tmp_path) == second and not key().switch(60)


def test_what_cannot_be_rotated_says_so(tmp_path, key):
    (tmp_path / "operator.previous").write_text("{}", encoding="ascii")
    with pytest.raises(ValueError, match="operator.previous is not what a rotation writes. Remove it"):
        key().hashes()
    (tmp_path / "operator.previous").unlink()
    (tmp_path / "operator.key").unlink()
    with pytest.raises(ValueError, match="site.yml makes the first key"):
        key().begin()


def openssl(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)


def names(pem):
    words = ["openssl", "x509", "-in", str(pem), "-noout", "-subject", "-ext", "subjectAltName"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def certificate(tmp_path):
    found = key_rotation.Certificate(str(tmp_path), openssl, os.getuid())
    openssl(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9", "-subj", "/CN=oracle-1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", found.key, "-out", found.pem])
    return found


def test_the_next_certificate_is_a_servers_and_no_authoritys(certificate, tmp_path):
    certificate.begin("oracle-1", ["IP:127.0.0.1"])
    words = ["openssl", "x509", "-in", str(tmp_path / "next.pem"), "-noout", "-ext", "basicConstraints,keyUsage,extendedKeyUsage"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "CA:FALSE" in said and "TLS Web Server Authentication" in said and "X509v3 Key Usage" not in said


def answers(folder, trusted):
    """Whether a client that trusts a file gets on with a server that has the key and certificate of now."""
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(cafile=str(folder / trusted))
    server.load_cert_chain(str(folder / "self_signed.pem"), str(folder / "self_signed.key"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"), server.wrap_bio(to_server, to_client, server_side=True)]
    try:
        for _number in range(4):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    pass
        return ends[0].version() is not None and ends[0].getpeercert() != {}
    except ssl.SSLCertVerificationError:
        return False


def test_clients_that_trust_both_get_on_with_the_server_at_every_step(certificate, tmp_path):
    (tmp_path / "given.pem").write_bytes((tmp_path / "self_signed.pem").read_bytes())  # what a client was given long ago
    first = (tmp_path / "self_signed.pem").read_bytes()
    assert answers(tmp_path, "given.pem")
    assert certificate.begin("oracle-1", ["DNS:oracle-1", "IP:127.0.0.1"]) and not certificate.begin("oracle-1", ["IP:127.0.0.1"])
    assert (tmp_path / "self_signed.pem").read_bytes() == first and answers(tmp_path, "given.pem") and answers(tmp_path, "trust.pem")
    assert "CN = oracle-1" in names(tmp_path / "next.pem") and "DNS:oracle-1, IP Address:127.0.0.1" in names(tmp_path / "next.pem")
    assert (tmp_path / "next.key").stat().st_mode & 0o777 == 0o600
    assert certificate.switch() and answers(tmp_path, "trust.pem") and not answers(tmp_path, "given.pem") and not certificate.switch()
    assert certificate.end() and answers(tmp_path, "self_signed.pem")
    assert sorted(os.listdir(tmp_path)) == ["given.pem", "self_signed.key", "self_signed.pem"]


def test_a_switch_that_was_cut_off_in_the_middle_is_completed(certificate, tmp_path):
    certificate.begin("oracle-1", ["IP:127.0.0.1"])
    os.replace(tmp_path / "next.key", tmp_path / "self_signed.key")
    with pytest.raises(ValueError, match="rotate_step=switch"):
        certificate.end()
    assert certificate.switch() and answers(tmp_path, "trust.pem")


def test_steps_out_of_order_are_refused_and_a_begun_one_can_be_given_up(certificate, tmp_path):
    with pytest.raises(ValueError, match="Begin first"):
        certificate.switch()
    certificate.begin("oracle-1", ["IP:127.0.0.1"])
    assert certificate.end() and sorted(os.listdir(tmp_path)) == ["self_signed.key", "self_signed.pem"]
    certificate.begin("oracle-1", ["IP:127.0.0.1"])
    certificate.switch()
    with pytest.raises(ValueError, match="End that first"):
        certificate.begin("oracle-1", ["IP:127.0.0.1"])


def test_an_openssl_that_fails_leaves_nothing(certificate, tmp_path):
    with pytest.raises(ValueError):
        certificate.begin("oracle-1", ["NONSENSE:1"])
    assert sorted(os.listdir(tmp_path)) == ["self_signed.key", "self_signed.pem"]


def test_without_a_certificate_of_its_own_there_is_nothing_to_rotate(tmp_path):
    with pytest.raises(ValueError, match="gateway_tls self_signed"):
        key_rotation.Certificate(str(tmp_path), openssl).begin("a", ["IP:127.0.0.1"])

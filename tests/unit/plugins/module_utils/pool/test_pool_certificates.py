"""The certificates of a pool, made and read by the real openssl."""
import subprocess

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import certificates

NAMES, USES = ["DNS:north", "IP:10.0.0.1", "IP:fd00::1"], ["serverAuth", "clientAuth"]


def run(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout


def rack(path, name):
    folder = path / name
    folder.mkdir()
    return folder


@pytest.fixture(name="pool")
def of_two(tmp_path):
    """An authority and a host that has a certificate of it."""
    authority, own = certificates.Authority(str(rack(tmp_path, "authority")), run), certificates.Own(str(rack(tmp_path, "own")), run)
    pem = authority.make()
    own.keep(authority.sign(own.request(), NAMES, USES, 90), pem)
    return authority, own, pem, tmp_path


def test_a_certificate_is_made_once_and_kept(pool):
    authority, own, pem, folder = pool
    assert own.due(pem, NAMES, USES, 90) == ""
    assert authority.make() == pem
    request = own.request()
    key = (folder / "own/host.pem.key").read_bytes()
    assert own.request().splitlines()[0] == request.splitlines()[0] == "-----BEGIN CERTIFICATE REQUEST-----"
    assert (folder / "own/host.pem.key").read_bytes() == key
    assert not own.keep((folder / "own/host.pem").read_text(encoding="utf-8"), pem)


def test_keys_are_their_owners_alone_and_nothing_else_is_left(pool):
    folder = pool[3]
    assert {str(path.relative_to(folder)): oct(path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_file()} == {
        "authority/ca.key": "0o600", "authority/ca.pem": "0o644", "own/ca.pem": "0o644", "own/host.pem": "0o644", "own/host.pem.key": "0o600"}


def test_why_another_one_is_due(pool, tmp_path):
    authority, own, pem, folder = pool
    assert certificates.Own(str(rack(tmp_path, "bare")), run).due(pem, NAMES, USES, 90) == "there is none"
    assert own.due(pem, NAMES + ["IP:10.0.0.9"], USES, 90) == "it has other names or uses"
    assert own.due(pem, NAMES, ["serverAuth"], 90) == "it has other names or uses"
    other = certificates.Authority(str(rack(tmp_path, "other")), run).make()
    assert own.due(other, NAMES, USES, 90) == "it is of another authority"
    own.keep(authority.sign(own.request(), NAMES, USES, 29), pem)
    assert own.due(pem, NAMES, USES, 90) == "it ends within 30 days"
    (folder / "own/host.pem.key").unlink()
    own.request()
    assert own.due(pem, NAMES, USES, 90) == "it is of another key"


def test_a_request_does_not_choose_its_names(pool, tmp_path):
    authority = pool[0]
    key = tmp_path / "thief.key"
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key)])
    request = run(["openssl", "req", "-new", "-key", str(key), "-subj", "/CN=north", "-addext", "subjectAltName=DNS:south"])
    made = tmp_path / "made.pem"
    made.write_text(authority.sign(request, ["DNS:east"], ["serverAuth"], 1), encoding="utf-8")
    text = run(["openssl", "x509", "-in", str(made), "-noout", "-ext", "subjectAltName,extendedKeyUsage"])
    assert certificates.described(text) == ({"DNS:east"}, {"serverAuth"})


def test_what_openssl_refuses_is_said(pool):
    with pytest.raises(ValueError, match="."):
        pool[0].sign("no request", NAMES, USES, 90)

"""What is missing of the gateway's user, keys and copies is told; where nothing is, nothing has to be made."""
import os
import pwd

import pytest
import rendering

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gateway_secrets

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A gateway's folder as the role makes it, with one copy; whoever runs this is the gateway's user."""
    monkeypatch.setattr(gateway_secrets, "HOME", pwd.getpwnam(ME).pw_dir)
    monkeypatch.setattr(gateway_secrets, "SHELL", pwd.getpwnam(ME).pw_shell)
    place = tmp_path / "gateway"
    place.mkdir(mode=0o755)
    place.chmod(0o755)
    (place / "given").mkdir(mode=0o700)
    for path, mode in (("operator.key", 0o600), ("self_signed.for-ab", 0o600), ("given/acme", 0o600), ("../acme.key", 0o600)):
        (place / path).write_text("a key" if "acme" in path else "", encoding="ascii")
        (place / path).chmod(mode)
    return place


def missing(folder, user=ME, mark="self_signed.for-ab", copies=("acme",)):
    found = gateway_secrets.missing(str(folder), user, mark, {str(folder / "given" / name): str(folder.parent / (name + ".key")) for name in copies})
    return [name.replace(str(folder), "") for name in found]


def test_nothing_is_missing_of_what_the_role_has_made(folder):
    assert missing(folder) == []


@pytest.mark.parametrize("change, said", [
    (lambda place: (place / "operator.key").unlink(), ["/operator.key"]), (lambda place: (place / "self_signed.for-ab").unlink(), ["/self_signed.for-ab"]),
    (lambda place: place.chmod(0o700), [""]), (lambda place: (place / "given").chmod(0o755), ["/given"]),
    (lambda place: (place / "given/acme").chmod(0o644), ["/given/acme"]), (lambda place: (place / "given/acme").unlink(), ["/given/acme"]),
    (lambda place: (place.parent / "acme.key").write_text("a new key", encoding="ascii"), ["/given/acme"]),
    (lambda place: (place / "given/gone").write_text("", encoding="ascii"), ["/given/gone"])],
    ids=["key", "certificate of these names", "mode of the folder", "mode of the copies' folder", "mode of a copy", "a copy", "a new key", "one too many"])
def test_each_thing_that_is_otherwise_is_told(folder, change, said):
    change(folder)
    assert missing(folder) == said


def test_without_a_certificate_of_its_own_no_mark_is_asked_for(folder):
    (folder / "self_signed.for-ab").unlink()
    assert missing(folder, mark="") == []


def test_a_host_without_the_user_has_nothing(folder):
    assert missing(folder, user="no-such-user") == ["the user no-such-user"]


def test_another_shell_is_told(folder, monkeypatch):
    monkeypatch.setattr(gateway_secrets, "SHELL", "/another")
    assert missing(folder) == ["home or shell of the user " + ME]


def test_the_copies_are_those_that_the_role_makes():
    variables = {"bunker_config_path": "/etc/x", "gateway_tls": "files", "gateway_tls_certificate": "/c.pem", "gateway_tls_key": "/c.key",
                 "_gateway_providers": [{"name": "acme", "key_file": "/acme.key"}, {"name": "open", "key_file": ""}],
                 "_gateway_routes": {"acme": {"key_file": "/etc/x/gateway/given/acme"}, "open": {"key_file": ""}, "oracle": {"key_file": ""}}}
    given, copies = (rendering.render("gateway", rendering.read("gateway", "vars/main.yml")[name], variables) for name in ("_gateway_given", "_gateway_copies"))
    folder = "/etc/x/gateway/given/"
    assert given == {folder + "acme": "/acme.key", folder + "certificate.pem": "/c.pem", folder + "certificate.key": "/c.key"} and set(given) == set(copies)

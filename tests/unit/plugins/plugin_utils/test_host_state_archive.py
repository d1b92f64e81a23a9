"""The archive of a host's state: what opens it, and every refusal by name."""
import base64
import hashlib
import json
import zlib

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import host_state

RIGHT = [("backup", VaultSecret(b"right horse"))]
WRONG = [("backup", VaultSecret(b"wrong horse"))]
KEY = b"5ca1ab1e" * 8


def entry(path="/etc/protocol_omni/gateway/operator.key", text=KEY, **others):
    return dict({"path": path, "mode": 0o600, "owner": "root", "group": "root", "content": base64.b64encode(text).decode(),
                 "sha256": hashlib.sha256(text).hexdigest()}, **others)


def content(*files):
    return {"host": "oracle-1", "files": list(files) or [entry()],
            "folders": [{"path": "/etc/protocol_omni/gateway", "mode": 0o755, "owner": "root", "group": "root"}]}


def sealed(inside, form=1):
    """An archive made by hand, of anything."""
    body = VaultLib(RIGHT).encrypt(base64.b64encode(zlib.compress(json.dumps(inside).encode())), secret=RIGHT[0][1])
    return b"protocol_omni.bunker backup; format %d; sha256 %s\n" % (form, hashlib.sha256(body).hexdigest().encode()) + body


def test_what_is_sealed_opens_again_and_shows_nothing():
    text = host_state.seal(content(), RIGHT)
    assert host_state.unseal(text, RIGHT) == dict(content(), format=1)
    assert KEY not in text and KEY.hex().encode() not in text and b"operator" not in text and b"oracle-1" not in text


def test_below_its_first_line_it_is_a_vault_as_ansible_knows_it():
    body = host_state.seal(content(), RIGHT).split(b"\n", 1)[1]
    inside = json.loads(zlib.decompress(base64.b64decode(VaultLib(RIGHT).decrypt(body))))
    assert inside["host"] == "oracle-1" and base64.b64decode(inside["files"][0]["content"]) == KEY


def flipped(text, place):
    return text[:place] + bytes([text[place] ^ 1]) + text[place + 1:]


@pytest.mark.parametrize("spoil, secrets, words", [
    (lambda text: text, WRONG, "it is whole, so the password is a wrong one"),
    (lambda text: text, [], "There is no password for the archive"),
    (lambda text: text[:-1], RIGHT, "damaged"),
    (lambda text: flipped(text, 700), RIGHT, "damaged"),
    (lambda text: text + b"\n", RIGHT, "damaged"),
    (lambda text: text.replace(b"format 1;", b"format 2;"), RIGHT, "format 2; this collection reads format 1"),
    (lambda text: text.split(b"\n", 1)[1], RIGHT, "no archive of protocol_omni.bunker"),
    (lambda text: b"", RIGHT, "no archive of protocol_omni.bunker"),
    (lambda text: sealed(dict(content(), format=7)), RIGHT, "format 7; this collection reads format 1"),
    (lambda text: sealed([1]), RIGHT, "not one of this collection inside"),
    (lambda text: sealed({"format": 1, "host": "a", "files": {}, "folders": []}), RIGHT, "lacks host, files or folders"),
    (lambda text: sealed(dict(content(entry(), entry()), format=1)), RIGHT, "a path twice"),
], ids=["wrong password", "no password", "cut", "a bit", "longer", "newer", "no head", "empty", "newer inside", "a list", "no files", "twice"])
def test_what_cannot_be_restored_is_refused_by_name(spoil, secrets, words):
    with pytest.raises(ValueError, match=words):
        host_state.unseal(spoil(host_state.seal(content(), RIGHT)), secrets)


@pytest.mark.parametrize("others", [{"mode": 0o4755}, {"mode": "0600"}, {"mode": True}, {"owner": ""}, {"group": None}, {"path": "relative"},
                                    {"sha256": "0" * 64}, {"content": "no base64!"}, {"content": 5}, {"sha256": None}])
def test_an_entry_that_is_not_whole_is_refused(others):
    with pytest.raises(ValueError, match="is not whole"):
        host_state.unseal(sealed(dict(content(entry(**others)), format=1)), RIGHT)


def test_which_password_it_is():
    other = ("inventory", VaultSecret(b"another"))
    assert host_state.secret_for([other])[0] == "inventory"
    assert host_state.secret_for([other, RIGHT[0]])[0] == "backup"
    with pytest.raises(ValueError, match="several vault passwords .inventory, second."):
        host_state.secret_for([other, ("second", other[1])])


@pytest.mark.parametrize("path, kind", [
    ("/etc/protocol_omni/gateway/operator.key", "carried"),
    ("/etc/protocol_omni/services/oracle.placement.json", "carried"),  # and not derived, as other .json there
    ("/etc/protocol_omni/services/oracle.json", "derived"),
    ("/etc/protocol_omni/networks.json", "stays"),
    ("/etc/protocol_omni/gateway/given/deep/operator.key", ""),
    ("/etc/shadow", ""),
])
def test_what_a_path_is_by_the_list(path, kind):
    assert host_state.kind_of(path) == kind


def test_paths_outside_the_list_are_told_also_in_disguise():
    odd = ["/etc/shadow", "/etc/protocol_omni/gateway/../../shadow", "/etc/protocol_omni/gateway//operator.key", "/etc/protocol_omni/gateway/routes.json",
           "/etc/systemd/system/x.service", "/etc/keys/other.key"]
    given = odd + ["/etc/keys/provider.key", "/etc/protocol_omni/gateway/operator.key"]
    assert host_state.outside([entry(path) for path in given], ["/etc/keys/provider.key"]) == odd


def test_an_archive_does_not_depend_on_where_the_configuration_lies():
    assert host_state.in_archive("/srv/omni/gateway/operator.key", "/srv/omni") == "/etc/protocol_omni/gateway/operator.key"
    assert host_state.on_host("/etc/protocol_omni/gateway/operator.key", "/srv/omni") == "/srv/omni/gateway/operator.key"
    assert host_state.on_host("/etc/protocol_omnibus/x", "/srv/omni") == "/etc/protocol_omnibus/x"


def test_a_star_of_the_list_leads_nowhere_else(monkeypatch):
    monkeypatch.setattr(host_state, "the_list", lambda: {"carried": [{"path": "/etc/protocol_omni/*/key"}], "stays": [], "derived": []})
    assert host_state.outside([entry("/etc/protocol_omni/../key"), entry("/etc/protocol_omni/a/key")], []) == ["/etc/protocol_omni/../key"]

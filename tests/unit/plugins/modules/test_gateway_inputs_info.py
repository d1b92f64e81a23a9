"""What the gateway is configured from: files that it is given, what is deployed, what it has loaded; and which keys are refused."""
import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args
from http_stand_in import http_at

from ansible_collections.protocol_omni.bunker.plugins.modules import gateway_inputs_info

SECRET = "5" * 64


@pytest.fixture
def look(tmp_path, capsys):
    """Runs the module on a folder of the gateway and returns what it printed."""
    folder = tmp_path / "gateway"
    folder.mkdir()

    def run(**given):
        parameters = dict({"folder": str(folder), "operator_key": str(folder / "operator.key"), "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            gateway_inputs_info.main()
        run.printed = capsys.readouterr().out
        return json.loads(run.printed)
    run.folder = folder
    return run


def key_at(path, text=SECRET, mode=0o600):
    path.write_text(text, encoding="ascii")
    path.chmod(mode)
    return str(path)


def test_what_is_given_is_told_by_hash_and_mode_and_no_key_is(look):
    given = [{"name": "acme", "key_file": key_at(look.folder / "acme.key"), "secret": True},
             {"name": "gone", "key_file": str(look.folder / "gone.key"), "secret": True}]
    os.symlink("acme.key", look.folder / "link.key")
    found = look(files=given + [{"name": "link", "key_file": str(look.folder / "link.key"), "secret": True}])
    assert [(file["name"], file["exists"], file["mode"]) for file in found["files"]] == [("acme", True, "0600"), ("gone", False, ""), ("link", True, "0600")]
    # printf '5%.0s' $(seq 64) | sha256sum
    assert [file["sha256"][:16] for file in found["files"]] == ["911878b1ff94a6da", "", "911878b1ff94a6da"]
    assert SECRET not in look.printed and not found["changed"] and "hashes" not in found and "missing" not in found and found["loaded"] == ""


@pytest.mark.parametrize("operator, key, said", [
    (None, None, []), ("k" * 32, SECRET, []), ("", SECRET, ["operator.key holds 0 bytes; a key has 32 or more. Remove it"]),
    ("k" * 31, SECRET, ["operator.key holds 31 bytes"]),
    ("k" * 32, "missing", ["acme: ", "acme.key is missing; it is a file of this host. Write it: install -m 0600"]),
    ("k" * 32, "open", ["acme: ", "acme.key has mode 0640; a key is a file that its owner alone can read. chmod 600 "]),
    ("k", "missing", ["holds 1 bytes", "is missing"])],
    ids=["nothing is there", "all is well", "an empty key", "a short key", "a missing file", "one that others read", "two at once"])
def test_keys_that_can_be_guessed_are_missing_or_that_others_read_are_refused(look, operator, key, said):
    if operator is not None:
        key_at(look.folder / "operator.key", operator)
    files = [] if key is None else [{"name": "acme", "key_file": str(look.folder / "acme.key"), "secret": True}]
    if key not in (None, "missing"):
        key_at(look.folder / "acme.key", SECRET, 0o640 if key == "open" else 0o600)
    found = look(files=files, refuse=True)
    assert bool(found.get("failed")) == bool(said) and all(words in found["msg"] for words in said)
    assert not look(files=files).get("failed")  # who only looks refuses nothing


def test_a_certificate_may_be_read_by_all(look):
    file = key_at(look.folder / "cert.pem", "x", 0o644)
    assert not look(files=[{"name": "gateway_tls_certificate", "key_file": file, "secret": False}], refuse=True).get("failed")


def test_what_is_deployed_and_what_is_missing_is_told(look):
    key_at(look.folder / "operator.key", "k" * 64 + "\n")
    key_at(look.folder / "self_signed.pem", "certificate")
    key_at(look.folder / "oracle.json", '{"a": 1}')
    found = look(deployed={"oracle": str(look.folder / "oracle.json"), "executor": str(look.folder / "none.json")}, copies={}, user="no-such-user")
    assert found["deployed"] == {"oracle": '{"a": 1}', "executor": None}
    assert found["missing"] == ["the user no-such-user"]
    # printf 'k%.0s' $(seq 64) | sha256sum; printf certificate | sha256sum
    assert [(name[:16], ends) for name, ends in found["hashes"].items()] == [("2519b49bcf69feac", 0)] and found["certificate"][:16] == "03d66dd08835c1ca"


@pytest.mark.parametrize("answer, loaded", [('{"configuration": "5ea1"}', "5ea1"), ("{}", ""), ("[1]", ""), ("no JSON", "")])
def test_what_it_has_loaded_is_what_it_says(look, answer, loaded):
    with http_at({"/health": answer}) as server:
        assert look(endpoint="http://127.0.0.1:%d" % server.port)["loaded"] == loaded
    assert look(endpoint="http://127.0.0.1:%d" % server.port)["loaded"] == ""  # nobody is there any more


def test_what_a_rotation_left_that_cannot_be_read_is_named_where_hashes_are_asked_for(look):
    key_at(look.folder / "operator.previous", "{")
    assert not look(refuse=True).get("failed")
    found = look(copies={})
    assert found["failed"] and "operator.previous is not what a rotation writes. Remove it" in found["msg"]

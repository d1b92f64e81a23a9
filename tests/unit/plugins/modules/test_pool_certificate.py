"""The module that makes a pool's certificates: its steps, and what it predicts without making anything."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.modules import pool_certificate


def result(capsys, check=False, **arguments):
    with patch_module_args(dict(arguments, _ansible_check_mode=check)), pytest.raises(SystemExit):
        pool_certificate.main()
    return json.loads(capsys.readouterr().out)


@pytest.fixture(name="folders")
def of_two_hosts(tmp_path):
    for name in ("authority", "own"):
        (tmp_path / name).mkdir()
    return str(tmp_path / "authority"), str(tmp_path / "own")


def test_three_steps_make_a_certificate_and_no_key_is_returned(capsys, folders):
    authority = result(capsys, step="authority", folder=folders[0])
    asked = result(capsys, step="request", folder=folders[1], authority=authority["certificate"], names=["DNS:north"])
    signed = result(capsys, step="sign", folder=folders[0], request=asked["request"], names=["DNS:north"])
    assert (authority["changed"], asked["changed"], asked["due"], signed["changed"]) == (True, True, "there is none", True)
    assert signed["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in json.dumps([authority, asked, signed])
    assert not result(capsys, step="authority", folder=folders[0])["changed"]


def test_without_an_authority_a_prediction_makes_nothing(capsys, folders, tmp_path):
    authority = result(capsys, check=True, step="authority", folder=folders[0])
    asked = result(capsys, check=True, step="request", folder=folders[1], authority=authority["certificate"], names=["DNS:north"])
    signed = result(capsys, check=True, step="sign", folder=folders[0], request=asked["request"], names=["DNS:north"])
    assert [found["changed"] for found in (authority, asked, signed)] == [True] * 3
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_openssl_refuses_is_said_with_its_words(capsys, folders):
    result(capsys, step="authority", folder=folders[0])
    refused = result(capsys, step="sign", folder=folders[0], request="no request", names=["DNS:north"])
    assert refused["failed"] and refused["msg"].startswith("The certificates of the pool: openssl x509: ")

"""A repository's key is trusted where it is the expected one and comes alone; the fixtures are those of the keyrings' own tests."""
import io
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils import openpgp
from ansible_collections.protocol_omni.bunker.plugins.modules import apt_keyring

FIXTURES = ROOT / "tests" / "fixtures" / "openpgp"
ONE = (FIXTURES / "one-key.asc").read_bytes()
TWO = (FIXTURES / "two-keys.gpg").read_bytes()
RSA = "9D47686239BDB869EE696B5EAB0E866074AD5674"
ED25519 = "D59E806AEBEC4479B90E0E472993B37AE022402A"


@pytest.fixture
def bring(tmp_path, monkeypatch, capsys):
    """Runs the module where the address serves these bytes; returns what it printed."""
    def run(served, fingerprint=RSA, check_mode=False):
        monkeypatch.setattr(apt_keyring, "fetch_url", lambda *_words, **_options: (io.BytesIO(served), {"status": 200}))
        with patch_module_args({"url": "https://packages.example.net/key.asc", "fingerprint": fingerprint, "path": str(run.path),
                                "_ansible_check_mode": check_mode, "_ansible_tmpdir": str(tmp_path)}), pytest.raises(SystemExit):
            apt_keyring.main()
        return json.loads(capsys.readouterr().out)
    run.path = tmp_path / "example.gpg"
    return run


def test_the_expected_key_is_written_in_binary_form(bring):
    assert bring(ONE)["changed"] and bring.path.read_bytes() == openpgp.dearmor(ONE)
    assert not bring(b"")["changed"]  # it is there: nothing is fetched


@pytest.mark.parametrize("served, found, expected", [(TWO, [RSA, ED25519], RSA), (TWO, [RSA, ED25519], ED25519), (ONE, [RSA], ED25519), (b"", [], RSA)],
                         ids=["a foreign one after it", "a foreign one before it", "another one", "none"])
def test_any_other_set_of_keys_is_refused_and_nothing_written(bring, served, found, expected):
    answer = bring(served, expected)
    assert answer["failed"] and answer["fingerprints"] == found and "It is not trusted and nothing was changed" in answer["msg"]
    assert not bring.path.exists()


def test_a_keyring_with_a_foreign_key_beside_the_expected_one_is_replaced(bring):
    bring.path.write_bytes(TWO)
    assert bring(ONE)["changed"] and bring.path.read_bytes() == openpgp.dearmor(ONE)


def test_check_mode_judges_and_writes_nothing(bring):
    assert bring(ONE, check_mode=True)["changed"] and not bring.path.exists()
    assert bring(TWO, check_mode=True)["failed"]

"""Which package index the controller uses: the one that pip itself would."""
import pytest
from ansible.plugins.loader import lookup_loader

ADDRESS = "https://index.example.net/simple"
OF_A_FILE = "https://mirror.example.net/simple"


def look_up(*terms):
    return lookup_loader.get("protocol_omni.bunker.package_index").run(list(terms))


@pytest.fixture(autouse=True)
def configured(tmp_path, monkeypatch):
    """pip's configuration is this file's alone."""
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = %s\n" % OF_A_FILE, encoding="ascii")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)


def test_the_environment_decides_before_a_file(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", ADDRESS)
    assert look_up("auto") == [ADDRESS]


def test_an_address_is_returned_as_it_is():
    assert look_up(ADDRESS) == [ADDRESS]

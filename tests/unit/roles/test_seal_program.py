"""The program that holds the seal puts back what somebody removed, with a stand-in for the kernel's tables."""
import re
import runpy
import sys
import types

import pytest
from support import ROOT

PROGRAM = ROOT / "roles" / "networks" / "files" / "seal.py"


class Kernel:
    """Holds tables by family and name, as nftables.Nftables does."""

    def __init__(self):
        self.tables, self.loaded = {}, []

    def set_stateless_output(self, wanted):
        assert wanted

    def cmd(self, text):
        asked = re.fullmatch(r"list table (\w+) (\w+)", text)
        if asked:
            return (0, self.tables[asked.groups()], "") if asked.groups() in self.tables else (1, "", "No such file or directory")
        self.loaded.append(text)
        self.tables.update(((family, name), rules) for family, name, rules in re.findall(r"table (\w+) (\w+) (\{.*?\})", text))
        return 0, "", ""


@pytest.fixture
def rules(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nftables", types.SimpleNamespace(Nftables=Kernel))
    for name, table in (("owned.nft", "bunker_seal"), ("standing.nft", "bunker_seal_standing")):
        (tmp_path / name).write_text("table inet %s { drop }\ntable bridge %s { drop }\n" % (table, table), encoding="ascii")
    held = runpy.run_path(str(PROGRAM))["Rules"](str(tmp_path))
    held.load_all()
    held.kernel.loaded.clear()
    return held


@pytest.mark.parametrize("family", ["inet", "bridge"])
@pytest.mark.parametrize("put", [None, "{ accept }"], ids=["removed", "changed"])
def test_a_standing_table_of_either_family_is_put_back(rules, capsys, family, put):
    whole = dict(rules.kernel.tables)
    del rules.kernel.tables[family, "bunker_seal_standing"]
    if put:
        rules.kernel.tables[family, "bunker_seal_standing"] = put
    rules.mend()
    assert rules.kernel.tables == whole
    assert "<4>somebody removed or changed the table bunker_seal_standing; it is in force again." in capsys.readouterr().out


def test_a_table_that_is_removed_while_another_is_put_back_is_put_back_too(rules):
    """Its event comes after the first mending, and must find it missing."""
    whole, kernel, missing = dict(rules.kernel.tables), rules.kernel, ("bridge", "bunker_seal_standing")
    del kernel.tables["inet", "bunker_seal_standing"]
    load = kernel.cmd

    def loaded_and_removed(text):
        answer = load(text)
        if not text.startswith("list"):
            kernel.tables.pop(missing)
            kernel.cmd = load
        return answer
    kernel.cmd = loaded_and_removed
    rules.mend()
    assert missing not in kernel.tables
    rules.mend()
    assert kernel.tables == whole


def test_tables_that_are_whole_are_left_alone(rules):
    rules.mend()
    assert rules.kernel.loaded == []

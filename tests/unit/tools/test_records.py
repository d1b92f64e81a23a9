"""tools/records.py and support/provenance.py on a tree that is made here."""
import importlib.util
import json
import pathlib

import pytest
from support import ROOT, provenance

SPEC = importlib.util.spec_from_file_location("records_tool", ROOT / "tools" / "records.py")
records = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(records)
ROW = {"path": "results/speed.json", "code": ["code/*.py"], "command": "measure", "takes": "a minute"}
GIVEN = {"commit": "0" * 40, "machine": "this one", "date": "2026-01-31", "command": "measure"}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A checkout with code, one record of three entries that was made of it, and a table."""
    for module in (provenance, records):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(provenance, "TABLE", tmp_path / "records.toml")
    monkeypatch.setattr(provenance.code_sha256, "__defaults__", (tmp_path,))
    for path, text in (("code/a.py", "a = 1\n"), ("code/b.py", "b = 1\n"), ("other/c.py", "c = 1\n")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    (tmp_path / "records.toml").write_text(
        '[[record]]\npath = "results/speed.json"\nentries = "runs"\npast = ["before"]\ncode = ["code/*.py"]\ncommand = "measure"\ntakes = "a minute"\n'
        '[record.code_of]\n"slow*" = ["other/*.py"]\n', encoding="utf-8")
    hashes = {"fast": provenance.code_sha256(["code/*.py"]), "slow one": provenance.code_sha256(["code/*.py", "other/*.py"]), "before": "f" * 64}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "speed.json").write_text(json.dumps(
        {"runs": {name: {"figure": 1, "provenance": dict(GIVEN, code_sha256=digest)} for name, digest in hashes.items()}}), encoding="utf-8")
    return tmp_path


def states():
    return {entry.name: entry.state for entry in records.read()}


def test_a_record_is_fresh_until_a_file_that_it_speaks_of_changes(tree):
    assert states() == {"fast": "fresh", "slow one": "fresh", "before": "of the past"}
    (tree / "other" / "c.py").write_text("c = 2\n", encoding="utf-8")
    assert states() == {"fast": "fresh", "slow one": "stale", "before": "of the past"}
    (tree / "code" / "d.py").write_text("", encoding="utf-8")  # one more file is a change too
    assert states() == {"fast": "stale", "slow one": "stale", "before": "of the past"}


def test_what_is_imported_is_spoken_of_too(tree):
    (tree / "code" / "a.py").write_text("from ansible_collections.protocol_omni.bunker.other.c import c\nfrom .deep import d\nimport json\n", encoding="utf-8")
    (tree / "code" / "deep").mkdir()
    (tree / "code" / "deep" / "d.py").write_text("from ..near import n\n", encoding="utf-8")
    (tree / "code" / "near").mkdir()
    (tree / "code" / "near" / "__init__.py").write_text("import beside\n", encoding="utf-8")
    (tree / "code" / "near" / "beside.py").write_text("beside = 1\n", encoding="utf-8")
    assert {str(path.relative_to(tree)) for path in provenance.code_of(["code/*.py"], tree)} == {
        "code/a.py", "code/b.py", "other/c.py", "code/deep/d.py", "code/near/__init__.py", "code/near/beside.py"}


def test_a_renamed_file_is_a_change(tree):
    (tree / "code" / "b.py").rename(tree / "code" / "z.py")
    assert states()["fast"] == "stale"


def test_what_carries_no_hash_is_named(tree, capsys):
    path = tree / "results" / "speed.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    del found["runs"]["fast"]["provenance"]["code_sha256"]
    del found["runs"]["slow one"]["provenance"]
    path.write_text(json.dumps(found), encoding="utf-8")
    assert states() == {"fast": "no hash", "slow one": "no hash", "before": "of the past"}
    (tree / "docs").mkdir()
    (tree / "README.md").write_text("", encoding="utf-8")
    (tree / "tests" / "gpu").mkdir(parents=True)
    (tree / "tests" / "gpu" / "README.md").write_text("", encoding="utf-8")
    assert records.main([]) == 1
    assert "0 fresh, 0 stale, 1 of the past, 2 no hash" in capsys.readouterr().out


def test_a_glob_that_matches_nothing_is_refused(tree):
    with pytest.raises(ValueError, match="no file matches gone"):
        provenance.code_sha256(["gone/*.py"])


def test_a_record_without_a_row_is_refused(tree):
    with pytest.raises(KeyError, match="results/other.json has no row in records.toml"):
        provenance.made("results/other.json")


def test_links_are_marked_and_unmarked(tree):
    (tree / "other" / "c.py").write_text("c = 2\n", encoding="utf-8")
    page = pathlib.Path("docs/page.md")
    text = "[a](../results/speed.json#fast) (stale), [b](../results/speed.json#slow), [c](../results/speed.json), [d](other.md), [e](http://host/x.json)."
    marked, broken = records.mark(page, text, records.read())
    assert broken == []
    assert marked == ("[a](../results/speed.json#fast), [b](../results/speed.json#slow) (stale), [c](../results/speed.json) (stale), "
                      "[d](other.md), [e](http://host/x.json).")
    assert records.mark(page, marked, records.read())[0] == marked


def test_a_link_to_an_entry_that_is_not_there_is_broken(tree):
    _text, broken = records.mark(pathlib.Path("docs/page.md"), "[a](../results/speed.json#fastest)", records.read())
    assert broken == ["docs/page.md: no entry of results/speed.json has 'fastest' in its name"]


def test_what_is_made_is_fresh_and_says_when_and_where(tree):
    made = provenance.made("results/speed.json", "slow two", command="measure twice")
    assert made["code_sha256"] == provenance.code_sha256(["code/*.py", "other/*.py"])
    assert made["command"] == "measure twice" and made["commit"] == "unknown" and "CPUs" in made["machine"]


def test_a_record_in_markdown_carries_it_in_a_comment():
    text = "# Title\n\n<!-- provenance: %s -->\n\ntext\n" % json.dumps(GIVEN)
    assert provenance.entries(dict(ROW, path="docs/x.md"), text) == {"": GIVEN}
    assert provenance.entries(dict(ROW, path="docs/x.md"), "# Title\n") == {"": None}

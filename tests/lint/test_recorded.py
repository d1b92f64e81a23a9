"""Records carry where they come from, documents link them, and what is stale is said to be so where it is quoted."""
import json
import re
import subprocess
import sys

import pytest
from support import ROOT, provenance

sys.path.insert(0, str(ROOT / "tools"))
import records  # noqa: E402

ENTRIES = records.read()
NO_RECORD = "none kept"
RENEW = "; run: ./bunker records --mark"


def test_every_file_of_results_has_a_row_and_every_row_a_file():
    tracked = subprocess.run(["git", "ls-files", "*/results/*", "*/results.json"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert len(tracked) > 15
    assert set(tracked) <= {row["path"] for row in provenance.table()}
    assert [row["path"] for row in provenance.table() if (ROOT / row["path"]).is_file() == row.get("unmade", False)] == []


@pytest.mark.parametrize("row", records.made(), ids=lambda row: row["path"])
def test_a_record_says_where_it_comes_from(row):
    entries = provenance.entries(row, (ROOT / row["path"]).read_text(encoding="utf-8"))
    assert entries
    for name, made in entries.items():
        assert made and set(made) == {"commit", "code_sha256", "machine", "date", "command"}, name
        assert re.fullmatch(r"[0-9a-f]{64}", made["code_sha256"]) and re.fullmatch(r"2\d{3}-\d\d-\d\d", made["date"]) and made["machine"] and made["command"]
        assert re.match(r"[0-9a-f]{40}\b|unknown", made["commit"]), name


@pytest.mark.parametrize("page", records.documents(), ids=str)
def test_what_is_stale_is_said_to_be_so_where_it_is_quoted(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    marked, broken = records.mark(page, text, ENTRIES)
    assert broken == []
    assert [line for line, right in zip(text.splitlines(), marked.splitlines()) if line != right] == [], RENEW


def tables(text):
    """The rows of every table of a page: lists of cells."""
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line.startswith("| ")]


def test_each_figure_of_the_page_of_measurements_has_a_record_or_says_that_none_was_kept():
    rows = [row for row in tables((ROOT / "docs" / "measured.md").read_text(encoding="utf-8")) if row[0] != "what"]
    assert len(rows) > 15
    paths = {row["path"] for row in provenance.table()}
    for row in rows:
        linked = {str((ROOT / "docs" / link).resolve().relative_to(ROOT)) for link in re.findall(r"\]\(([^)#]+)", row[-1])}
        assert linked & paths or row[-1].startswith(NO_RECORD), row


MEASURED = [page for page in records.documents() if re.search(r"(?m)^#+ .*Measured", (ROOT / page).read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", MEASURED, ids=str)
def test_a_section_of_measurements_links_a_record_or_says_that_none_was_kept(page):
    names = {entry.path.rsplit("/", 1)[1] for entry in ENTRIES} | {"measured.md"}
    sections = [section for section in re.split(r"(?m)^(?=##? )", (ROOT / page).read_text(encoding="utf-8")) if re.match(r"##? .*Measured", section)]
    assert sections
    if page.name != "measured.md":  # its rows say it one by one, above
        assert [section[:200] for section in sections if NO_RECORD not in section and not any(name in section for name in names)] == []


def test_every_longer_test_was_recorded_or_is_named_as_one_that_never_was():
    marked = subprocess.run(["git", "grep", "-l", "^@pytest.mark.full", "tests/unit", "tests/cuda"], cwd=ROOT, capture_output=True, text=True, check=False)
    collected = subprocess.run([sys.executable, "-m", "pytest", "-n0", "--collect-only", "-q", "-m", "full", "tests/integration", *marked.stdout.split()],
                               cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = {line for line in collected if "::" in line}
    assert len(wanted) > 40
    row = provenance.row_of("tests/results/full.json")
    recorded = set(json.loads((ROOT / row["path"]).read_text(encoding="utf-8"))["tests"])
    assert wanted - recorded == set(row["never"]), "tests/records.toml, never"
    assert recorded <= wanted, "take what is no test any more out of the record"

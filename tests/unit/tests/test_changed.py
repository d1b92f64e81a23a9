"""Which tests ./bunker test --changed picks."""
import subprocess

import pytest
from support import ROOT, changed

TABLE = changed.rows(changed.TABLE.read_text(encoding="utf-8"))
TRACKED = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True,
                         text=True).stdout.split("\n")


@pytest.mark.parametrize("glob, tests", TABLE, ids=[glob for glob, _tests in TABLE])
def test_each_row_speaks_of_files_and_tests_that_are_there(glob, tests):
    assert any(changed.matches(path, glob) for path in TRACKED)
    assert tests and all((ROOT / path).exists() for path in tests)


def test_a_file_in_no_row_runs_everything():
    assert changed.chosen(["roles/gateway/tasks/main.yml", "plugins/module_utils/claims/__init__.py"], TABLE) == changed.EVERYTHING
    assert changed.chosen(["tests/support/hosts.py"], TABLE) == changed.EVERYTHING


def test_all_rows_of_a_file_count_and_lint_always_runs():
    table = changed.rows("# words\nroles/a/**  tests/unit/a tests/x/test_a.py\n\nroles/a/files/*.lua  tests/y\n")
    assert changed.chosen(["roles/a/files/x.lua"], table) == ["tests/lint", "tests/unit/a", "tests/x/test_a.py", "tests/y"]
    assert changed.chosen(["roles/a/files/deep/x.lua"], table) == ["tests/lint", "tests/unit/a", "tests/x/test_a.py"]


def test_a_changed_test_runs_itself_once():
    assert changed.chosen(["tests/unit/test_x.py"], []) == ["tests/lint", "tests/unit/test_x.py"]
    assert changed.chosen(["tests/unit/test_x.py", "roles/a/b"], [("roles/a/**", ["tests/unit"])]) == ["tests/lint", "tests/unit"]


def test_nothing_changed_runs_nothing():
    assert changed.chosen([], TABLE) == []

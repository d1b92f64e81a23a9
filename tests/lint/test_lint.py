"""The linters, with the configuration that lies in the root."""
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest
from support import changed

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]


def test_yamllint():
    run("yamllint", "-s", ".")


def test_ansible_lint():
    """Everything takes a minute of a processor, so the quick tiers read what has changed, and one file that is always there."""
    quick = os.environ.get("BUNKER_TEST_TIER") in ("--lint", "--changed")
    run("ansible-lint", "--nocolor", "-p", *(changed_yaml() if quick else []))


def changed_yaml():
    """The files for ansible-lint: none, which means all, where what it goes by has changed itself."""
    names = changed.changed(os.environ.get("BUNKER_SINCE", ""))
    if {".ansible-lint", "requirements/test.txt"} & set(names):
        return []
    return ["meta/runtime.yml"] + [name for name in names if name.endswith((".yml", ".yaml")) and (ROOT / name).is_file()]


def test_python_style_is_what_ansible_test_wants():
    """Its sanity test says the same, but only at the end of a long run. The rules are read from where it has them."""
    sanity = pathlib.Path(importlib.util.find_spec("ansible_test").origin).parent / "_util/controller/sanity/pep8"
    ignored = [line for line in (sanity / "current-ignore.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert ignored
    files = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.rstrip("\0").split("\0")
    command = [sys.executable, "-m", "pycodestyle", "--max-line-length=160", "--config=/dev/null", "--ignore=" + ",".join(ignored), *files]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_lock_files_hold_hashes_and_no_addresses():
    locks = list((ROOT / "requirements").glob("*.txt"))
    assert {lock.name for lock in locks} >= {"run.txt", "test.txt", "bench.txt", "docs.txt"}
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert not re.search(r"https?://|file:", text), lock
        pins = re.findall(r"^[a-zA-Z0-9][^ \n]*==\S+", text, re.MULTILINE)
        assert pins and len(re.findall(r"^[a-zA-Z0-9][^\n]*==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(pins), lock


@pytest.mark.parametrize("command", [["--help"], ["help"], ["test", "--help"], ["test", "--full", "-h"], ["down", "--help"]])
def test_bunker_helps(command):
    result = subprocess.run(["./bunker", *command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "demo" in result.stdout and "test" in result.stdout


def test_bunker_refuses_an_unknown_command():
    result = subprocess.run(["./bunker", "frobnicate"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "Usage" in result.stderr


def test_the_whole_of_the_tests_can_be_collected():
    """A file that does not import, or that has the name of another one, is otherwise found only in a run that reads everything."""
    run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q")

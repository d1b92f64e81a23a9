"""Prints the tests that the changes since a commit can have broken: changed.py [COMMIT]. The table is tests/changed.txt.

Without COMMIT: since origin/main, or since HEAD where there is none.

Changes are those of the commits since the two histories parted, those of the working tree, and files that git does not know yet.
"""
import fnmatch
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "changed.txt"
ALWAYS = "tests/lint"
EVERYTHING = ["tests/lint", "tests/unit", "tests/cuda", "tests/integration"]


def rows(text):
    """(glob, list of tests) of each row of a table."""
    return [(line.split()[0], line.split()[1:]) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def matches(path, glob):
    """Whether a path is of a row: ``folder/**`` is everything below it; ``*`` goes no deeper than its folder."""
    if glob.endswith("/**"):
        return path.startswith(glob[:-2])
    return fnmatch.fnmatchcase(path, glob) and path.count("/") == glob.count("/")


def chosen(paths, table):
    """The tests for changed files.

    :param paths: list of str, relative to the checkout.
    :param table: list of (glob, tests), see :func:`rows`.
    :returns: list of str for pytest; everything where a file is in no row, nothing where none changed.
    """
    if not paths:
        return []
    found = [ALWAYS]
    for path in paths:
        name = pathlib.PurePath(path).name
        if path.startswith("tests/") and name.startswith("test_") and name.endswith(".py"):
            found += [path]
            continue
        own = [tests for glob, tests in table if matches(path, glob)]
        if not own:
            return EVERYTHING
        found += [test for tests in own for test in tests]
    unique = sorted(set(found))
    return [test for test in unique if not any(test != other and test.startswith(other + "/") for other in unique)]


def changed(since=""):
    """Files that differ from where this history parted from ``since``."""
    def git(*arguments, check=True):
        return subprocess.run(["git", *arguments], cwd=ROOT, check=check, capture_output=True, text=True).stdout.strip()
    since = since or git("rev-parse", "--quiet", "--verify", "origin/main", check=False) or "HEAD"
    parted = git("merge-base", since, "HEAD")
    names = git("diff", "--name-only", "--no-renames", parted).splitlines() + git("ls-files", "--others", "--exclude-standard").splitlines()
    return sorted({name for name in names if (ROOT / name).exists() or not pathlib.PurePath(name).name.startswith("test_")})


if __name__ == "__main__":
    print(" ".join(chosen(changed(*sys.argv[1:]), rows(TABLE.read_text(encoding="utf-8")))))

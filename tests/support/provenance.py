"""Where a record comes from: its commit, the hash of the code that it speaks of, the machine, the date and the command.

tests/records.toml names every record and its code. Standard library alone: the programs that measure also run where nothing else is installed,
and without git, where the commit stays unknown and the hash alone tells which code it was.
"""
import ast
import datetime
import fnmatch
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

from support import ROOT

TABLE = ROOT / "tests" / "records.toml"
COLLECTION = ["ansible_collections", "protocol_omni", "bunker"]
COMMENT = re.compile(r"^<!-- provenance: (\{.*\}) -->$", re.MULTILINE)


def table():
    """The rows of tests/records.toml: list of dicts, see its head."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))["record"]


def row_of(path):
    """The row of one record.

    :param path: str or pathlib.Path, from the checkout's root or absolute.
    :raises KeyError: where the table has none: a record needs one.
    """
    name = os.path.relpath(ROOT / path, ROOT)
    for row in table():
        if row["path"] == name:
            return row
    raise KeyError("%s has no row in %s: add one, which says what code the record speaks of" % (name, TABLE.relative_to(ROOT)))


def patterns(row, entry=""):
    """Globs of the code that a record, or one entry of it, speaks of."""
    found = list(row["code"])
    for pattern, code in row.get("code_of", {}).items():
        if fnmatch.fnmatchcase(entry, pattern):
            found += code
    if row.get("own_module"):
        found.append(entry.split("::")[0])
    return found


def imported_by(path, root):
    """The files of a tree that a Python file imports: relatively, by the collection's full name, or from its own folder.

    :returns: set of pathlib.Path
    """
    found = set()

    def take(folder, names):
        """A module, or what stands in a package: whatever of it is a file."""
        for place in (folder, *(folder / name for name in names)):
            found.update(one for one in (place.with_name(place.name + ".py"), place / "__init__.py") if one.is_file())
    for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(part, ast.ImportFrom):
            words, names = (part.module or "").split("."), [alias.name for alias in part.names]
            if part.level:
                take(path.parents[part.level - 1].joinpath(*filter(None, words)), names)
            elif words[:3] == COLLECTION:
                take(root.joinpath(*words[3:]), names)
            else:
                take(path.parent.joinpath(*words), [])
        elif isinstance(part, ast.Import):
            for alias in part.names:
                take(path.parent.joinpath(*alias.name.split(".")), [])
    return {one for one in found if root in one.parents}


def code_of(globs, root=ROOT):
    """The files that match, and of Python what they import, and what that imports: none of it can change without the record's growing stale.

    :param globs: list of str, as pathlib.Path.glob takes them, from the root.
    :returns: set of pathlib.Path
    :raises ValueError: where a glob matches no file, because nothing would be held to anything.
    """
    files = set()
    for pattern in globs:
        found = {path for path in root.glob(pattern) if path.is_file() and "__pycache__" not in path.parts}
        if not found:
            raise ValueError("no file matches %s" % pattern)
        files |= found
    left = [path for path in files if path.suffix == ".py"]
    while left:
        path = left.pop()
        more = _imported_by(path, root, path.stat().st_mtime_ns) - files
        files |= more
        left += more
    return files


@functools.lru_cache(maxsize=None)
def _imported_by(path, root, _changed):
    """As it was read once, until the file changes."""
    return frozenset(imported_by(path, root))


def code_sha256(globs, root=ROOT):
    """SHA-256 over names and contents of the files of :func:`code_of`, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(code_of(globs, root)):
        digest.update(b"%s\0%s\0" % (str(path.relative_to(root)).encode(), hashlib.sha256(path.read_bytes()).digest()))
    return digest.hexdigest()


def made(path, entry="", command=""):
    """What a measuring program writes beside its figures, under the key "provenance".

    :param path: str, the record, as in the table, whatever the file is called that it goes to first.
    :param entry: str, for records with entries of their own.
    :param command: str, how it was made; default: as the table says.
    :returns: dict of str: commit, code_sha256, machine, date, command.
    """
    row = row_of(path)
    return {"commit": commit(), "code_sha256": code_sha256(patterns(row, entry)), "machine": machine(),
            "date": datetime.date.today().isoformat(), "command": command or row["command"]}


def commit():
    """The commit of the checkout, with "and changes" where there are some; without git what BUNKER_COMMIT says, or "unknown"."""
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()
    try:
        return git("rev-parse", "HEAD") + (" and changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("BUNKER_COMMIT", "unknown")


def machine():
    """Processor, its CPUs, and the cards with their driver, in one line."""
    models = re.findall(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    parts = ["%d CPUs (%s)" % (os.cpu_count(), models[0] if models else "unknown processor")]
    try:
        asked = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True, check=True)
        parts += [line.replace(", ", ", driver ") for line in asked.stdout.strip().splitlines()]
    except (OSError, subprocess.CalledProcessError):
        pass
    return "; ".join(parts)


def entries(row, text):
    """What a record says of its own making.

    :param row: dict, the record's row of the table.
    :param text: str, the record.
    :returns: dict of the entry's name ("" where the record is one) to its provenance; None where there is none.
    """
    if not row["path"].endswith(".json"):
        found = COMMENT.search(text)
        return {"": json.loads(found.group(1)) if found else None}
    data, where = json.loads(text), row.get("entries")
    if where is None:
        return {"": data.get("provenance")}
    return {name: value.get("provenance") for name, value in (data if where == "." else data[where]).items() if isinstance(value, dict)}


if __name__ == "__main__":  # for programs that are no Python: PYTHONPATH=tests python3 -m support.provenance RECORD
    print(json.dumps(made(sys.argv[1])))

"""Which records of measurements and longer tests speak of the code as it is, and which are stale: ``./bunker records``.

    ./bunker records            # all, the oldest first, with what it takes to make the stale ones anew
    ./bunker records --mark     # writes "(stale)" behind each link to a stale record in README and docs, and takes it away where it is fresh again

A record is stale when a file that tests/records.toml says it speaks of has changed since. A link may name an entry of a record by a part of its name:
``full.json#two_hundred``. Exit code 1 where a record carries no hash, or a link leads to nothing.
"""
import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import provenance  # noqa: E402

LINK = re.compile(r"\]\(([^()\s]+?)(?:#([^()\s]*))?\)( \(stale\))?")
FRESH, STALE, PAST, NO_HASH = "fresh", "stale", "of the past", "no hash"


@dataclasses.dataclass
class Entry:
    """One record, or one part of it: path (str), name (str), made (dict or None), state (str), takes (str)."""
    path: str
    name: str
    made: dict
    state: str
    takes: str

    def changed(self):
        """How many of its files have changed since its commit, as words; "" where git does not know the commit."""
        row = provenance.row_of(self.path)
        globs = provenance.patterns(row, self.name)
        paths = [":(glob)" + one for one in globs] + [str(path.relative_to(ROOT)) for path in provenance.code_of(globs)]
        words = ["git", "-C", str(ROOT), "diff", "--name-only", self.made["commit"].split()[0], "--", *paths]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return "%d files changed since" % len(done.stdout.split()) if done.returncode == 0 else "commit " + self.made["commit"]


def state(row, name, made):
    """FRESH, STALE, PAST or NO_HASH."""
    if not made or not re.fullmatch(r"[0-9a-f]{64}", made.get("code_sha256", "")):
        return NO_HASH
    if name in row.get("past", ()):
        return PAST
    return FRESH if made["code_sha256"] == provenance.code_sha256(provenance.patterns(row, name)) else STALE


def made():
    """The rows of the table whose record was made once."""
    return [row for row in provenance.table() if not row.get("unmade")]


def read():
    """Every entry of every record of the table: list of Entry, the oldest first."""
    found = []
    for row in made():
        text = (ROOT / row["path"]).read_text(encoding="utf-8")
        found += [Entry(row["path"], name, made, state(row, name, made), row["takes"]) for name, made in provenance.entries(row, text).items()]
    return sorted(found, key=lambda entry: (entry.made or {}).get("date", ""))


def mark(page, text, entries):
    """A document with "(stale)" behind each link to a record that is.

    :param page: pathlib.Path of the document, from the root.
    :param text: str.
    :param entries: list of Entry.
    :returns: (text, list of str: links to a record whose entry is not there).
    """
    broken, paths = [], {entry.path for entry in entries}

    def written(match):
        path, part = match.group(1), match.group(2) or ""
        target = (ROOT / page.parent / path).resolve()
        name = str(target.relative_to(ROOT)) if target.is_relative_to(ROOT) else ""
        if name not in paths:
            return match.group(0)
        meant = [entry for entry in entries if entry.path == name and part in entry.name]
        if not meant:
            broken.append("%s: no entry of %s has %r in its name" % (page, name, part))
        stale = any(entry.state in (STALE, NO_HASH) for entry in meant)
        return "](%s%s)%s" % (path, "#" + part if part else "", " (stale)" if stale else "")
    return LINK.sub(written, text), broken


def grouped(entries):
    """Entries of one record, date and state together: dict of (date, state, path, what has changed) to list of Entry."""
    found = {}
    for entry in entries:
        key = ((entry.made or {}).get("date", "no date   "), entry.state, entry.path, " · " + entry.changed() if entry.state == STALE else "")
        found.setdefault(key, []).append(entry)
    return found


def documents():
    """README and docs: list of pathlib.Path from the root, but for the records among them."""
    records = {row["path"] for row in provenance.table()}
    return [path.relative_to(ROOT) for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "tests" / "gpu" / "README.md"]
            if str(path.relative_to(ROOT)) not in records]


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mark", action="store_true", help="write (stale) into the documents")
    options = parser.parse_args(words)
    entries, broken = read(), []
    for page in documents():
        text = (ROOT / page).read_text(encoding="utf-8")
        marked, missing = mark(page, text, entries)
        broken += missing
        if options.mark and marked != text:
            (ROOT / page).write_text(marked, encoding="utf-8")
            print("marked: %s" % page)
    if not options.mark:
        for (date, found, path, since), group in grouped(entries).items():
            name = group[0].name if len(group) == 1 else "%d entries" % len(group)
            print("%s  %-11s %s%s%s" % (date, found, path, " · " + name if group[0].name else "", since))
        never = [(row["path"], name) for row in provenance.table() for name in (["all of it"] if row.get("unmade") else row.get("never", ()))]
        for path, name in never:
            print("never       no record   %s · %s" % (path, name))
        print("\nTo make the stale ones anew:")
        for path in sorted({entry.path for entry in entries if entry.state in (STALE, NO_HASH)}):
            row = provenance.row_of(path)
            print("  %s: %s\n      %s" % (path, row["takes"], row["command"]))
        print("\n%d entries of %d records: %s" % (len(entries), len({entry.path for entry in entries}), ", ".join(
            "%d %s" % (sum(entry.state == one for entry in entries), one) for one in (FRESH, STALE, PAST, NO_HASH)) + "; %d never recorded" % len(never)))
    for line in broken:
        print("BROKEN LINK: " + line)
    return 1 if broken or any(entry.state == NO_HASH for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main())

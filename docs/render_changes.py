"""Makes docs/changes.md from tests/sequences/matrix.yml: python docs/render_changes.py"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "sequences"))
import changes  # noqa: E402

HEAD = """# Changes of an inventory

Made by `python docs/render_changes.py` of [matrix.yml](../tests/sequences/matrix.yml): what the next run of `site.yml` makes of each change, and of requests
that run meanwhile. [Day two](day-two.md) says what else happens to a host.

%s

| what | added | changed | renamed | removed |
|---|---|---|---|---|
"""
TAIL = """
A dash is a change that does not exist, or that nothing follows from, and why. Of a service that is changed, renamed or removed its own answers are meant by
the words, the others' by **kept**. Where a service stops, its answers get `vram_watch_drain` seconds (30) to end; what takes longer is cut off.

## How it is shown

`python tests/sequences/play_matrix.py` plays the cells on one host: all changes of a column that keep requests happen in one run, while clients ask the
Oracle and the Executor; what drains a service, or cuts its answers, has a run of its own. Each cell names what must be on the host afterwards, and what must
be gone. At the end the host must be what it was before the first change. What came of each cell that was played, and with which image:
[matrix.json](../tests/sequences/results/matrix.json). A cell whose image is a stand-in ran with
[a program in place of llama-server](../tests/stand_ins/model_server.py): the host, its units and the gateway do the same with it, its words are no model's.

`python tests/sequences/play_sequences.py --seeds 1 100` draws sequences of five such changes. After each sequence a whole run must change nothing, every claim
must hold, and all that is on the host must be what a fresh deployment of that inventory has: containers, networks, images, units, files, tables, routes,
listeners and accounts. How many were played, with their seeds, and what came of each: [sequences.json](../tests/sequences/results/sequences.json).

What is not compared stands with its reason in [comparing.py](../tests/sequences/comparing.py): keys and certificates that each host makes for itself, what was
measured or learned, and the distribution's packages, which stay once they are installed. Models stay as well, by intent. Sequences change neither volumes nor
options of the engine nor the image's inputs; the tests that the matrix names show those.
"""


def cell(kind, move):
    """A cell of the table, in words."""
    found = kind["cells"][move]
    if "never" in found:
        return "– " + found["never"]
    shown = "".join(" ([test](../%s))" % name.split("::", maxsplit=1)[0] for name in found.get("tests", []))
    return "**%s**: %s%s" % (found["requests"], found["becomes"], shown)


def render():
    """The whole page."""
    data = changes.matrix()
    words = "\n".join("- **%s**: %s." % (name, meaning) for name, meaning in changes.REQUESTS.items() if any(
        one.get("requests") == name for _kind, _move, one in changes.cells(data)))
    rows = ["| %s | %s |" % (kind["is"], " | ".join(cell(kind, move) for move in changes.MOVES)) for kind in data["kinds"]]
    return HEAD % words + "\n".join(rows) + "\n" + TAIL


if __name__ == "__main__":
    (ROOT / "docs" / "changes.md").write_text(render(), encoding="utf-8")

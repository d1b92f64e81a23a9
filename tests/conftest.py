"""Lets the tests import the collection from the checkout by its full name, and records what came of them where asked."""
import datetime
import json
import os
import pathlib
import subprocess

import pytest
from ansible.plugins.loader import init_plugin_loader

ROOT = pathlib.Path(__file__).resolve().parents[1]

init_plugin_loader([str(ROOT / "collections")])


def pytest_addoption(parser):
    parser.addoption("--record", metavar="FILE", help="write the outcome of each test marked full, with date and the tree's hash, to FILE as JSON")


@pytest.fixture(scope="session", autouse=True)
def image_in_the_making(request, tmp_path_factory):
    """Builds the golden image on a host of its own where none is kept and tests of this session need it, while the tests before them run.

    :returns: a function that waits for it.
    """
    kept = list(pathlib.Path(os.environ.get("BUNKER_CACHE", ".")).glob("images/*.tar"))
    if kept or not any("site" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield lambda: None
        return
    log = tmp_path_factory.mktemp("image") / "log"
    with log.open("w", encoding="utf-8") as stream:
        steps = " && ".join("molecule %s -s image" % step for step in ("destroy", "create", "converge"))
        making = subprocess.Popen(["sh", "-c", steps], cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)

    def wait():
        assert making.wait() == 0, log.read_text(encoding="utf-8")[-6000:]
    yield wait
    making.wait()
    subprocess.run(["molecule", "destroy", "-s", "image"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--record"):
        return
    reports = [report for outcome in ("passed", "failed", "error") for report in terminalreporter.stats.get(outcome, []) if "full" in report.keywords]
    tree = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    path = ROOT / config.getoption("--record")
    path.parent.mkdir(parents=True, exist_ok=True)
    tests = json.loads(path.read_text(encoding="utf-8"))["tests"] if path.exists() else {}  # a part of the tests leaves what is known of the others
    date = datetime.date.today().isoformat()
    tests.update((report.nodeid, {"outcome": report.outcome, "seconds": round(report.duration), "date": date, "tree": tree}) for report in reports)
    path.write_text(json.dumps({"command": "./bunker test --full", "tests": tests}, indent=1) + "\n", encoding="utf-8")

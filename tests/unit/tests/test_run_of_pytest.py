"""What the hooks of tests/support make of a run, by a real pytest on tests that are written here."""
import subprocess
import sys

import pytest
from support import ROOT

CONFTEST = 'import sys\nsys.path.insert(0, %r)\npytest_plugins = ["support.quiet", "support.reporting", "support.skips"]\n' % str(ROOT / "tests")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs pytest on a module of this text; returns (exit status, output)."""
    monkeypatch.setenv("BUNKER_CACHE", str(tmp_path))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    quiet: alone\n    full: long\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")

    def run(text, *options):
        (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr
    return run


def test_a_skip_that_hides_a_hole_is_a_failure_and_one_that_says_what_is_missing_is_named(run):
    status, said = run("import pytest\nfrom support.skips import lacks\n"
                       "def test_a():\n    pytest.skip('not today')\n"
                       "@pytest.mark.skipif(True, reason='never')\ndef test_b():\n    pass\n"
                       "def test_c():\n    lacks('a card')\n")
    assert status == 1 and "1 failed, 1 skipped, 1 error" in said  # the second one in its set-up
    assert "hides a hole" in said and "= skipped: 1 =" in said and "test_it.py::test_c: Skipped: this machine lacks a card" in said


def test_a_failure_is_named_at_the_end_with_its_log_and_the_command_for_it_alone(run):
    status, said = run("from support import plays\ndef test_a():\n"
                       "    plays.finished.append(('site.yml', 'host', 2.0, 'the words of the play'))\n    assert 1 == 2\n")
    log = ROOT / "reports" / "tests" / "test_it.py_test_a-call.log"
    assert status == 1 and "alone: ./bunker test 'test_it.py::test_a'" in said and "log: %s" % log.relative_to(ROOT) in said
    text = log.read_text(encoding="utf-8")
    log.unlink()
    assert "assert 1 == 2" in text and "site.yml on host" in text and "the words of the play" in text
    assert said.strip().splitlines()[-1].startswith("=") and "1 failed" in said.strip().splitlines()[-1]


def test_the_table_of_times_tells_modules_phases_and_plays(run):
    status, said = run("from support import plays, reporting\nimport pytest, time\n@pytest.fixture\ndef slow():\n    time.sleep(1.2)\n"
                       "    plays.finished.append(('site.yml', 'host', 63.0, ''))\ndef test_a(slow):\n    pass\n", "--times=reports/times-of-a-test.md")
    path = ROOT / "reports" / "times-of-a-test.md"
    assert status == 0, said
    text = path.read_text(encoding="utf-8")
    path.unlink()
    assert "| `test_it.py` | 1 | 0:01 | 0:01 | 0:00 | 0:00 | 1:03 |" in text
    assert "| setup of `test_it.py::test_a` | 0:01 |" in text and "| `site.yml` | host | 1:03 |" in text


def test_nothing_is_recorded_of_code_that_changed_meanwhile(run):
    path = ROOT / "reports" / "record-of-a-test.json"
    status, said = run("from support import reporting\ndef test_a():\n    assert len(reporting.began_with) == 64\n    reporting.began_with = 'another'\n",
                       "--record=reports/record-of-a-test.json", "--times=reports/times-of-changed-code.md")
    assert status == 0 and "the code changed while the tests ran" in said
    assert not path.exists() and not (ROOT / "reports" / "times-of-changed-code.md").exists()


def test_a_quiet_test_runs_while_no_other_worker_runs_one(run, tmp_path):
    """Two workers: each test notes when it began and ended; nothing overlaps with the quiet one, and the others do overlap."""
    body = ("import time, pytest, pathlib\nhere = pathlib.Path(%r)\n"
            "def note(name):\n    begun = time.time()\n    (here / (name + '.begun')).touch()\n    time.sleep(0.7)\n"
            # The first waits for another one, but the quiet one: how long a worker takes to begin is the machine's.
            "    while name == 'noted-0' and len(set(here.glob('*.begun')) - {here / 'noted-1.begun'}) < 2 and time.time() < begun + 60:\n"
            "        time.sleep(0.05)\n"
            "    (here / name).write_text('%%f %%f' %% (begun, time.time()))\n" % str(tmp_path))
    for number in range(4):
        body += "%sdef test_%d():\n    note('noted-%d')\n" % ("@pytest.mark.quiet\n" if number == 1 else "", number, number)
    status, said = run(body, "-n", "2", "--dist", "load")
    assert status == 0, said
    spans = [tuple(map(float, (tmp_path / ("noted-%d" % number)).read_text().split())) for number in range(4)]

    def overlap(one, other):
        return one[0] < other[1] and other[0] < one[1]
    assert not any(overlap(spans[1], spans[number]) for number in (0, 2, 3))
    assert any(overlap(spans[one], spans[other]) for one in (0, 2, 3) for other in (0, 2, 3) if one < other)

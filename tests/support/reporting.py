"""What a run of the tests says at its end: where the time went, each failure with its log and the command that runs it alone, and each skip.

``--times FILE`` writes the table of times to FILE, in Markdown; ``--record FILE`` the outcome of the tests marked full, as JSON.
"""
import collections
import datetime
import json
import os
import platform
import re
import subprocess
import time

import pytest
from support import ROOT, plays, provenance

LOGS = ROOT / "reports" / "tests"
BEGUN = time.time()
MEASURED = ["plugins/**/*", "roles/**/*", "playbooks/**/*", "molecule/**/*", "galaxy.yml", "tests/**/*.py", "tests/host/*", "tests/targets/*"]
began_with = ""  # hash of that code, where something is to be recorded of this run


def pytest_addoption(parser):
    parser.addoption("--record", metavar="FILE", help="write the outcome of each test marked full, with where it comes from, to FILE as JSON")
    parser.addoption("--times", metavar="FILE", help="write a table of where the time went to FILE, in Markdown")


def pytest_configure(config):
    global began_with
    if config.getoption("--times") or config.getoption("--record"):
        began_with = provenance.code_sha256(MEASURED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What a worker knows and the report does not: the plays of this phase, and a log of a failure."""
    report = yield
    for playbook, host, seconds, _output in plays.finished:
        report.user_properties.append(("play", [report.when, playbook, host, round(seconds, 1)]))
    if report.failed:
        LOGS.mkdir(parents=True, exist_ok=True)
        path = LOGS / (re.sub(r"[^A-Za-z0-9_.-]+", "_", item.nodeid.removeprefix("tests/"))[:150] + "-%s.log" % report.when)
        outputs = ["%s on %s, %.0f s\n%s" % play for play in plays.finished]
        path.write_text("\n\n".join([report.longreprtext, *("%s\n%s" % section for section in report.sections), *outputs]), encoding="utf-8")
        report.user_properties.append(("log", str(path.relative_to(ROOT))))
    plays.finished.clear()
    return report


def _reports(reporter):
    return [report for reports in reporter.stats.values() for report in reports if isinstance(report, pytest.TestReport)]


def _seconds(value):
    return "%d:%02d" % divmod(round(value), 60)


def times(reports, total):
    """The table of where the time went, as lines of Markdown.

    :param reports: list of pytest.TestReport.
    :param total: float, seconds of the whole run.
    """
    modules, phases, played, single = collections.Counter(), collections.defaultdict(collections.Counter), collections.Counter(), []
    count = collections.Counter()
    for report in reports:
        module = report.nodeid.split("::")[0]
        module = "tests/unit" if module.startswith("tests/unit/") else module
        modules[module] += report.duration
        phases[module][report.when] += report.duration
        count[module] += report.when == "call"
        single.append((report.duration, report.when, report.nodeid))
        for when, playbook, host, seconds in (value for name, value in report.user_properties if name == "play"):
            if when == report.when:
                phases[module]["plays"] += seconds
                played[playbook, host] += seconds
    lines = ["| module | tests | total | set-up | call | teardown | of it in plays |", "|---|---|---|---|---|---|---|"]
    for module, seconds in modules.most_common():
        lines.append("| `%s` | %d | %s | %s |" % (module, count[module], _seconds(seconds), " | ".join(
            _seconds(phases[module][name]) for name in ("setup", "call", "teardown", "plays"))))
    lines.append("| all, on their workers | %d | %s | | | | %s |" % (
        sum(count.values()), _seconds(sum(modules.values())), _seconds(sum(played.values()))))
    lines += ["", "The whole run took %s." % _seconds(total), "", "| phase of a test | |", "|---|---|"]
    lines += ["| %s of `%s` | %s |" % (when, nodeid, _seconds(seconds)) for seconds, when, nodeid in sorted(single, reverse=True)[:40]]
    lines += ["", "| playbook | host | |", "|---|---|---|"]
    lines += ["| `%s` | %s | %s |" % (playbook, host, _seconds(seconds)) for (playbook, host), seconds in played.most_common(25)]
    return lines


def _write_times(path, words, lines):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([
        "# Where the tests' time goes", "",
        "<!-- provenance: %s -->" % json.dumps(provenance.made("tests/results/times.md", command="./bunker test " + words)), "",
        "Made by `./bunker test %s` on %s, commit %s, %d cores (%s). Minutes and seconds." % (
            words, datetime.date.today().isoformat(), commit, os.cpu_count(), platform.machine()),
        "What a test host does counts for the test that waits for it.", "", *lines, ""]), encoding="utf-8")


def _record(path, reports):
    path.parent.mkdir(parents=True, exist_ok=True)
    tests = json.loads(path.read_text(encoding="utf-8"))["tests"] if path.exists() else {}  # a part of the tests leaves what is known of the others
    tests.update((report.nodeid, {"outcome": report.outcome, "seconds": round(report.duration),
                                  "provenance": provenance.made("tests/results/full.json", report.nodeid)}) for report in reports)
    path.write_text(json.dumps({"tests": tests}, indent=1) + "\n", encoding="utf-8")


def _code():
    """The hash of the code, or "" where somebody is just writing at it and a file cannot be read."""
    try:
        return provenance.code_sha256(MEASURED)
    except (OSError, SyntaxError, ValueError):
        return ""


def pytest_terminal_summary(terminalreporter, config):
    reports = _reports(terminalreporter)
    lines = times(reports, time.time() - BEGUN)
    changed = began_with and began_with != _code()
    if changed:  # which of the two was run, nobody could say
        terminalreporter.write_line("the code changed while the tests ran, so nothing of this run is recorded. Remedy: run them on a checkout of their own",
                                    red=True)
    if config.getoption("--times") and not changed:
        _write_times(ROOT / config.getoption("--times"), " ".join(map(str, config.invocation_params.args)), lines)
    if config.getoption("--record") and not changed:
        _record(ROOT / config.getoption("--record"), [
            report for outcome in ("passed", "failed", "error") for report in terminalreporter.stats.get(outcome, []) if "full" in report.keywords])
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if isinstance(report, pytest.TestReport)]
    terminalreporter.section("skipped: %d" % len(skipped))
    for report in skipped:
        terminalreporter.line("%s: %s" % (report.nodeid, report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr))
    failed = [report for outcome in ("failed", "error") for report in terminalreporter.stats.get(outcome, [])]
    if failed:
        terminalreporter.section("each failure, its log and how to run it alone")
    for report in failed:
        log = dict(value for value in getattr(report, "user_properties", ()) if value[0] == "log").get("log", "none")
        terminalreporter.line("%s\n    log: %s\n    alone: ./bunker test '%s'" % (report.nodeid, log, report.nodeid))

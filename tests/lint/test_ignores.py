"""What tells a linter to look away says why: on its own line, or in a comment right above or below it."""
import re
import subprocess

import pytest
from support import ROOT

MARK = re.compile(
    r"#\s*(?:noqa\b(?::\s*(?P<rules>[\w-]+(?:\[[\w-]+\])?))?"
    r"|pylint:\s*disable=[\w, -]+|type:\s*ignore\S*|yamllint\s+disable\S*|shellcheck\s+disable=[\w,]+)")
# Imports that stand behind a module's documentation, where ansible-test wants them, or behind what makes them importable: the lines above are the reason.
SELF_EVIDENT = {"E402"}
# Whose records are of their very text (tests/records.toml), so that a word in them would have measurements made anew.
ELSEWHERE = {
    "plugins/module_utils/cuda_readiness/host.py": "it runs without Ansible, so there is no module whose functions it could call",
    "plugins/module_utils/throughput/reading.py": "the bench, a program by itself, reads by it as the modules do",
}
COMMENT = re.compile(r"^\s*#+\s*(?P<words>.*)$")


def marked(text):
    """(number of the line, whether a reason is given) of each mark in a text; the first line has number 1."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        found = MARK.search(line)
        if not found or (found["rules"] or "").strip() in SELF_EVIDENT:
            continue
        beside = re.search(r"#\s*\w.*", line[:found.start()]) or re.search(r"\w{2}.*\w{2}", line[found.end():])
        around = [COMMENT.match(lines[place]) for place in (number - 2, number) if 0 <= place < len(lines)]
        yield number, bool(beside or any(one and not MARK.search(one.group(0)) and len(one["words"].split()) > 2 for one in around))


def files():
    names = subprocess.run(["git", "ls-files", "-z", "*.yml", "*.yaml", "*.py", "bunker", "roles/**/files/*", ".ansible-lint"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout
    return [name for name in names.rstrip("\0").split("\0") if (ROOT / name).is_file() and name != "tests/lint/test_ignores.py"]


def test_each_says_why():
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in files()}
    found = [(name, number, why) for name, text in texts.items() for number, why in marked(text)]
    assert len(found) > 30
    assert ["%s:%d" % (name, number) for name, number, why in found if not why and name not in ELSEWHERE] == []
    assert set(ELSEWHERE) == {name for name, _number, why in found if not why}


def test_no_rule_is_switched_off_for_all():
    assert not re.search(r"(?m)^(skip_list|warn_list|mock_)", (ROOT / ".ansible-lint").read_text(encoding="utf-8"))
    assert not list(ROOT.glob("tests/sanity/ignore*")) and not (ROOT / ".ansible-lint-ignore").exists()


@pytest.mark.parametrize(("text", "why"), [
    ("a: 1 # noqa: var-naming[no-role-prefix]", False), ("a: 1 # it is ours # noqa: var-naming[no-role-prefix]", True),
    ("# Read by the whole collection.\na: 1 # noqa: yaml[x]", True), ("a: 1 # noqa: yaml[x]\n# At this place, before the seal stops.", True),
    ("# noqa: yaml[x]\na: 1 # noqa: yaml[x]", False), ("x = 1  # pylint: disable=bad", False), ("x = 1  # pylint: disable=bad  # closed in close()", True),
    ("x = 1  # noqa: BLE001 - it is starting", True), ("# shellcheck disable=SC2086 # two words", True), ("# shellcheck disable=SC2086", False)])
def test_a_reason_is_told_from_none(text, why):
    assert [reason for _number, reason in marked(text)][-1:] == [why]


def test_an_import_behind_what_it_needs_is_no_ignore():
    assert list(marked("import a  # noqa: E402")) == []

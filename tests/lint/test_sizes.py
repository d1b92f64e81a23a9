"""Short files, short functions, short expressions: the limits, and the places that are over them today (tests/sizes.toml).

A new place fails here, and so does one that the list names and that is no longer over its limit: the list only gets shorter.
"""
import ast
import pathlib
import re
import subprocess
import tomllib

import pytest
from support import ROOT

LIMITS = {"lines of logic": 400, "lines of a function": 60, "lines of a task file": 100, "task files of a role": 12, "characters of an expression": 160}
DOCUMENTS = ("DOCUMENTATION", "EXAMPLES", "RETURN")
EXPRESSION = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
TASKS = re.compile(r"(roles/[a-z_]+|playbooks)/tasks/.*\.yml$")


def tracked(*patterns):
    """Paths of the tree, relative to its root."""
    said = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [pathlib.PurePosixPath(name) for name in said.split("\0") if name and (ROOT / name).exists()]


def documentation(tree):
    """Numbers of the lines that are docstrings, or a module's documentation."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            found |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in DOCUMENTS:
            found |= set(range(node.lineno, node.end_lineno + 1))
    return found


def of_python(path, text):
    """(what, where, how much) of a Python file."""
    tree = ast.parse(text)
    said = documentation(tree)
    logic = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() and not line.strip().startswith("#") and number not in said]
    yield "lines of logic", str(path), len(logic)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield "lines of a function", "%s %s" % (path, node.name), len(set(range(node.lineno, node.end_lineno + 1)) - said)


def of_role(path, text):
    """(what, where, how much) of a file of a role or a playbook. An expression's place is the key or the task that it stands in."""
    if TASKS.match(str(path)):
        yield "lines of a task file", str(path), len(text.splitlines())
    for number, match in enumerate(EXPRESSION.finditer(text), 1):
        line = text.count("\n", 0, match.start())
        keys = re.findall(r"^ *(?:- )?([A-Za-z_.][\w.]*): ?", "\n".join(text.splitlines()[:line + 1]), re.MULTILINE)
        yield "characters of an expression", "%s %s" % (path, keys[-1] if keys else number), len(re.sub(r"\s+", " ", match.group(0)))


def measured():
    """{what: {where: how much}}; of a place that is named twice the larger."""
    found = {what: {} for what in LIMITS}
    for path in tracked("*.py"):
        for what, where, size in of_python(path, (ROOT / path).read_text(encoding="utf-8")):
            found[what][where] = max(size, found[what].get(where, 0))
    for path in tracked("roles/*.yml", "roles/*.j2", "playbooks/*.yml", "playbooks/*.j2"):
        for what, where, size in of_role(path, (ROOT / path).read_text(encoding="utf-8")):
            found[what][where] = max(size, found[what].get(where, 0))
        if TASKS.match(str(path)):
            role = str(path.parent.parent)
            found["task files of a role"][role] = found["task files of a role"].get(role, 0) + 1
    return found


@pytest.fixture(scope="module")
def sizes():
    return measured()


@pytest.mark.parametrize("what", LIMITS)
def test_nothing_is_larger_than_its_limit_but_what_is_listed(sizes, what):
    listed = set(tomllib.loads((ROOT / "tests" / "sizes.toml").read_text(encoding="utf-8"))[what])
    assert sizes[what], "nothing was measured"
    over = {where: size for where, size in sizes[what].items() if size > LIMITS[what]}
    assert {where: over[where] for where in set(over) - listed} == {}, "the limit is %d" % LIMITS[what]
    assert listed - set(over) == set(), "no longer over the limit: take it out of tests/sizes.toml"


def test_a_file_is_measured_without_its_documentation():
    text = '"""What it is.\n\nMore."""\n# why\nDOCUMENTATION = """\na\n"""\n\n\ndef work():\n    """Does it."""\n    return 1\n'
    assert dict(((what, where), size) for what, where, size in of_python(pathlib.PurePosixPath("a.py"), text)) == {
        ("lines of logic", "a.py"): 2, ("lines of a function", "a.py work"): 2}


def test_an_expression_is_measured_without_its_line_breaks():
    text = "key: >-\n  {{ 'abc'\n     | upper }}\n"
    assert list(of_role(pathlib.PurePosixPath("roles/x/tasks/main.yml"), text)) == [
        ("lines of a task file", "roles/x/tasks/main.yml", 3), ("characters of an expression", "roles/x/tasks/main.yml key", 19)]

"""No test of this repository is one that cannot fail."""
import ast

import pytest
from support import ROOT, vacuous

MODULES = sorted((ROOT / "tests").rglob("test_*.py"))
SHARED = set().union(*(vacuous.helpers_of(ast.parse(path.read_text(encoding="utf-8")), direct=True)
                       for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")))


def test_the_tests_are_found():
    assert len(MODULES) > 80 and "assert_ok" in SHARED


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_each_test_can_fail(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert vacuous.vacuous(tree, vacuous.helpers_of(tree) | SHARED) == []


@pytest.mark.parametrize("text", [
    "def test_a():\n    print(1)\n",
    "def test_a():\n    assert True\n",
    "def test_a(x):\n    assert x or True\n",
    "def test_a(x):\n    assert (x == 1, 'a pair')\n",
    "def test_a(x):\n    assert x == x\n",
    "def test_a(x):\n    if x:\n        assert x == 1\n",
    "def test_a(x):\n    for y in x:\n        assert y == 1\n",
    "def test_a(x):\n    for y in [z for z in (1, 2) if z > x]:\n        assert y == 1\n",
    "def test_a(x):\n    try:\n        x()\n    except ValueError as error:\n        assert str(error)\n",
    "def help():\n    return 1\ndef test_a():\n    help()\n",
    "def help(x):\n    if x:\n        assert x == 1\ndef test_a(x):\n    help(x)\n",
    "def test_a(x):\n    assert all(y == 1 for y in x)\n",
    "def test_a(x):\n    assert all([y == 1 for y in (1, 2) if y == x])\n",
    "def test_a(x):\n    assert not any(y == 1 for y in x)\n",
    "def test_a(x):\n    assert not any(x) and all(x)\n",
    "def test_a(x):\n    assert x == 1 or not any(x)\n",
    "def test_a(x):\n    if x == 2:\n        return\n    assert x == 1\n",
    "def test_a(x):\n    for y in x:\n        return\n    assert x == 1\n",
    "def test_a(x):\n    with x:\n        return\n    assert x == 1\n",
    "def test_a(x):\n    while x:\n        return\n    assert x == 1\n",
    "def test_a(x):\n    try:\n        x()\n    except ValueError:\n        return\n    assert x == 1\n",
    "def test_a(x):\n    for y in (1, 2):\n        if y == x:\n            continue\n        assert y == 3\n",
])
def test_a_test_that_cannot_fail_is_found(text):
    tree = ast.parse(text)
    assert len(vacuous.vacuous(tree, vacuous.helpers_of(tree))) == 1


@pytest.mark.parametrize("text", [
    "def test_a(x):\n    assert x == 1\n",
    "def test_a(x):\n    if x:\n        assert x == 1\n    else:\n        assert not x\n",
    "def test_a(x):\n    for y in (1, 2):\n        assert y == x\n",
    "def test_a(x):\n    found = [y + 1 for y in range(3)]\n    for y in found:\n        assert y == x\n",
    "def test_a(x):\n    with pytest.raises(ValueError):\n        x()\n",
    "def test_a(x):\n    try:\n        x()\n    except ValueError:\n        pytest.fail('no')\n    else:\n        assert x\n",
    "def help(x):\n    assert x\ndef test_a(x):\n    help(x)\n",
    "def test_a(x):\n    for y in x:\n        print(y)\n    assert len(x) == 3\n",
    "def test_a(x):\n    assert all(y == x for y in (1, 2))\n",
    "def test_a(x):\n    assert any(y == 1 for y in x)\n",
    "def test_a(x):\n    if x:\n        def f():\n            return 1\n    assert x == 1\n",
    "def test_a(x):\n    assert all(y == 1 for y in x) and len(x) == 3\n",
    "def test_a(x):\n    if x == 2:\n        assert not x.a\n        return\n    assert x == 1\n",
    "def test_a(x):\n    for y in x:\n        if y:\n            continue\n        print(y)\n    assert x == 1\n",
])
def test_a_test_that_can_fail_passes(text):
    tree = ast.parse(text)
    assert vacuous.vacuous(tree, vacuous.helpers_of(tree)) == []

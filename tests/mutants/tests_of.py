"""Which unit tests a module of the collection has: those that import or name it, then those that reach it through others."""
import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support import provenance  # noqa: E402


@functools.lru_cache(maxsize=None)
def _imports(path, root):
    return frozenset(provenance.imported_by(path, root))


def _named(path):
    """Plugins that a test calls by their full name: set of their stems."""
    return set(re.findall(r"protocol_omni\.bunker\.(\w+)", path.read_text(encoding="utf-8")))


def _started(path, root):
    """Modules and packages that a test runs or imports by a name in a text: set of their files."""
    found = set()
    for name in re.findall(r"[\"']ansible_collections\.protocol_omni\.bunker\.([\w.]+)", path.read_text(encoding="utf-8")):
        place = root.joinpath(*name.strip(".").split("."))
        found.update(place.glob("*.py") if place.is_dir() else [place.with_name(place.name + ".py")])
    return {one for one in found if one.is_file()}


def distances(root):
    """How far each unit test is from each module.

    :param root: pathlib.Path, a checkout.
    :returns: dict of a test module to a dict of the files that it reaches to their distance, 1 for what it imports or names itself.
    """
    plugins = {}
    for path in sorted((root / "plugins").rglob("*.py")):
        plugins.setdefault(path.stem, []).append(path)
    found = {}
    for test in sorted((root / "tests" / "unit").rglob("test_*.py")):
        called = {path for name in _named(test) for path in plugins.get(name, []) if path.parent.parent.name == "plugins"}
        reached, step, distance = {}, called | _started(test, root) | _imports(test, root), 1
        while step:
            reached.update({path: distance for path in step})
            step = {further for path in step for further in _imports(path, root)} - set(reached)
            distance += 1
        found[test] = reached
    return found


def rounds(module, known):
    """The tests of a module, nearest first: what survives one round goes to the next.

    :param module: pathlib.Path.
    :param known: dict, see :func:`distances`.
    :returns: list of lists of pathlib.Path: those that import or name it, then the others that reach it; empty where no unit test does.
    """
    near = [test for test, reached in known.items() if reached.get(module) == 1]
    far = sorted((reached[module], str(test), test) for test, reached in known.items() if reached.get(module, 1) > 1)
    return [one for one in (near, [test for _distance, _name, test in far]) if one]

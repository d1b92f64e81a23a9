"""The tool that draws mutants: what it changes, which tests it runs, and what it calls killed."""
import argparse
import importlib.util
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "mutants"
SOURCE = '''"""A text."""
DOCUMENTATION = "1 < 2"


def low(values, limit=3):
    for value in values:
        if value < limit and not value == "ä":
            continue
        return value + 1
    raise ValueError("%d is %s" % (limit, f"{limit + 1}"))


if __name__ == "__main__":
    print(low([1]))
'''


@pytest.fixture(scope="module")
def tool():
    """The modules of tests/mutants, by name: they are programs, not on the tests' path."""
    before, found = list(sys.path), {}
    sys.path.insert(0, str(FOLDER))
    try:
        for name in ("mutations", "tests_of", "texts", "run"):
            spec = importlib.util.spec_from_file_location("mutants_" + name, FOLDER / (name + ".py"))
            found[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found[name])
    finally:
        sys.path[:] = before
    return found


def test_each_change_is_one_place_of_the_source(tool):
    found = [(one.line, one.kind, one.before(SOURCE), one.after()) for one in tool["mutations"].mutations(SOURCE)]
    assert found == [
        (5, "constant", "3", "4"),
        (7, "and, or", 'value < limit and not value == "ä"', "(value < limit or not value == 'ä')"),
        (7, "comparison", "value < limit", "(value <= limit)"),
        (7, "not", 'not value == "ä"', "(value == 'ä')"),
        (7, "comparison", 'value == "ä"', "(value != 'ä')"),
        (8, "loop", "continue", "break"),
        (9, "return", "return value + 1", "return None"),
        (9, "arithmetic", "value + 1", "(value - 1)"),
        (9, "constant", "1", "2"),
        (10, "statement", 'raise ValueError("%d is %s" % (limit, f"{limit + 1}"))', "pass"),
    ]


def test_a_mutant_is_the_file_with_that_place_changed(tool):
    changed = {one.after(): one.of(SOURCE) for one in tool["mutations"].mutations(SOURCE)}
    assert changed["(value <= limit)"] == SOURCE.replace("value < limit and", "(value <= limit) and")
    assert changed["(value != 'ä')"] == SOURCE.replace('value == "ä"', "(value != 'ä')")


def test_a_draw_is_the_same_for_a_seed_and_another_for_another(tool):
    everything = list(range(1000))
    draws = [tool["run"].drawn(everything, 20, seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2] and len(set(draws[0])) == 20
    assert sorted(tool["run"].drawn(everything, 5000, 1)) == everything


@pytest.fixture
def tree(tmp_path):
    """A collection: a module that a test imports, one that this one imports, a filter and a program that a test names, and one that no test reaches."""
    for path, text in {
            "plugins/module_utils/near.py": "from ansible_collections.protocol_omni.bunker.plugins.module_utils import far\n",
            "plugins/module_utils/far.py": "ONE = 1\n", "plugins/module_utils/alone.py": "ONE = 1\n", "plugins/filter/named.py": "ONE = 1\n",
            "plugins/module_utils/program/__main__.py": "ONE = 1\n",
            "tests/unit/test_run.py": "PROGRAM = 'ansible_collections.protocol_omni.bunker.plugins.module_utils.program'\n",
            "tests/unit/test_near.py": "from ansible_collections.protocol_omni.bunker.plugins.module_utils import near\n",
            "tests/unit/test_other.py": "EXPRESSION = '{{ x | protocol_omni.bunker.named }}'\n"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("module, tests", [
    ("plugins/module_utils/near.py", [["tests/unit/test_near.py"]]), ("plugins/module_utils/far.py", [["tests/unit/test_near.py"]]),
    ("plugins/filter/named.py", [["tests/unit/test_other.py"]]), ("plugins/module_utils/alone.py", []),
    ("plugins/module_utils/program/__main__.py", [["tests/unit/test_run.py"]])])
def test_the_tests_of_a_module_import_it_name_it_or_reach_it(tool, tree, module, tests):
    known = tool["tests_of"].distances(tree)
    assert [[str(one.relative_to(tree)) for one in part] for part in tool["tests_of"].rounds(tree / module, known)] == tests


def judged(tool, tree, monkeypatch, answers):
    """What comes of the first mutant of far.py where the rounds of its tests end so."""
    asked = iter(answers)
    monkeypatch.setattr(tool["run"], "outcome", lambda _tree, _tests, _seconds: next(asked))
    path = tree / "plugins/module_utils/far.py"
    (mutation,) = tool["mutations"].mutations(path.read_text(encoding="utf-8"))
    result = tool["run"].judge(tree, "plugins/module_utils/far.py", mutation, [["a"], ["b"]][:len(answers)], 10)
    assert path.read_text(encoding="utf-8") == "ONE = 1\n"
    return result["outcome"], result["by"]


@pytest.mark.parametrize("answers, expected", [
    ([("failed", "a::b")], ("killed", "a::b")), ([("passed", ""), ("failed", "c::d")], ("killed", "c::d")),
    ([("passed", ""), ("time", "")], ("out of time", "")), ([("passed", ""), ("passed", "")], ("survived", "")), ([], ("no test", ""))])
def test_a_mutant_is_killed_by_the_first_test_that_fails(tool, tree, monkeypatch, answers, expected):
    assert judged(tool, tree, monkeypatch, answers) == expected


@pytest.mark.parametrize("text, came", [
    ("def test_a():\n    assert 0\n", "failed"), ("import time\ndef test_a():\n    time.sleep(8)\n", "passed"),
    ("def test_a():\n    while True:\n        pass\n", "time")])
def test_a_mutant_has_seconds_of_the_processor_and_not_of_the_clock(tool, tmp_path, text, came, monkeypatch):
    monkeypatch.setattr(tool["run"], "CLOCK", 1000)
    (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    assert tool["run"].outcome(tmp_path, ["test_it.py"], 6)[0] == came  # of which the start of pytest is two on a busy machine


def test_what_a_test_kills_that_fails_without_a_mutant_is_unproven(tool, monkeypatch, tmp_path):
    results = [{"outcome": "killed", "by": "t.py::good"}, {"outcome": "killed", "by": "t.py::bad[x]"}, {"outcome": "survived", "by": ""}]
    monkeypatch.setattr(tool["run"], "outcome", lambda _tree, tests, _seconds: ("failed", "t.py::bad[x]") if "t.py::bad" in tests else ("passed", ""))
    tool["run"].unproven(tmp_path, results, 1)
    assert [one["outcome"] for one in results] == ["killed", "unproven", "survived"]


@pytest.mark.parametrize("change, goes_on", [({}, True), ({"seed": 2}, False), ({"mutants": 9}, False), ({"code": "b"}, False)], ids=str)
def test_a_run_goes_on_where_one_of_the_same_draw_and_code_ended(tool, tmp_path, change, goes_on):
    path = tmp_path / "sample.json"
    given = argparse.Namespace(seed=1, mutants=5, result=path, only=[])
    (one,) = [{"place": "a:1", "kind": "not", "before": "b", "after": "c", "outcome": "killed", "by": "d::e", "seconds": 1}]
    tool["run"].write(given, {"code_sha256": "a"}, 100, [one])
    tool["run"].write(argparse.Namespace(**{**vars(given), "seed": 7}), {"code_sha256": "a"}, 100, [])  # of another draw: it replaces nothing
    anew = argparse.Namespace(**{**vars(given), **{name: value for name, value in change.items() if name != "code"}})
    assert tool["run"].earlier(anew, {"code_sha256": change.get("code", "a")}) == ([one] if goes_on else [])


def test_only_what_a_test_kills_is_counted_as_killed(tool):
    outcomes = ["killed", "killed", "survived", "out of time", "no test", "unproven"]
    told = tool["run"].summary([{"place": "a:%d" % number, "kind": "not", "before": "b", "after": "c", "outcome": outcome}
                                for number, outcome in enumerate(outcomes)])
    assert told["counted"] == {"killed": 2, "survived": 1, "out of time": 1, "no test": 1, "unproven": 1}
    assert [one["place"] for one in told["survivors"]] == ["a:2", "a:3", "a:4", "a:5"]


@pytest.mark.parametrize("suffix, text, changes", [
    (".lua", '-- 1 and 2\nif not a and b == 3 then return "4 and 5" end -- 6', [(2, "3", "4"), (2, "and", "or"), (2, "not", ""), (2, "==", "~=")]),
    (".j2", "# 1\n{% if a %}\nproxy_buffering off;\n\nPrivateTmp=yes\n{{ a and not b }} and not c\n", [
        (2, "a", "not (a)"), (3, "off", "on"), (3, "proxy_buffering off;", ""), (5, "yes", "no"), (5, "PrivateTmp=yes", ""),
        (6, "and", "or"), (6, "not", ""), (6, "{{ a and not b }} and not c", "")]),
    (".yml", '---\n- name: Wait 3\n  when: a and b\n  mode: "0640"\n  become: true\n', [
        (3, "and", "or"), (3, "a and b", "not (a and b)"), (4, "0640", "0600"), (5, "true", "false")]),
])
def test_texts_are_changed_where_they_decide_something(tool, suffix, text, changes):
    found = tool["texts"].mutations(text, suffix)
    assert sorted((one.line, one.before(text), one.after()) for one in found) == sorted(changes)
    for one in found:
        lines, before = one.of(text).split("\n"), text.split("\n")
        assert [number for number, (new, old) in enumerate(zip(lines, before), 1) if new != old] == [one.line] and len(lines) == len(before)


def test_the_tests_of_a_text_name_it_or_its_role_and_lua_has_those_that_read_it(tool, tmp_path):
    for path, text in {"tests/unit/roles/test_near.py": "read('door', 'tasks/open.yml')", "tests/unit/roles/test_far.py": "read('door')",
                       "tests/unit/roles/test_helped.py": "import helper", "tests/unit/roles/helper.py": "'door' / 'tasks' / 'open.yml'",
                       "tests/unit/roles/test_other.py": "read('wall')", "roles/door/tasks/open.yml": "a: 1", "roles/door/files/open.lua": "a = 1"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    found = {path.name: [[one.name for one in part] for part in tool["texts"].rounds(path, tmp_path)] for path in tool["texts"].files(tmp_path)}
    assert found == {"open.yml": [["test_helped.py", "test_near.py"], ["test_far.py"]], "open.lua": []}

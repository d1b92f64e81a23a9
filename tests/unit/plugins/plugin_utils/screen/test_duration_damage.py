"""The remaining time of a screen may be wrong or missing; a run never fails by it, whatever lies in the cache and whatever the inventory says."""
import itertools
import json
import os
import threading

import pytest

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import duration_file, durations, run

KIND = "site.yml on a"
ROLES = ("preflight", "host_driver", "disk_layout", "container_engine", "golden_image", "networks")


def of_times(times):
    return json.dumps({KIND: {"whole": True, "phases": {"image": {"changing": times}}}})


@pytest.mark.parametrize("text", [
    of_times([10 ** 400]), of_times([1e308, 1e308]), of_times([10 ** 9]), of_times([float("inf")]), of_times([-1]), of_times([True]), of_times("12"),
    "[" * 100000, "9" * 5000, "\0", '{"a": 1}', '{"a": {"phases": {"image": [1]}}}', "\ufeff{}"],
    ids=["no float", "sum none", "decades", "infinite", "negative", "true", "text", "deep", "long", "nul", "no record", "no lists", "mark"])
def test_what_is_no_time_is_refused_with_the_name_of_the_file(tmp_path, text):
    (tmp_path / "durations.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="durations.json: "):
        duration_file.read(str(tmp_path / "durations.json"))


def _pipe(path):
    os.mkfifo(path)


def _huge(path):
    with open(path, "wb") as stream:
        stream.truncate(5 * 10 ** 9)


@pytest.mark.parametrize("make", [_pipe, os.mkdir, _huge, lambda path: os.symlink(path, path), lambda path: path.write_bytes(b"\xff\xfe{}")],
                         ids=["pipe", "folder", "huge", "loop", "no text"])
def test_what_is_no_file_of_ours_is_refused_and_waited_for_never(tmp_path, make):
    path, said = tmp_path / "durations.json", []
    make(path)

    def look():
        try:
            duration_file.read(str(path))
        except ValueError as error:
            said.append(str(error))
    asking = threading.Thread(target=look, daemon=True)
    asking.start()
    asking.join(5)
    assert said and said[0].startswith("%s: " % path)


@pytest.mark.parametrize("make", [lambda cache: cache.write_text("a file", encoding="utf-8"), lambda cache: (cache / "durations.json").mkdir(parents=True)],
                         ids=["a file in the way", "a folder in its place"])
def test_what_cannot_be_written_is_an_oserror_and_leaves_nothing_behind(tmp_path, make):
    make(tmp_path / "cache")
    with pytest.raises(OSError):
        duration_file.write(str(tmp_path / "cache" / "durations.json"), {})
    assert not list(tmp_path.glob("cache/.durations-*"))


def test_a_name_that_no_folder_has_is_an_oserror_too():
    with pytest.raises(OSError):
        duration_file.write("/nowhere\0/durations.json", {})


def test_two_runs_that_end_at_once_leave_a_whole_file(tmp_path):
    path = str(tmp_path / "durations.json")

    def write(number):
        for _round in range(20):
            duration_file.write(path, {"%s%d" % (KIND, number): {"whole": True, "phases": {"image": {"changing": [number] * 5}}}})
            assert len(duration_file.read(path)) == 1
    runs = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert len(duration_file.read(path)) == 1 and os.listdir(tmp_path) == ["durations.json"]


@pytest.mark.parametrize("variables", [
    {"bunker_services": [{"model": ["a"]}, {"model": {"name": "a"}}, {"model": None}, "oracle"], "model_store_extra_models": [{"name": ["a"]}, {"name": {}}]},
    {"bunker_services": [{"model": "a"}], "model_store_extra_models": [{"name": "a", "files": [{"size": 10 ** 400}, {"size": -10 ** 12}, {"size": True}, 7]}]},
    {"bunker_services": "{{ them }}", "model_store_extra_models": {"a": 1}},
    {"bunker_services": [{"model": "a"}], "model_store_extra_models": [{"name": "a"}]}])
def test_an_inventory_that_will_be_refused_gives_first_values(variables):
    assert durations.first_values(variables)["models"] == durations.FIRST["models"]


@pytest.mark.parametrize("word", ["{" * 100000, '{"a":' * 100000 + "1" + "}" * 100000, "{}", "[1]", "", "@", {}, 7])
def test_any_extra_variable_makes_a_kind(word):
    assert durations.kind("site.yml", ["a"], {"extra_vars": [word]}).startswith("site.yml on a -e")


@pytest.mark.parametrize(("clock", "remembered"), [([0, 100, -5000, 20, 30, 40], 4), ([0, -1, -2, -3, -4, -5], 0), ([0, 10 ** 12, 0, 0, 0, 0], 4)],
                         ids=["back", "backwards", "far"])
def test_a_clock_that_jumps_is_told_and_remembered_as_times_that_can_be(tmp_path, clock, remembered):
    state = run.Run(KIND, 0)
    state.expected = durations.expected({}, "site.yml", KIND, {})
    state.play("From a bare host to answering services", ["a"], 0)
    for role, now in zip(ROLES, itertools.accumulate(clock)):
        state.task("t", role, "main", now)
        state.result("a", changed=True)
        assert isinstance(durations.told(state, now - 10 ** 6), str)
    path = str(tmp_path / "durations.json")
    duration_file.write(path, durations.remember({}, KIND, state))
    phases = duration_file.read(path).get(KIND, {"phases": {}})["phases"]  # of a clock that only ran backwards there is nothing to remember
    assert isinstance(durations.told(state, 0), str) and set(phases) <= set(durations.FIRST) and len(phases) == remembered

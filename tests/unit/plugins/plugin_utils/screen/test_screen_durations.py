"""How long a run will still take: by earlier runs of its kind, else by first values. Every expected figure is added up by hand beside it."""
import json

import pytest

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import duration_file, durations, run

SITE = "From a bare host to answering services"
ROLES = ("preflight", "host_driver", "disk_layout", "container_engine", "golden_image", "networks", "model_store", "inference_service", "gateway", "vram_watch")
# seconds of a phase: (one that changes the host, one that finds it as it shall be)
PAIRS = {"preflight": (10, 5), "driver": (100, 2), "disks": (20, 2), "engine": (40, 4), "image": (3000, 8), "networks": (9, 3), "models": (200, 2),
         "services": (60, 30), "gateway": (12, 6), "watch": (15, 8), "claims": (50, 50)}


def begun(deployed=False, pairs=None):
    state = run.Run("site.yml on a", 0)
    state.expected = durations.Expected(pairs or PAIRS, deployed)
    state.play(SITE, ["a"], 0)
    return state


def come_to(state, role, now, changed=()):
    """The run has come to a role at a time; the roles of ``changed`` have changed the host."""
    for name in ROLES[:ROLES.index(role) + 1]:
        state.task("t", name, "main", now)
        state.result("a", changed=name in changed)
    return state


def test_before_the_first_step_all_phases_are_to_come():
    assert durations.remaining(begun(), 0) == (3516, False)  # 10+100+20+40+3000+9+200+60+12+15+50
    assert durations.remaining(begun(deployed=True), 0) == (120, False)  # 5+2+2+4+8+3+2+30+6+8+50


def test_what_a_phase_has_taken_is_taken_off():
    state = come_to(begun(), "golden_image", 100, changed=("container_engine",))
    assert durations.remaining(state, 700) == (3000 - 600 + 9 + 200 + 60 + 12 + 15 + 50, False)


def test_a_run_that_changes_something_is_expected_to_change_what_follows():
    state = come_to(begun(deployed=True), "disk_layout", 50, changed=("host_driver",))
    assert durations.remaining(state, 50) == (20 + 40 + 3000 + 9 + 200 + 60 + 12 + 15 + 50, False)


def test_a_host_whose_engine_needed_nothing_is_expected_to_need_nothing_more():
    state = come_to(begun(deployed=False), "golden_image", 50)
    assert durations.remaining(state, 52) == (8 - 2 + 3 + 2 + 30 + 6 + 8 + 50, False)


def test_a_phase_that_takes_longer_than_one_without_changes_is_one_with_changes():
    state = come_to(begun(deployed=True), "golden_image", 50)
    assert durations.remaining(state, 60) == (3000 - 10 + 3 + 2 + 30 + 6 + 8 + 50, False)


def test_a_phase_that_takes_longer_than_ever_has_no_end_that_is_known():
    state = come_to(begun(), "golden_image", 0, changed=("container_engine",))
    assert durations.remaining(state, 3001) == (9 + 200 + 60 + 12 + 15 + 50, True)


@pytest.mark.parametrize(("seconds", "words"), [
    (0, "less than a minute"), (59, "less than a minute"), (60, "about 1 min"), (89, "about 1 min"), (91, "about 2 min"), (2640, "about 44 min"),
    (5399, "about 90 min"), (7200, "about 2 h"), (7260, "about 2 h"), (9000, "about 2 h 30 min"), (10790, "about 3 h"), (90000, "about 25 h")])
def test_it_is_told_as_people_say_it(seconds, words):
    assert durations.words(seconds) == words


def test_the_screen_says_about_and_how_it_goes_on_after_a_phase_that_takes_too_long():
    state = come_to(begun(), "golden_image", 0, changed=("container_engine",))
    assert durations.told(state, 600) == "about 46 min remaining"  # 3000 - 600 + 346 = 2746 s
    assert durations.told(state, 3001) == "image takes longer than expected; about 6 min after it"  # 346 s
    last = run.Run("verify.yml", 0)
    last.play("Prove the claims", ["a"], 0)
    last.expected = durations.Expected({"claims": (50, 50)}, True)
    last.task("Observe", "preflight", "verify", 0)
    assert durations.told(last, 20) == "less than a minute remaining" and durations.told(last, 60) == "claims takes longer than expected"


def test_where_nobody_knows_nothing_is_said():
    state = run.Run("other.yml", 0)
    assert durations.told(state, 5) == "" and durations.of_phase(state, "image") == ""


# --- first values

def test_without_a_record_the_whole_of_site_is_told_by_first_values():
    first = durations.expected({}, "site.yml", durations.kind("site.yml", ["a"], {}), {})
    assert not first.deployed and set(first.pairs) == set(PAIRS)
    assert 40 * 60 <= first.pairs["image"][0] <= 45 * 60  # docs/measured.md: the build of the demo takes 43 minutes on two cores
    assert sum(same for _changing, same in first.pairs.values()) == pytest.approx(119, abs=20)  # and a second run 119 s


def test_more_cores_compile_sooner_and_an_image_without_cuda_sooner_still():
    whole = durations.expected({}, "site.yml", "k", {})
    assert whole.on(16).pairs["image"][0] == pytest.approx(whole.pairs["image"][0] / 8) and whole.on(2).pairs == whole.pairs
    assert whole.on(192).pairs["image"][0] >= 120  # what one core does alone does not go away
    assert durations.expected({}, "site.yml", "k", {"golden_image_cuda": False}).pairs["image"][0] < whole.pairs["image"][0] / 3
    learnt = durations.expected({"k": {"phases": {"image": {"changing": [700]}}}}, "site.yml", "k", {})
    assert learnt.on(16).pairs["image"][0] == 700  # a record is of this host


def test_large_models_take_the_time_of_their_bytes():
    files = [{"name": "a", "size": 300 * 10 ** 9}, {"name": "b", "size": 100 * 10 ** 9}, {"name": "c", "size": "{{ other }}"}]
    variables = {"model_store_extra_models": [{"name": "large", "files": files}, {"name": "unused", "files": files}],
                 "bunker_services": [{"name": "oracle", "model": "large"}]}
    assert durations.expected({}, "site.yml", "k", variables).pairs["models"][0] == pytest.approx(8000, abs=60)  # 400 GB at 50 MB/s
    for odd in ({"model_store_extra_models": "{{ x }}"}, {"bunker_services": None, "model_store_extra_models": [3, {"files": 4}]}):
        assert durations.expected({}, "site.yml", "k", odd).pairs["models"][0] < 60


def test_a_prediction_compiles_nothing():
    first = durations.expected({}, "site.yml", "k", {}, check=True)
    assert first.pairs["image"][0] == first.pairs["image"][1] < 60


def test_of_a_part_that_never_ran_nobody_knows():
    assert durations.expected({}, "site.yml", "k", {}, part=True) is None
    assert durations.expected({}, "other.yml", "k", {}) is None
    known = durations.expected({"k": {"phases": {"networks": {"same": [7]}}}}, "site.yml", "k", {}, part=True)
    assert durations.expected({"k": {"phases": {"networks": {}}}}, "site.yml", "k", {}, part=True).pairs["networks"] == (0, 0)
    assert known.pairs["networks"] == (7, 7) and known.pairs["image"] == (0, 0)


# --- records

def test_a_kind_is_the_play_its_hosts_and_what_was_asked_without_any_secret():
    assert durations.kind("site.yml", ["b", "a"], {}) == "site.yml on a, b"
    assert durations.kind("site.yml", ["a"], {"check": True, "tags": ["networks"], "skip_tags": ["verify"],
                                              "extra_vars": ["@tests/host/vars/quick.yml", "key=secret other=hidden", '{"token": "hush"}', {"k": "hush"}]}
                          ) == "site.yml on a --check --tags networks --skip-tags verify -e @tests/host/vars/quick.yml -e key other -e token -e k"
    assert "all" not in durations.kind("site.yml", ["a"], {"tags": ["all"], "check": False})


def finished(*changed, seconds=10, ends_at="claims", failures=0):
    """A run of which each role took so many seconds; the last step fails where failures are asked for."""
    state = run.Run("site.yml", 0)
    state.play(SITE, ["a"], 0)
    now = 0
    for name in ROLES:
        state.task("t", name, "main", now)
        state.result("a", changed=name in changed)
        now += seconds
    if ends_at == "claims":
        state.play("Prove the claims", ["a"], now)
        state.task("t", "", "", now)
    if failures:
        state.failed("a", ["no room"])
    state.finish(now + 5, {"a": {"failures": failures, "unreachable": 0, "rescued": 0, "changed": 0}})
    return state


def test_a_run_that_is_over_is_remembered_by_what_changed_and_the_next_is_expected_by_it():
    records = durations.remember({}, "k", finished("golden_image", seconds=700))
    records = durations.remember(records, "k", finished(seconds=9))
    next_one = durations.expected(records, "site.yml", "k", {})
    assert next_one.deployed and next_one.pairs["image"] == (700, 9) and next_one.pairs["claims"][1] == 5


def test_the_middle_of_the_last_five_counts():
    records = {}
    for seconds in (1000, 40, 10, 20, 30, 50):
        records = durations.remember(records, "k", finished(seconds=seconds))
    assert records["k"]["phases"]["engine"]["same"] == [40, 10, 20, 30, 50]
    assert durations.expected(records, "site.yml", "k", {}).pairs["engine"][1] == 30


def test_of_a_run_that_failed_the_phases_before_are_remembered_and_the_host_is_not_deployed():
    records = durations.remember({}, "k", finished("container_engine", ends_at="watch", failures=1))
    assert "watch" not in records["k"]["phases"] and records["k"]["phases"]["engine"] == {"changing": [10]}
    assert not durations.expected(records, "site.yml", "k", {}).deployed


def test_a_host_whose_claims_fail_was_deployed():
    records = durations.remember({}, "k", finished(failures=1))
    assert "claims" not in records["k"]["phases"] and durations.expected(records, "site.yml", "k", {}).deployed


def test_only_so_many_kinds_are_remembered_and_the_oldest_goes():
    records = {}
    for number in range(60):
        records = durations.remember(records, "kind %d" % number, finished())
    records = durations.remember(records, "kind 20", finished())
    assert len(records) == durations.KINDS and "kind 59" in records and "kind 0" not in records and list(records)[-1] == "kind 20"


def test_what_was_remembered_is_read_again(tmp_path):
    records = durations.remember({}, "k", finished())
    path = str(tmp_path / "cache" / "durations.json")
    assert duration_file.read(path) == {}
    duration_file.write(path, records)
    assert duration_file.read(path) == records and [file.name for file in (tmp_path / "cache").iterdir()] == ["durations.json"]


@pytest.mark.parametrize("text", ["{", "[]", "3", json.dumps({"k": 3}), json.dumps({"k": {"phases": []}}),
                                  json.dumps({"k": {"phases": {"image": {"same": ["x"]}}}}), json.dumps({"k": {"phases": {"image": {"same": [-1]}}}}),
                                  json.dumps({"k": {"phases": {"image": 1}}}),
                                  '{"k": {"phases": {"image": {"same": [NaN]}}}}',
                                  '{"k": {"phases": {"image": {"same": [true]}}}}', "\udcff"])
def test_a_file_that_is_none_of_ours_is_refused_with_its_name(tmp_path, text):
    (tmp_path / "durations.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"durations\.json"):
        duration_file.read(str(tmp_path / "durations.json"))


def test_the_cores_of_the_host_shorten_a_build_that_nobody_has_seen():
    state = begun()
    state.expected = durations.expected({}, "site.yml", "k", {})
    before = durations.remaining(state, 0)[0]
    state.task("Judge", "preflight", "main", 0)
    state.result("a", facts={"bunker_host": {"cpu": {"cores": 4}}})
    assert before - durations.remaining(state, 0)[0] == durations.FIRST["image"][0] / 2

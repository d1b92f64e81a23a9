"""Events become a state: which phase, what failed and why, how far a long task is."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import failure, progress, run, style, summary
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen.phases import phase_of

SITE = "From a bare host to answering services"


@pytest.mark.parametrize(("role", "entry", "now", "phase"), [
    ("preflight", "main", None, "preflight"), ("disk_layout", "preflight", "preflight", "preflight"), ("gateway", "preflight", "preflight", "preflight"),
    ("host_driver", "main", "preflight", "driver"), ("host_driver", "cuda_cache", "disks", "disks"), ("inference_service", "leave", "image", "networks"),
    ("networks", "main", "networks", "networks"), ("vram_watch", "hold", "models", "services"), ("inference_service", "main", "services", "services"),
    ("vram_watch", "release", "watch", "watch"), ("networks", "leave", "watch", "watch"), ("inference_service", "slower", "watch", "watch"),
    ("", "", "image", "image"), ("somebody_elses", "main", "image", "image")])
def test_a_task_belongs_to_a_phase_and_none_comes_twice(role, entry, now, phase):
    assert phase_of(SITE, role, entry, now) == phase


def test_the_claims_are_a_phase_by_their_play():
    assert phase_of("Prove the claims", "preflight", "verify", "watch") == "claims"


def test_of_the_claims_alone_no_other_phase_is_shown():
    state = run.Run("verify.yml", 0)
    state.play("Prove the claims", ["a"], 0)
    state.task("Observe", "preflight", "verify", 1)
    state.finish(2, {"a": {"failures": 0, "unreachable": 0, "rescued": 0, "changed": 0}})
    assert list(state.phases) == ["claims"] and state.phases["claims"].state == "done"
    assert not [line for line in summary.lines(state, style.Style(80, False)) if "not run" in line]


@pytest.mark.parametrize(("check", "said", "unsaid"), [(True, "Who would answer on a", "Who answers"), (False, "Who answers on a", "would")])
def test_of_what_is_only_predicted_nobody_says_that_it_answers(check, said, unsaid):
    state = run.Run("site.yml", 0, check=check)
    state.facts = {"a": {"bunker_service_results": {"executor": {"endpoint": "http://172.30.0.20:8002", "model": "m", "placement": "CPU only"}}}}
    state.finish(1, {"a": {"failures": 0, "unreachable": 0, "rescued": 0, "changed": 0}})
    found = "\n".join(summary.lines(state, style.Style(80, False)))
    assert said in found and unsaid not in found


def test_the_phase_that_failed_is_marked_and_not_the_one_that_came_after_it():
    """The watcher is let go whether a service was deployed or not, and that belongs to its own phase."""
    state = run.Run("site.yml", 0)
    state.play(SITE, ["a"], 0)
    state.task("Look", "preflight", "main", 1)
    state.task("Say what failed", "inference_service", "main", 1)
    state.failed("a", ["Service executor was not deployed."])
    state.task("Let the watcher go on", "vram_watch", "release", 2)
    state.finish(3, {"a": {"failures": 1, "unreachable": 0, "rescued": 0, "changed": 0}})
    assert (state.phases["services"].state, state.phases["watch"].state) == ("fails", "done")


def a_run(*failed, failures=1, unreachable=0):
    state = run.Run("site.yml", 100)
    state.play(SITE, ["a", "b"], 100)
    for number, (host, words) in enumerate(failed):
        state.task("step %d" % number, "host_driver", "main", 101 + number)
        state.failed(host, [words])
    state.finish(110, {"a": {"failures": failures, "unreachable": unreachable, "rescued": 0, "changed": 0},
                       "b": {"failures": 0, "unreachable": 0, "rescued": 1, "changed": 0}})
    return [(cause.host, cause.cause) for cause in state.causes()]


def test_a_failure_that_was_rescued_is_no_cause():
    assert a_run(("b", "rescued"), ("a", "apt failed"), ("a", "no room")) == [("a", ["no room"])]


def test_two_failures_of_a_host_are_told_in_order():
    assert a_run(("a", "first"), ("a", "then"), failures=2) == [("a", ["first"]), ("a", ["then"])]


def test_a_host_that_cannot_be_reached_is_a_cause():
    assert a_run(("a", "no route"), failures=0, unreachable=1) == [("a", ["no route"])]


def test_nothing_failed():
    assert a_run(("b", "rescued"), failures=0) == []


def test_seconds_of_phases_add_up_to_the_whole():
    state = run.Run("site.yml", 100)
    state.play(SITE, ["a"], 100)
    for now, role in ((102, "preflight"), (110, "host_driver"), (130, "golden_image")):
        state.task("t", role, "main", now)
    assert state.seconds_of("image", 190) == 60
    state.finish(200, {"a": {"failures": 0, "unreachable": 0, "rescued": 0, "changed": 0}})
    assert [state.phases[name].seconds for name in ("preflight", "driver", "disks", "image")] == [8, 20, 0, 70]
    assert [state.phases[name].state for name in ("preflight", "driver", "disks", "image")] == ["done", "done", "waiting", "done"]


def test_how_far_a_long_task_is_goes_to_the_step_and_the_rest_is_a_note():
    state = run.Run("site.yml", 0)
    state.task("Build", "golden_image", "main", 1)
    assert state.said("%s\n%s\n[WARNING]: old\n" % (progress.begun("h", "Build: all", "12:00:00", "/var/log/b.log"),
                                                    progress.going("h", "Build: all", 754.2, "12:00:00", "[ 45%] a: 3:10 since, b"))) == ["[WARNING]: old"]
    assert (state.step.host, state.step.log, state.step.line) == ("h", "/var/log/b.log", "[ 45%] a: 3:10 since, b")


def test_attempts_and_items_are_told_of_the_step_and_none_hides_a_log():
    state = run.Run("site.yml", 0)
    state.task("Wait", "inference_service", "main", 1)
    state.tried("h", 2, 30)
    assert (state.step.host, state.step.line) == ("h", "attempt 2 of 30; it is tried again")
    state.item("h", {"name": "a"})
    assert state.step.line == "done: {'name': 'a'}"
    state.said(progress.begun("h", "Build", "12:00:00", "/b.log"))
    state.item("h", "b")
    assert state.step.line == "done: {'name': 'a'}" and state.step.log == "/b.log"


def test_of_many_notes_the_last_are_kept():
    state = run.Run("site.yml", 0)
    state.said("\n".join("note %d" % number for number in range(5000)))
    assert len(state.notes) == run.NOTES and state.notes[-1] == "note 4999"


def test_a_changed_step_of_two_hosts_is_one():
    state = run.Run("site.yml", 0)
    state.task("t", "preflight", "main", 1)
    state.result("a", changed=True)
    state.result("b", changed=True)
    assert (state.phases["preflight"].steps, state.phases["preflight"].changed) == (1, 1)


@pytest.mark.parametrize(("result", "lines"), [
    ({"msg": "no room\nmake some", "failed": True}, ["no room", "make some"]),
    ({"msg": "non-zero return code", "rc": 3, "stderr": "a\nb", "stdout": "c"}, ["a", "b", "exit status 3"]),
    ({"msg": "The command exited with a non-zero return code.", "rc": 1, "stderr": "", "stdout": "said"}, ["said", "exit status 1"]),
    ({"msg": "non-zero return code", "rc": 1}, ["it said nothing", "exit status 1"]),
    ({"msg": "One or more items failed", "results": [{"failed": False, "item": "a"}, {"failed": True, "item": "b", "msg": "broken\nindeed"}]},
     ["b: broken", "indeed"]),
    ({"censored": "the output has been hidden"}, ["what it said is not shown: the task has no_log, as it may hold a secret"]),
    ({}, ["no reason was given"])])
def test_the_cause_is_what_a_person_reads_first(result, lines):
    assert failure.cause(result) == lines


def test_of_a_long_output_its_end_is_told():
    assert failure.cause({"rc": 2, "stderr": "\n".join(map(str, range(500)))}) == [str(number) for number in range(488, 500)] + ["exit status 2"]


@pytest.mark.parametrize("unicode", [True, False])
def test_phases_that_had_nothing_to_do_stand_below_the_names_of_the_others(unicode):
    state = run.Run("site.yml", 100)
    state.play(SITE, ["a"], 100)
    state.task("a step", "host_driver", "main", 101)
    state.finish(110, {"a": {"failures": 0, "unreachable": 0, "rescued": 0, "changed": 0}})
    for phase in state.phases.values():
        phase.state = "done" if phase.name == "driver" else "waiting"
    lines = summary.phase_table(state, style.Style(40, False, unicode))
    (named,), further = [line for line in lines if "driver" in line], [line for line in lines if "driver" not in line]
    assert further[0].strip().startswith("not run: ") and len(further) > 1
    assert {len(line) - len(line.lstrip()) for line in further} == {named.index("driver")}
    assert max(len(line) for line in further) <= 40

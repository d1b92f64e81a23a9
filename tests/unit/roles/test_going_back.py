"""What a deployment that failed says: the cause first, from this start only, and what runs now."""
import subprocess
import sys

import pytest
import rendering

RESOURCES = {"bunker_config_path": "/etc/protocol_omni", "ansible_facts": {"python": {"executable": sys.executable}},
             "inference_service_definition": {"name": "clerk"},
             "_inference_service_spec": {"name": "clerk", "networks": [{"name": "omni-network", "address": "172.30.0.30"}]}}
FOREIGN = {"name": "hand-made", "ours": False, "running": True, "networks": {"omni-network": "172.30.0.30"}}
ENGINE = "docker: Error response from daemon: Address already in use"


def said(**variables):
    """The message, where a service that was never there failed to start, and these differ."""
    fail = rendering.task("inference_service", "tasks/go_back.yml", "Say what failed")
    known = dict(RESOURCES, _inference_service_was_started=True, _inference_service_was_stopped=True, _inference_service_previous={},
                 _inference_service_reason="Start the service: Unable to start service protocol-omni-clerk.service", _inference_service_left=[],
                 __inference_service_there={"texts": {"unit": None, "resolved": None}}, __inference_service_started={"made_by": None},
                 __inference_service_log={"stdout_lines": ["Starting clerk", ENGINE]}, __inference_service_around={"containers": []})
    return rendering.render("inference_service", fail["ansible.builtin.fail"]["msg"], dict(known, **variables), fail["vars"]).strip().splitlines()


def test_the_cause_comes_first_and_the_log_last():
    assert said() == [
        "Service clerk was not deployed: %s" % ENGINE, "Start the service: Unable to start service protocol-omni-clerk.service",
        "Nothing ran before under this name, so nothing runs now.",
        "The log of this start, its last lines (journalctl -u protocol-omni-clerk.service):", "Starting clerk", ENGINE]


def test_who_holds_its_address_comes_before_what_the_engine_says_of_it():
    found = said(__inference_service_around={"containers": [FOREIGN]})
    assert found[0] == ("Service clerk was not deployed: its address 172.30.0.30 on omni-network is held by the container hand-made, which is none of ours. "
                        "Take it away: docker network disconnect omni-network hand-made")


def test_a_start_that_wrote_nothing_says_so_instead_of_what_an_earlier_one_wrote():
    found = said(__inference_service_log={"stdout_lines": []})
    assert found[0] == "Service clerk was not deployed." and found[-1].startswith("This start wrote no log")


def test_a_service_that_left_under_another_name_is_not_nothing():
    assert "Nothing ran before under this name, so nothing runs now. What the inventory does not name had left before: scribe." in said(
        _inference_service_left=["scribe"])


def test_what_ran_and_is_not_known_is_not_nothing():
    (now,) = [line for line in said(__inference_service_started={"made_by": "0123"}) if "runs now" in line]
    assert now == ("What ran before cannot be put back, because /etc/protocol_omni/services/clerk.json or its unit was missing, so nothing runs now.")


@pytest.mark.parametrize("variables, words", [
    ({"_inference_service_was_stopped": False, "_inference_service_was_started": False}, "The service itself was not touched."),
    ({"_inference_service_previous": {"unit": "a"}, "__inference_service_back": {"status": {}}}, "What ran before runs again."),
    ({"_inference_service_previous": {"unit": "a"}, "__inference_service_back": {"msg": "Unable"}},
     "What ran before does not start either, so nothing runs now: Unable")])
def test_what_runs_now(variables, words):
    assert words in said(**variables)


def read_by(started):
    """The command that reads the log, where the start before it was called 0ld."""
    read = rendering.task("inference_service", "tasks/failed_start.yml", "Read the log of this start")
    variables = dict(RESOURCES, __inference_service_started=dict(started, before="0ld"))
    return rendering.render("inference_service", read["ansible.builtin.shell"]["cmd"], variables, read["vars"])


def test_only_the_log_of_this_start_is_read():
    command = read_by({"failed": True})
    assert "_SYSTEMD_INVOCATION_ID=$id + INVOCATION_ID=$id" in command and "--unit" not in command
    assert '[ "$id" != 0ld ]' in command


def test_a_log_that_is_not_utf_8_does_not_stop_the_way_back(tmp_path):
    # journalctl --output cat prints the bytes as they are; ansible refuses a whole result for one byte that is not UTF-8, failed_when or not.
    for program, does in (("systemctl", "echo 1nvocation"), ("journalctl", "printf 'loading\\n\\377 error: fr\\303\\274h \\303\\n'")):
        (tmp_path / program).write_text("#!/bin/sh\n%s\n" % does, encoding="utf-8")
        (tmp_path / program).chmod(0o755)
    done = subprocess.run(["/bin/bash", "-c", read_by({"failed": True})], capture_output=True, check=False, env={"PATH": "%s:/usr/bin:/bin" % tmp_path})
    assert done.stdout.decode("utf-8").splitlines() == ["loading", "\ufffd error: früh \ufffd"]


def test_a_service_that_ran_on_and_answers_wrongly_is_read_from_the_start_that_it_had():
    assert "0ld" not in read_by({"changed": False})


def test_a_service_that_started_and_answered_wrongly_is_not_explained_by_its_log():
    found = said(_inference_service_reason="Have it answer a question: Its answer was: Rome")
    assert found[:2] == ["Service clerk was not deployed.", "Have it answer a question: Its answer was: Rome"] and found[-1] == ENGINE

"""The lock of a host, by its file: who gets it, who has to wait, and when it is nobody's."""
import json
import multiprocessing

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_programs import play_lock

ONE = {"token": "m1:100:7", "lease": 300, "play": "one"}
TWO = {"token": "m2:100:7", "lease": 300, "play": "two"}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lock")


def test_it_is_taken_once_and_its_holder_takes_it_again(path):
    assert play_lock.take(path, ONE, "", 1000) == {"taken": True, "fresh": True, "former": None}
    assert play_lock.take(path, ONE, "", 1001) == {"taken": True, "fresh": False, "former": None}
    refused = play_lock.take(path, TWO, "", 1010)
    assert not refused["taken"] and refused["former"]["play"] == "one" and refused["former"]["silent"] == 9


def test_renewed_it_stays_and_silent_it_is_nobodys_after_the_lease(path):
    play_lock.take(path, ONE, "", 1000)
    assert play_lock.renew(path, ONE, 1200) == {"taken": True, "former": None}
    assert not play_lock.take(path, TWO, "", 1499.9)["taken"]
    taken = play_lock.take(path, TWO, "", 1500)
    assert taken["taken"] and taken["fresh"] and taken["former"]["play"] == "one" and taken["former"]["silent"] == 300
    assert play_lock.renew(path, ONE, 1501)["former"]["play"] == "two"  # the first one came back, and finds it gone
    assert play_lock.release(path, ONE) == {"released": False} and not play_lock.take(path, ONE, "", 1502)["taken"]


def test_a_dead_holder_is_named_by_its_token_alone(path):
    play_lock.take(path, ONE, "", 1000)
    assert not play_lock.take(path, TWO, "m1:100:8", 1001)["taken"]
    assert play_lock.take(path, TWO, "m1:100:7", 1001)["taken"]


def test_a_release_frees_it_and_a_start_of_the_host_is_healed_by_renewing(path, tmp_path):
    play_lock.take(path, ONE, "", 1000)
    (tmp_path / "lock").unlink()
    assert play_lock.renew(path, ONE, 5)["taken"] and not play_lock.take(path, TWO, "", 6)["taken"]
    assert play_lock.release(path, ONE) == {"released": True}
    assert play_lock.look(path, 7) == {"former": None} and play_lock.take(path, TWO, "", 7)["taken"]


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '{"token": "x"}', '{"token": "x", "renewed": "1", "lease": 3}', '{"token": 5, "renewed": 1, "lease": 3}'])
def test_what_is_no_lock_is_nobodys(path, tmp_path, text):
    (tmp_path / "lock").write_text(text, encoding="ascii")
    assert play_lock.look(path, 2) == {"former": None} and play_lock.take(path, ONE, "", 2)["taken"]


def contend(path, number, found):
    holder = {"token": "m:%d:1" % number, "lease": 300, "play": str(number)}
    found.put(play_lock.answer({"do": "take", "path": path, "holder": holder})["taken"])


def test_of_many_at_once_one_gets_it(path):
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    runs = [context.Process(target=contend, args=(path, number, found)) for number in range(12)]
    for run in runs:
        run.start()
    assert sorted(found.get(timeout=30) for _run in runs) == [False] * 11 + [True]


def test_where_it_cannot_be_written_is_said(tmp_path):
    told = play_lock.answer({"do": "take", "path": str(tmp_path / "none" / "lock"), "holder": ONE})
    assert told["failed"].startswith("The lock ") and "No such file" in told["failed"]


def test_who_holds_it_is_told_while_it_holds(path):
    play_lock.take(path, ONE, "", 1000)
    assert play_lock.look(path, 1100)["former"]["play"] == "one" and play_lock.look(path, 1300) == {"former": None}
    assert json.load(open(path, encoding="utf-8"))["token"] == "m1:100:7"

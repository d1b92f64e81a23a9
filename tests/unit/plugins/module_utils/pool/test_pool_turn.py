"""A member whose turn it is in a rolling change: what a door says of it, and what is waited for."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import turn
from ansible_collections.protocol_omni.bunker.plugins.modules import pool_door

HEAD = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,"


def said(*servers):
    """What HAProxy answers, of "BACKEND/SERVER STATE REQUESTS" each; its front end and a member's own gateway besides."""
    lines = [HEAD, "door,FRONTEND,,,9,9,4096,9,,,,,,,,,,OPEN,,", "gateway,gateway,0,0,7,7,,7,,,,,,,,,,UP,1,", "model_a,BACKEND,0,0,9,9,,9,,,,,,,,,,UP,1,"]
    for server in servers:
        name, rest = server.split(" ", maxsplit=1)
        state, running = rest.rsplit(" ", maxsplit=1)
        lines.append("%s,%s,0,0,%s,9,64,99,,,,,,,,,,%s,100," % (*name.split("/"), running, state))
    return "\n".join(lines) + "\n\n"


BOTH = said("model_a/north UP 2", "model_a/south UP 1", "model_b/north UP 0", "any/north UP 3", "any/south UP 0")


def test_a_member_alone_is_one_that_others_could_stand_in_for_and_do_not():
    assert turn.alone(BOTH, "north") == {} and turn.sole(BOTH, "north") == ["model_b"] and turn.sole(BOTH, "south") == []
    down = said("model_a/north UP 2", "model_a/south DRAIN (agent) 1", "model_a/west DOWN 0", "any/north UP 3", "any/south UP 0")
    assert turn.alone(down, "north") == {"model_a": "south DRAIN (agent), west DOWN"}
    assert turn.alone(said("model_a/north DOWN 0", "model_a/south DOWN 0"), "south") == {}, "it answers for nobody itself"
    assert turn.sole(BOTH, "gateway") == [] and turn.states(BOTH, "gateway") == "", "a host may be called gateway, and its own backend is not the pool's"


@pytest.mark.parametrize("text, held, answering, running", [
    (BOTH, False, True, 5), (said("model_a/north DRAIN (agent) 2", "any/north UP 0"), False, False, 2),
    (said("model_a/north DRAIN (agent) 2", "any/north DRAIN (agent) 1"), True, False, 3), (said("model_a/north DOWN 0", "any/north MAINT 0"), True, False, 0),
    (said("model_a/north UP 1/2 0"), False, True, 0), (said("model_a/south UP 1"), True, False, 0), ("", True, False, 0)])
def test_what_a_door_says_of_a_member(text, held, answering, running):
    assert (turn.held(text, "north"), turn.answering(text, "north"), turn.running(text, "north")) == (held, answering, running)


class Door:
    """A door that says one thing after the other, the last of them again and again; its clock goes on when somebody waits."""

    def __init__(self, monkeypatch, *texts):
        self.texts, self.now = list(texts), 0.0
        monkeypatch.setattr(pool_door.survey, "statistics", lambda path: self.texts.pop(0) if len(self.texts) > 1 else self.texts[0])
        monkeypatch.setattr(pool_door.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(pool_door.time, "sleep", self.wait)

    def wait(self, seconds):
        self.now += seconds


def asked(capsys, until, **arguments):
    with patch_module_args({"socket": "/run/a.sock", "member": "north", "until": until, **arguments}), pytest.raises(SystemExit):
        pool_door.main()
    return json.loads(capsys.readouterr().out)


HELD = "model_a/north DRAIN (agent) %d", "any/north DRAIN (agent) %d"


def test_the_last_one_that_answers_is_not_taken_out(capsys, monkeypatch):
    Door(monkeypatch, said("model_a/north UP 2", "model_a/south DOWN 1"))
    assert asked(capsys, "spare")["msg"] == ("north is the last that answers for model_a (south DOWN): without it, nobody would. Mend one of the others "
                                             "first, so nothing was changed on north.")
    Door(monkeypatch, BOTH)
    assert asked(capsys, "spare")["sole"] == ["model_b"]


def test_it_is_held_once_nobody_new_comes_and_what_ran_has_ended(capsys, monkeypatch):
    door = Door(monkeypatch, BOTH, BOTH, said(*[row % 1 for row in HELD]), said(*[row % 1 for row in HELD]), said(*[row % 0 for row in HELD]))
    found = asked(capsys, "held")
    assert (found["running"], door.now) == (0, 1.0)


def test_requests_that_do_not_end_are_told_and_waited_for_no_longer(capsys, monkeypatch):
    door = Door(monkeypatch, said(*[row % 2 for row in HELD]))
    found = asked(capsys, "held", patience=7)
    assert (found["running"], door.now) == (4, 7.0) and "failed" not in found


def test_a_door_that_does_not_hear_of_it_stops_the_change(capsys, monkeypatch):
    door = Door(monkeypatch, BOTH)
    refused = asked(capsys, "held", notice=5)["msg"]
    assert refused.startswith("The door still sends requests to north after 5 s (any UP, model_a UP, model_b UP): ") and door.now == 5.0


def test_a_member_that_does_not_come_back_stops_the_change(capsys, monkeypatch):
    Door(monkeypatch, said("model_a/north UP 0", "any/north DOWN 0"))
    assert "sends nobody to north after 3 s (any DOWN, model_a UP)" in asked(capsys, "answering", patience=3)["msg"]
    back = Door(monkeypatch, said("model_a/north DOWN 0"), said("model_a/north DOWN 0"), said("model_a/north UP 0"))
    assert asked(capsys, "answering")["states"] == "model_a UP" and back.now == 0.5


@pytest.mark.parametrize("text, words", [
    ("", "/run/a.sock: the door's HAProxy does not answer there."), (said("any/south UP 1"), "The door knows no member north.")])
def test_a_door_that_cannot_tell_is_no_yes(capsys, monkeypatch, text, words):
    Door(monkeypatch, text)
    assert [asked(capsys, until)["msg"].startswith(words) for until in ("spare", "held", "answering")] == [True] * 3


def test_one_that_stops_answering_while_it_is_asked_is_not_held(capsys, monkeypatch):
    Door(monkeypatch, BOTH, "")
    assert "(it does not answer)" in asked(capsys, "held", notice=2)["msg"]

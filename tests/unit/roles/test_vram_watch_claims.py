"""What the role vram_watch says of its claims, from what was seen on the host."""
import json

import pytest
import rendering

RECORD = rendering.task("vram_watch", "tasks/verify.yml", "Record the claims of the watcher")
SEEN = {"read_at": 1000, "source": "nvml", "headroom": 8 << 30, "act": 2 << 30, "rung": 0, "latched": "", "filled": {"headroom": 5 << 30, "tokens": 8190}}


def claims(status, gpus=("GPU-1",), unit="active enabled", now=1005):
    """Claim to "holds", "fails" or "does not apply"."""
    lines = ["unit: " + unit, "now: %d" % now, "listens: 127.0.0.1:9181", "metrics: 40", "play: playbook: /x/contingency.yml", "sockets: ",
             "status: " + json.dumps(status)]
    found = rendering.render("vram_watch", RECORD["protocol_omni.bunker.claim"]["results"], {
        "__vram_watch_now": {"stdout_lines": lines}, "_vram_watch_service": "oracle", "_vram_watch_watched": {"gpus": list(gpus)}}, RECORD["vars"])
    return {name[len("vram_watch."):]: "does not apply" if "does_not_apply" in row else "holds" if row["holds"] else "fails" for name, row in found.items()}


def test_all_holds_where_the_cards_are_read_and_enough_is_free():
    assert set(claims(SEEN).values()) == {"holds"}


def test_a_watcher_that_reads_no_card_proves_nothing_of_a_service_that_has_none():
    found = claims(dict(SEEN, source="none", headroom=None, filled={}), gpus=())
    assert [found[name] for name in ("samples", "headroom", "full_context")] == ["does not apply"] * 3
    assert found["ladder"] == found["metrics"] == "holds"


@pytest.mark.parametrize("source", ["none", None])
def test_a_watcher_that_reads_no_card_of_a_service_that_has_one_fails(source):
    found = claims(dict(SEEN, source=source, headroom=0, filled={}) if source else {key: value for key, value in SEEN.items() if key != "source"})
    assert found["samples"] == "fails"


@pytest.mark.parametrize("changed, failing", [
    ({"read_at": 980}, "samples"), ({"headroom": 1 << 30}, "headroom"), ({"filled": {}}, "full_context"), ({"latched": "no rung is left"}, "ladder")],
    ids=["old", "little is free", "not filled", "given up"])
def test_each_claim_fails_by_itself(changed, failing):
    assert [name for name, state in claims(dict(SEEN, **changed)).items() if state == "fails"] == [failing]


def test_a_watcher_that_has_written_nothing_proves_nothing():
    found = claims({})
    assert {name for name, state in found.items() if state == "holds"} == {"metrics", "engine_socket"}


def test_a_watcher_that_does_not_run_fails():
    assert claims(SEEN, unit="failed enabled")["samples"] == "fails"

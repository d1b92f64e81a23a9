"""A service that is made anew is drained through the gateway first, by the one piece by which services leave and the watcher steps."""
import pytest
import rendering
import yaml
from support import ROOT

CONTINGENCY = yaml.safe_load((ROOT / "playbooks" / "contingency.yml").read_text(encoding="utf-8"))
UNIT = "/etc/systemd/system/protocol-omni-scribe.service"
CHANGED = {"inference_service_definition": {"name": "scribe"}, "__inference_service_unit": {"written": [UNIT]}, "ansible_check_mode": False,
           "__inference_service_there": {"previous": {"unit": "[Unit]"}}}


def tasks(entries):
    """All tasks of a list, also those in blocks."""
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part, []))


@pytest.mark.parametrize("otherwise, drains", [
    ({}, True), ({"__inference_service_unit": {"written": ["/etc/protocol_omni/services/scribe.json"]}}, False), ({"ansible_check_mode": True}, False),
    ({"__inference_service_there": {"previous": {}}}, False), ({"_inference_service_drains": False}, False)],
    ids=["its unit is another", "its unit is the same", "check mode", "it is new", "the watcher has done it"])
def test_what_is_drained_is_what_will_be_made_anew_and_that_is_resumed(otherwise, drains):
    told = [rendering.holds("inference_service", rendering.task("inference_service", "tasks/main.yml", name), dict(CHANGED, **otherwise))
            for name in ("Let the answers of a service that is made anew end", "Let new requests in again")]
    assert told == [drains, drains]


def test_it_is_drained_before_it_starts_and_resumed_after_it_went_back_too():
    (start,) = [entry for entry in rendering.read("inference_service", "tasks/main.yml") if entry["name"] == "Start the service and prove that it answers"]
    assert [entry["name"] for entry in start["block"]] == ["Let the answers of a service that is made anew end", "Start the service and prove that it answers"]
    assert [entry["name"] for entry in start["always"]] == ["Let new requests in again"] and start["rescue"]
    assert rendering.render("inference_service", start["vars"]["_gateway_drained"], CHANGED) == "scribe"


def test_nobody_asks_the_gateway_to_drain_but_its_own_tasks():
    told = [path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml") if "http://gateway/drain" in path.read_text(encoding="utf-8")]
    assert told == [ROOT / "roles/gateway/tasks/drain.yml"]


def drain(variables):
    """The address that is asked, and how often it is looked whether answers run; None where it is not."""
    ask, wait = (rendering.task("gateway", "tasks/drain.yml", name) for name in ("Keep new requests from the service", "Wait for running answers"))
    variables = dict({"_gateway_drained": "scribe", "__gateway_door": {"stat": {"exists": True}}}, **variables)
    looks = int(rendering.render("gateway", wait["retries"], variables)) if rendering.holds("gateway", wait, variables) else None
    return rendering.render("gateway", ask["ansible.builtin.uri"]["url"], variables), looks


def test_a_drain_lasts_as_long_as_the_watchers_and_ends_by_itself():
    assert drain({}) == ("http://gateway/drain?service=scribe&seconds=3600", 20)
    assert drain({"vram_watch_drain": 3})[1] == 2 and drain({"vram_watch_drain": 0})[1] is None


@pytest.mark.parametrize("given, seconds, looks", [({}, 600, 40), ({"contingency_drain": 0}, 600, None), ({"contingency_drain": 6}, 600, 4)])
def test_a_step_of_the_watcher_gives_running_answers_what_it_is_told(given, seconds, looks):
    (step,) = [entry for entry in tasks(CONTINGENCY[0]["tasks"]) if entry["name"] == "Keep new requests from the service, and let running answers end"]
    assert step["ansible.builtin.include_role"] == {"name": "protocol_omni.bunker.gateway", "tasks_from": "drain.yml"} and "when" not in step
    own = {name: rendering.trust_as_template(value) for name, value in step["vars"].items() if name != "_deployed"}
    known = dict({"_deployed": {"vram_watch_step_timeout": 600, "vram_watch_drain": 60}, "contingency_service": "scribe"}, **given)
    assert drain({**known, **own}) == ("http://gateway/drain?service=scribe&seconds=%d" % seconds, looks)


def test_what_failed_before_the_drain_has_no_door_to_open_again():
    again = rendering.task("gateway", "tasks/resume.yml", "Let new requests in again")
    assert not rendering.holds("gateway", again, {"_gateway_drained": "scribe"})
    assert rendering.holds("gateway", again, {"_gateway_drained": "scribe", "__gateway_door": {"stat": {"exists": True}}})

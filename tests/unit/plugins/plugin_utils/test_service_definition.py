"""What follows from a service's definition, its model's header and what its host remembers."""
import json
import types

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.protocol_omni.bunker.plugins.action import service_definition as action
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import service_definition

MODEL = {"name": "small", "architecture": "llama", "files": [
    {"name": "small.gguf", "sha256": "f" * 64, "size": 5, "source": {}}, {"name": "t.jinja", "role": "chat_template", "sha256": "1" * 64}]}
FACTS = {"architecture": "llama", "pooling": None, "head": False, "template": True, "fim": False, "width": 4, "context": 4096, "vision": None}
BERT = dict(FACTS, architecture="bert", pooling=1, template=False)
DEFINITION = {"name": "s", "model": "small", "device": "cpu", "port": 8002, "networks": [{"name": "omni-network", "address": "172.30.0.30"}],
              "ladder": ["kv_to_ram", "context_4096"]}
LADDER = {"name": "s", "ladder": ["kv_to_ram", "context_4096"]}
CPUS = [{"cpu": 0, "core": 0, "socket": 0, "node": 0, "l3": "", "l2": "", "online": True}]
NOTHING = {"unit": None, "resolved": None, "rungs": None, "proven": None}


@pytest.mark.parametrize("rungs, asked, rung", [
    ({}, -1, 0), ({"s": {"name": "kv_to_ram"}}, -1, 1), ({"other": {"name": "kv_to_ram"}}, -1, 0), ({"s": {"name": "a rung that was"}}, -1, 0),
    ({"s": {"name": "kv_to_ram"}}, 2, 2), ({"s": {"name": "kv_to_ram"}}, 0, 0)],
    ids=["of nobody", "its own", "another's", "one that it has no more", "another is asked for", "none is asked for"])
def test_the_rung_is_the_one_that_is_asked_for_or_that_this_host_remembers(rungs, asked, rung):
    assert service_definition.rung_of(LADDER, rungs, asked) == rung


@pytest.mark.parametrize("texts, kept", [
    ({"unit": "[Unit]", "resolved": "{}"}, {"unit": "[Unit]", "resolved": "{}", "rung": {}}), ({"unit": "", "resolved": "{}"}, {}),
    ({"unit": "[Unit]", "resolved": ""}, {}), ({"unit": None, "resolved": None}, {})], ids=["there", "masked", "an empty file", "never there"])
def test_a_masked_unit_is_not_what_to_go_back_to(texts, kept):
    assert service_definition.previous(texts, {}, {}) == kept
    assert service_definition.previous(texts, {"unit": "proven"}, {}) == {"unit": "proven"}


def resolved(monkeypatch, facts=None, texts=None, definition=None, tuned=lambda *arguments: {"threads": 1, "image": arguments[4]}, **given):
    """What the action returns, where the host answers so; the processor is another test's."""
    monkeypatch.setattr(service_definition, "tuned", tuned)
    task = types.SimpleNamespace(async_val=0, check_mode=given.pop("check", False), action="service_definition", args=dict({
        "definition": dict(DEFINITION, **(definition or {})), "models": [MODEL], "store": "/srv/models", "paths": {"unit": "/u"}, "names": ["s"]}, **given))
    plugin = action.ActionModule(task, types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None)), None, None, None)
    asked = []

    def execute(module_name, module_args, task_vars):
        asked.append(module_args)
        return {"texts": dict(NOTHING, **(texts or {})), "header": {"facts": FACTS if facts is None else facts}, "host": {}, "changed": False}
    plugin._execute_module = execute
    found = plugin.run(task_vars={})
    return found, asked[0]


def test_a_service_that_was_never_there_is_completed_by_the_spec(monkeypatch):
    found, asked = resolved(monkeypatch, image="sha256:1")
    assert (found["spec"]["start_timeout"], found["spec"]["kind"], found["rung"], found["previous"], found["kept"]) == (600, "chat", 0, {}, False)
    assert found["tuning"] == {"threads": 1, "image": "sha256:1"} and found["texts"]["unit"] is None and not found["changed"]
    assert asked["files"] == [{"name": "small.gguf"}, {"name": "t.jinja", "role": "chat_template"}]  # without hashes


@pytest.mark.parametrize("pooling, asked, rung", [(1, -1, 0), (None, -1, 2), (1, 2, 2)], ids=["vectors", "chat", "vectors, and a rung was asked for"])
def test_a_rung_that_the_service_took_as_a_chat_is_none_of_one_without_a_ladder(monkeypatch, pooling, asked, rung):
    found, _asked = resolved(monkeypatch, dict(FACTS, pooling=pooling), {"rungs": '{"rungs": {"s": {"name": "context_4096"}}}'}, rung=asked,
                             definition={"kind": "auto"}, refuse=False)
    assert found["rung"] == rung


def test_what_is_deployed_stays_where_that_is_asked_for(monkeypatch):
    deployed = {"tuning": {"threads": 9}, "placement": {}, "image": "sha256:old"}
    found, _asked = resolved(monkeypatch, texts={"resolved": json.dumps(deployed), "unit": "[Unit]"}, as_deployed=True)
    assert found["kept"] and found["tuning"] == {"threads": 9} and found["previous"]["unit"] == "[Unit]"
    found, _asked = resolved(monkeypatch, texts={"resolved": json.dumps(deployed)})
    assert not found["kept"] and found["tuning"]["image"] == "sha256:old"  # no image was given: that which is deployed


def test_what_its_model_cannot_be_is_refused_and_in_a_claim_only_returned(monkeypatch):
    with pytest.raises(AnsibleActionFail, match="Service s was not deployed; nothing of it was changed.\n1. service s: kind chat: "):
        resolved(monkeypatch, BERT, definition={"kind": "chat"})
    found, _asked = resolved(monkeypatch, BERT, definition={"kind": "chat"}, refuse=False)
    assert len(found["kind"]["problems"]) == 1


def refuses_to_tune(*_arguments):
    raise ValueError("service s: speculation draft wants a draft_model")


@pytest.mark.parametrize("facts, definition, word", [
    (BERT, {"kind": "chat"}, "1. service s: kind chat: "), (FACTS, {"device": "gpu", "gpus": ["PCI-0000:41:00.0-2b85"]}, "no driver has shown the UUID")],
    ids=["another kind", "a card by slot"])
def test_what_is_refused_is_refused_before_it_is_tuned(monkeypatch, facts, definition, word):
    # What follows from a fault is another fault, and tells nobody what to mend.
    with pytest.raises(AnsibleActionFail, match=word):
        resolved(monkeypatch, facts, definition=definition, tuned=refuses_to_tune)
    with pytest.raises(AnsibleActionFail, match="wants a draft_model"):
        resolved(monkeypatch, tuned=refuses_to_tune)


@pytest.mark.parametrize("gpus, sound", [(["GPU-A"], True), (["MIG-1"], True), (["GPU-A", "PCI-0000:41:00.0-2b85"], False)])
def test_a_service_is_not_run_on_a_card_that_no_driver_has_shown(gpus, sound):
    found = {"problems": []}, {"name": "oracle", "gpus": gpus}
    said = service_definition.refusal(*found, False)
    assert said == "" if sound else said.startswith("Service oracle: no driver has shown the UUID of PCI-0000:41:00.0-2b85. ")
    assert service_definition.refusal(*found, True) == ""  # in check mode a driver that is not there yet is predicted


def test_what_cannot_be_completed_is_named(monkeypatch):
    with pytest.raises(AnsibleActionFail, match="See roles/inference_service/meta/argument_specs.yml"):
        resolved(monkeypatch, definition={"port": "no number"})
    with pytest.raises(AnsibleActionFail, match="model large is in neither"):
        resolved(monkeypatch, definition={"model": "large"})


@pytest.mark.parametrize("text", ["{", "[]", '"a"', "null", '{"rungs": []}', "[" * 100000])
def test_a_rung_that_nobody_knows_any_more_is_refused_by_its_file_and_in_a_claim_only_told(monkeypatch, text):
    paths = {"rungs": "/etc/ansible/facts.d/protocol_omni.fact"}
    with pytest.raises(AnsibleActionFail, match="Service s was not deployed; nothing of it was changed. %s is not what was written there" % paths["rungs"]):
        resolved(monkeypatch, texts={"rungs": text}, paths=paths)
    found, _asked = resolved(monkeypatch, texts={"rungs": text}, paths=paths, refuse=False)
    assert found["facts"] == {"rungs": {}} and found["rung"] == 0 and len(found["damaged"]) == 1


@pytest.mark.parametrize("name, words", [("proven", "what answered last, as JSON"), ("resolved", "the resolved service, as JSON")])
def test_what_the_next_run_writes_anew_stops_neither_a_deployment_nor_a_claim(monkeypatch, name, words):
    texts = {"unit": "[Unit]", "resolved": "{}", name: '{"unit": "[Un'}
    found, _asked = resolved(monkeypatch, texts=texts, paths={name: "/etc/protocol_omni/services/s." + name})
    assert found["damaged"] == found["warnings"] and found["previous"]["unit"] == "[Unit]"
    assert found["damaged"][0].startswith("/etc/protocol_omni/services/s.%s is not what was written there (%s), so " % (name, words))
    assert found["damaged"][0].endswith("; the next run of site.yml writes it%s. Remove it: rm /etc/protocol_omni/services/s.%s" % (
        " anew" if name == "proven" else "", name))


def test_files_that_are_sound_or_absent_are_not_told(monkeypatch):
    found, _asked = resolved(monkeypatch, texts={"rungs": '{"rungs": {}}', "resolved": "{}"})
    assert found["damaged"] == [] and "warnings" not in found

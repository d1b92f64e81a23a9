"""What leaves the inventory leaves the host: which tasks run then, in which order, and what they act on."""
import pytest
import rendering
from support import ROOT

SCRIBE = {"name": "scribe", "unit": "protocol-omni-scribe.service", "files": ["scribe.json"], "container": True, "running": True}
VARIABLES = {"bunker_config_path": "/etc/protocol_omni", "inference_service_definition": {"name": "scribe"}}


def deployed():
    """What site.yml does on a host, in its order."""
    return "".join((ROOT / "playbooks/tasks" / name).read_text(encoding="utf-8") for name in ("judge.yml", "provide.yml", "deploy.yml"))


def place(text, *words):
    """Where each of these words begins in a text that has it once."""
    assert [text.count(word) for word in words] == [1] * len(words), words
    return [text.index(word) for word in words]


def test_services_leave_before_the_rules_and_before_the_new_ones_come_and_are_judged_before_anything_changes():
    site = deployed()
    found = place(site, "name: Judge which services the host has before anything changes", "name: Provide the driver", "name: Provide the container engine",
                  "name: Let services leave that the inventory does not name", "name: Provide the networks", "name: Run the services", "name: Open the gateway")
    assert found == sorted(found)


def test_a_service_leaves_by_its_name_alone_with_all_that_was_written_for_it():
    removal = rendering.task("inference_service", "tasks/remove.yml", "Remove its files")
    assert rendering.render("inference_service", removal["loop"], VARIABLES) == [
        "/etc/systemd/system/protocol-omni-scribe.service", "/etc/protocol_omni/services/scribe.json", "/etc/protocol_omni/services/scribe.proven",
        "/etc/protocol_omni/services/scribe.placement.json", "/var/lib/protocol_omni/throughput/scribe.speed.json"]
    assert "resolve.yml" not in (rendering.ROLES / "inference_service/tasks/remove.yml").read_text(encoding="utf-8")


def test_only_its_own_rung_is_forgotten():
    forget = rendering.task("inference_service", "tasks/remove.yml", "Forget its rung")
    rungs = '{"rungs": {"scribe": {"rung": 1}, "oracle": {"rung": 2}}, "kept": 1}'
    variables = dict(VARIABLES, __inference_service_rungs={"texts": {"rungs": rungs}})
    assert rendering.holds("inference_service", forget, variables, forget["vars"])
    written = rendering.render("inference_service", forget["ansible.builtin.copy"]["content"], variables, forget["vars"])
    assert written == '{\n  "kept": 1,\n  "rungs": {\n    "oracle": {\n      "rung": 2\n    }\n  }\n}\n'
    for text in ('{"rungs": {"oracle": {"rung": 2}}}', None):
        assert not rendering.holds("inference_service", forget, dict(VARIABLES, __inference_service_rungs={"texts": {"rungs": text}}), forget["vars"])


def stops_the_watcher(left, settings):
    stop = rendering.task("inference_service", "tasks/leave_all.yml", "Stop the watcher of a service that leaves")
    return rendering.holds("inference_service", stop, {"_inference_service_left": left, "__inference_service_watched": {"texts": {"settings": settings}}},
                           stop["vars"])


def test_the_watcher_stops_where_its_service_leaves_and_goes_on_where_another_does():
    assert stops_the_watcher(["oracle"], '{"service": "oracle"}') is True
    assert stops_the_watcher(["scribe"], '{"service": "oracle"}') is False
    assert stops_the_watcher(["scribe"], None) is False
    assert stops_the_watcher([], '{"service": ""}') is False


def test_a_container_of_others_with_the_name_of_a_service_is_refused_before_a_start_would_remove_it():
    refuse = rendering.task("inference_service", "tasks/refuse.yml", "Refuse names that containers of others have")
    seen = {"inventory_hostname": "prime", "__inference_service_deployed": {"taken": ["oracle"]}}
    assert "when" not in refuse
    judged = {"when": refuse["ansible.builtin.assert"]["that"]}
    assert rendering.holds("inference_service", judged, seen) is False
    assert rendering.holds("inference_service", judged, {"__inference_service_deployed": {"taken": []}}) is True
    said = rendering.render("inference_service", refuse["ansible.builtin.assert"]["fail_msg"], seen, refuse["vars"])
    assert said == ("prime has containers of others under names that bunker_services gives to services: oracle. The start of a service removes what has its "
                    "name, so nothing was changed. Rename them (docker rename oracle ANOTHER), or give the services other names.")


def test_verify_looks_as_it_does_before_a_change_and_refuses_nothing():
    variables = {"bunker_services": [{"name": "oracle"}], "bunker_config_path": "/etc/protocol_omni"}
    before, claimed = (rendering.task("inference_service", "tasks/%s.yml" % name, "Look which services this host has") for name in ("preflight", "verify_host"))
    before, look = (rendering.render("inference_service", given["protocol_omni.bunker.deployed_info"], variables)
                    for given in (before, claimed["protocol_omni.bunker.claim"]["look"]))
    assert look == before == {"names": ["oracle"], "folder": "/etc/protocol_omni/services", "label": "protocol_omni.bunker.definition"}
    names = [set(task) & {"ansible.builtin.assert", "ansible.builtin.fail"} for task in rendering.read("inference_service", "tasks/verify_host.yml")]
    assert names == [set()]


def test_it_is_refused_by_name_where_the_inventory_says_so():
    refuse = rendering.task("inference_service", "tasks/refuse.yml", "Refuse services that the inventory does not name")
    seen = {"inventory_hostname": "prime", "__inference_service_deployed": {"unnamed": [SCRIBE]}}
    assert rendering.holds("inference_service", refuse, {"inference_service_unnamed": "refuse"}) is True
    assert rendering.holds("inference_service", refuse, {"inference_service_unnamed": "remove"}) is False
    said = rendering.render("inference_service", refuse["ansible.builtin.assert"]["fail_msg"], seen)
    assert said == ("prime runs services that bunker_services does not name: scribe. inference_service_unnamed is refuse, so nothing was changed. "
                    "Name them in bunker_services; or let them leave: -e inference_service_unnamed=remove.")


def test_a_request_that_runs_is_waited_for_and_a_service_that_the_gateway_does_not_know_is_not():
    wait = rendering.task("gateway", "tasks/drain.yml", "Wait for running answers")

    def ended(answer):
        return rendering.templar("gateway", {"_gateway_drained": "scribe", "__gateway_running": answer}).evaluate_conditional(wait["until"])
    assert not ended({"json": {"scribe": {"in_flight": 1}}})
    assert ended({"json": {"scribe": {"in_flight": 0}}}) and ended({"json": {"oracle": {"in_flight": 3}}}) and ended({"status": -1})


def network_leaves(record, containers):
    """Which networks leave, and what is said where somebody is still on one."""
    remove = rendering.task("networks", "tasks/leave_unnamed.yml", "Remove networks that the inventory does not name")
    refuse = rendering.task("networks", "tasks/leave_unnamed.yml", "Refuse to take a network from containers that are on it")
    variables = {"networks_definitions": [{"name": "omni-network"}], "__networks_there": {"recorded": record},
                 "__networks_around": {"containers": containers}}
    there = rendering.templar("networks", variables, refuse["vars"]).evaluate_conditional(refuse["ansible.builtin.assert"]["that"])
    return rendering.render("networks", remove["loop"], variables), "" if there else rendering.render(
        "networks", refuse["ansible.builtin.assert"]["fail_msg"], variables, refuse["vars"])


def test_a_network_leaves_after_the_services_and_only_one_that_was_made_here():
    assert network_leaves(["omni-network", "old"], []) == (["old"], "")
    assert network_leaves([], [])[0] == [] and network_leaves(["omni-network"], [])[0] == []
    site = deployed()
    found = place(site, "name: Provide the networks", "name: Run the services", "name: Let networks leave that the inventory does not name")
    assert found == sorted(found)


def test_who_is_still_on_a_network_that_leaves_is_named_with_the_command():
    containers = [{"name": "somebody", "networks": {"old": "10.0.0.2"}}, {"name": "oracle", "networks": {"omni-network": "172.30.0.10"}}]
    assert network_leaves(["old"], containers)[1] == (
        "Networks that networks_definitions does not name are still in use: somebody on old. Services of ours leave them with a whole run of site.yml; "
        "take others off: docker network disconnect NETWORK CONTAINER.")


def test_what_was_made_stays_on_record_until_it_is_removed():
    record = rendering.task("networks", "tasks/seal.yml", "Write the seal, and record the networks")
    files = rendering.render("networks", record["protocol_omni.bunker.config_files"]["files"], {
        "_networks_rules": {"config_files": []}, "_networks_seal_files": [],
        "bunker_config_path": "/etc/protocol_omni", "networks_definitions": [{"name": "omni-network"}, {"name": "new"}],
        "__networks_there": {"recorded": ["old", "omni-network"]}}, record["vars"])
    assert files == [{"path": "/etc/protocol_omni/networks.json", "content": '["new", "old", "omni-network"]\n'}]


def test_models_that_no_service_uses_are_told_and_stay():
    tell = rendering.task("model_store", "tasks/main.yml", "Tell models that no service uses")
    variables = {"model_store_path": "/srv/models", "model_store_catalogue": [{"name": "small"}, {"name": "large"}], "model_store_extra_models": [],
                 "bunker_services": [{"model": "small"}], "__model_store_read": {"folders": ["small", "large", "forgotten", "lost+found"]}}
    assert rendering.holds("model_store", tell, variables, tell["vars"])
    assert rendering.render("model_store", tell["ansible.builtin.debug"]["msg"], variables, tell["vars"]) == (
        "No service uses these models of /srv/models: forgotten, large. They stay, as nothing here removes a model. To remove one: rm -r /srv/models/NAME")
    variables["__model_store_read"] = {"folders": ["small"]}
    assert not rendering.holds("model_store", tell, variables, tell["vars"])
    assert not any(word in (rendering.ROLES / "model_store/tasks/main.yml").read_text(encoding="utf-8") for word in ("absent", "rm -rf"))


@pytest.mark.parametrize("taken, said", [([], "docker rename NAME ANOTHER"), (["oracle"], "docker rename oracle ANOTHER")])
def test_the_refusal_of_a_taken_name_can_be_written_also_where_none_is_taken(taken, said):
    """Ansible works out what an assert would say before it asks whether it holds."""
    refuse = rendering.task("inference_service", "tasks/refuse.yml", "Refuse names that containers of others have")
    variables = {"__inference_service_deployed": {"taken": taken}, "inventory_hostname": "host"}
    assert said in rendering.render("inference_service", refuse["ansible.builtin.assert"]["fail_msg"], variables, refuse["vars"])


def test_a_network_whose_place_another_one_takes_leaves_before_that_is_made():
    text = (ROOT / "roles/networks/tasks/create.yml").read_text(encoding="utf-8")
    found = place(text, "include_tasks: make_way.yml", "include_tasks: create_missing.yml")
    assert found == sorted(found)
    main = (ROOT / "roles/networks/tasks/main.yml").read_text(encoding="utf-8")
    assert place(main, "import_tasks: seal.yml", "import_tasks: create.yml") == sorted(place(main, "import_tasks: seal.yml", "import_tasks: create.yml"))
    refuse = rendering.task("networks", "tasks/make_way.yml", "Refuse to take a network from containers that are on it")["ansible.builtin.assert"]
    seen = {"__networks_there": {"on_them": ["somebody on old"], "in_the_way": ["old"]}}
    assert not rendering.templar("networks", seen).evaluate_conditional(refuse["that"])
    assert "somebody on old. Take them off: docker network disconnect NETWORK CONTAINER." in rendering.render("networks", refuse["fail_msg"], seen)
    assert rendering.templar("networks", {"__networks_there": {"on_them": []}}).evaluate_conditional(refuse["that"])

"""What verify.yml of a role hands on, rendered as a play would: the whole way from the inventory and what a module saw to the claims."""
import pytest
import rendering
import yaml
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles, service_definition

CATALOGUE = rendering.read("model_store", "defaults/main.yml")["model_store_catalogue"]
DEMO = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))


def networks(change=None):
    """Claim id to whether it holds, of the role's own networks, with rules that its own filter made."""
    variables = {"bunker_services": DEMO["bunker_services"], "bunker_config_path": "/etc/protocol_omni"}
    resolve = rendering.task("networks", "tasks/resolve.yml", "Resolve the rules")["ansible.builtin.set_fact"]
    variables["_networks_rules"] = rendering.render("networks", resolve["_networks_rules"], variables)
    look = rendering.task("networks", "tasks/verify.yml", "Look at the networks and the seal")
    looked = rendering.render("networks", look["protocol_omni.bunker.claim"]["look"], variables)["protocol_omni.bunker.networks_info"]
    seen = {
        "networks": [{"name": name, "driver": "bridge", "internal": internal, "subnet": subnet, "bridge": bridge} for name, subnet, bridge, internal in (
            ("omni-network", "172.30.0.0/16", "br-omni", False), ("internal_brain", "172.31.0.0/16", "br-brain", True)) if name in looked["names"]],
        "tables": [{"family": family, "name": name, "digest": variables["_networks_rules"]["digest"], "flags": flags, "program": ""}
                   for family in ("inet", "bridge") for name, flags in (("bunker_seal", "owner"), ("bunker_seal_standing", ""))],
        "unnamed": [] if looked["record"] == "/etc/protocol_omni/networks.json" else ["unknown"],
        "state": "active" if looked["unit"] == "protocol-omni-seal.service" else "unknown", "engine_ties": ["Requires", "After"]}
    seen.update(change or {})
    results = rendering.observed("networks", look, dict(variables, __networks_seen=seen))
    assert list(results) == list(collection_roles.claim_catalogue("networks"))
    return {name[len("networks."):]: row["holds"] for name, row in results.items()}


def test_the_claims_of_the_networks_hold_of_what_the_role_makes():
    assert set(networks().values()) == {True}


@pytest.mark.parametrize("change, failing", [({"networks": []}, ["subnets", "internal"]), ({"tables": []}, ["sealed", "seal_survives"]),
                                             ({"state": "failed"}, ["seal_survives"]), ({"engine_ties": ["After"]}, ["seal_first"])])
def test_the_claims_of_the_networks_fail_of_anything_else(change, failing):
    assert [name for name, holds in networks(change).items() if not holds] == failing


TUNING = {"threads": 4, "cpuset": "", "batch": 2048, "speculation": "none", "arguments": [], "placement": "", "origin": "rule", "evidence": "the rule: 4"}


def service(name, change=None, origin=None, **variables):
    """Rendered parts of verify.yml of the role inference_service, for a service of the demo.

    :param change: in its definition.
    :param origin: where its placement is from; None where that was not asked.
    :returns: arguments of service_info, results of its claims, and the fact that is published.
    """
    definition = dict(next(one for one in DEMO["bunker_services"] if one["name"] == name), **(change or {}))
    variables = dict({"inference_service_definition": definition, "bunker_config_path": "/etc/protocol_omni", "model_store_catalogue": CATALOGUE,
                      "model_store_extra_models": [], "_inference_service_tuning": TUNING, "_inference_service_rung": 0,
                      "golden_image_name": "omni/llama-server", "golden_image_alias": "sm120-cuda13",
                      "__inference_service_placed": {"origin": origin} if origin else {"skipped": True},
                      "__inference_service_there": {"texts": {}, "damaged": [], "host": {"fingerprint": {"cores": 4}}, "header": {"facts": {
                          "architecture": "llama", "pooling": None, "head": False, "template": True, "fim": False, "width": 576,
                          "vision": None}}}}, **variables)
    spec = service_definition.completed(definition)
    facts = variables["__inference_service_there"]["header"]["facts"]
    kind = service_definition.kind_of(spec, service_definition.model_of(CATALOGUE, spec["model"]), facts)
    variables["_inference_service_spec"] = dict(spec, **kind["definition"])
    look, publish = (rendering.task("inference_service", "tasks/verify.yml", task) for task in (
        "Look at the service, and try to get out of its container", "Publish what was measured"))
    asked = rendering.render("inference_service", look["protocol_omni.bunker.claim"]["look"], variables)["protocol_omni.bunker.service_info"]
    words = ["llama-server", "--batch-size", "2048", "--threads", "4", "--ctx-size", "2048", "--n-gpu-layers", "0"]
    seen = {
        "answer": {"said": "Paris", "tokens": 1}, "speeds": {"generation": 21.26, "prompt": 99.94}, "model_path": "/models/SmolLM2.gguf",
        "doors": [{"path": path, "status": status, "origin": ""} for path, status in (("/", 404), ("/slots", 501), ("/health", 200))],
        "container": {"pid": 1, "image": "sha256:0123456789abcdef01", "definition": "ab", "ports": [], "cpuset": "", "restart": "no", "hardening": {},
                      "networks": {network["name"]: network["address"] for network in variables["_inference_service_spec"]["networks"]}},
        "process": {"arguments": words, "visible_devices": "", "devices": [], "libcuda": [], "backend": [], "memory": 2 * 10 ** 9}, "gpus": [],
        "inside": [], "unit": {"state": "active", "enabled": "enabled", "binds_to": [], "definition": "ab"},
        "resolved": {"rung": 0, "name": "inventory", "arguments": words[1:]}, "last_speed": {},
        "egress": {"isolated": True, "failing": [], "attempts": [{"attempt": "ping", "does_not_apply": ""}], "why": ""}}
    variables.update(
        __inference_service_seen=seen,
        __inference_service_readiness={"skipped": True} if definition["device"] == "cpu" else {
            "host": {"kernel_module": "580.1"}, "libcuda": [], "mapped": [{"path": "/libcuda.so.580.1", "origin": "host_driver"}]})
    results = rendering.observed("inference_service", look, variables)
    assert set(results) == {name for name in collection_roles.claim_catalogue("inference_service") if name.startswith("SERVICE.")}
    published = rendering.render("inference_service", publish["ansible.builtin.set_fact"]["bunker_service_results"], variables)
    return asked, {name[len("SERVICE."):]: row for name, row in results.items()}, published


def test_a_service_is_looked_at_where_the_role_put_it():
    asked, _results, _published = service("executor")
    assert asked == {
        "name": "executor", "endpoint": "http://172.30.0.20:8002", "question": "What is the capital of France? Answer with one word.", "answer_tokens": 64,
        "kind": "chat", "expected_word": "Paris", "thinking_tokens": 1024, "patience": 30, "timeout": 600, "measurements": 1, "gpus": [], "egress": True,
        "unit": "protocol-omni-executor.service",
        "unit_path": "/etc/systemd/system/protocol-omni-executor.service", "resolved_path": "/etc/protocol_omni/services/executor.json",
        "speed_path": "/var/lib/protocol_omni/throughput/executor.speed.json", "label": "protocol_omni.bunker.definition"}


def test_what_was_seen_of_a_service_becomes_its_claims():
    _asked, results, _published = service("executor")
    assert {name: row.get("holds", "does not apply") for name, row in results.items()} == {
        **dict.fromkeys(("answers", "current", "rung", "placement", "threads", "tuned", "networks", "isolated", "shut", "port", "supervised"), True),
        **dict.fromkeys(("model", "sealed_inside", "hardened"), False),
        **dict.fromkeys(("placed", "libcuda", "kept_speed", "memory", "generation_speed", "prompt_speed"), "does not apply")}
    assert results["model"]["expected"] == CATALOGUE[0]["files"][0]["name"] and results["model"]["observed"] == "SmolLM2.gguf"


def test_figures_seal_gate_and_rung_of_the_inventory_are_handed_on():
    _asked, results, _published = service("executor", {"expected": {"generation_speed": 21.3, "memory": 1.9}, "sealed": False},
                                          inference_service_speed_bound="0", _inference_service_rung="1")
    assert (results["generation_speed"]["holds"], results["memory"]["holds"], results["rung"]["holds"]) == (True, False, False)
    assert "sealed is false" in results["isolated"]["does_not_apply"] and "(inference_service_speed_bound 0)" in results["kept_speed"]["does_not_apply"]


@pytest.mark.parametrize("origin, said", [("measured", "measured; "), (None, "deployed; ")])
def test_where_a_placement_is_from_is_handed_on(origin, said):
    asked, results, _published = service("oracle", {"device": "gpu", "gpus": ["GPU-1"], "gpu_layers": "0"}, origin)
    assert asked["gpus"] == ["GPU-1"] and results["placed"]["observed"].startswith(said) and results["placed"]["holds"]
    assert results["libcuda"]["holds"] and results["placement"]["expected"] == "GPU GPU-1" and not results["placement"]["holds"]


def test_what_others_read_of_a_service_is_published_beside_what_is_there():
    _asked, _results, published = service("executor", bunker_service_results={"oracle": {"endpoint": "there"}, "executor": {"kept": 1}})
    assert published == {"oracle": {"endpoint": "there"}, "executor": {
        "kept": 1, "endpoint": "http://172.30.0.20:8002", "model": DEMO["bunker_services"][1]["model"], "placement": "CPU only", "generation_speed": 21.3,
        "engine": "omni/llama-server:sm120-cuda13 (0123456789ab)", "prompt_speed": 99.9, "egress": [{"attempt": "ping", "does_not_apply": ""}],
        "kind": "chat", "device": "cpu", "memory": 2 * 10 ** 9, "networks": [{"name": "omni-network", "address": "172.30.0.20", "aliases": []}]}}


@pytest.mark.parametrize("device, looks", [("gpu", True), ("cpu", False)])
def test_device_code_is_only_looked_at_where_there_is_a_card_for_it(device, looks):
    task = rendering.task("inference_service", "tasks/verify.yml", "Look at what it has of its cards")
    assert rendering.holds("inference_service", task, {"_inference_service_spec": {"device": device}}) is looks
    assert task["ansible.builtin.include_tasks"] == "verify_gpu.yml"
    read = rendering.task("inference_service", "tasks/verify_gpu.yml", "See whose libcuda its process has, and that its GPUs run its kernels natively")
    assert read["protocol_omni.bunker.cuda_readiness"]["require"] == "native"


def test_what_was_read_of_another_services_cards_is_nothing_of_one_without():
    _asked, results, _published = service("executor", __inference_service_placed={"origin": "measured"})
    assert "does_not_apply" in results["placed"] and "does_not_apply" in results["libcuda"]

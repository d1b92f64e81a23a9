"""What the role makes of kinds and of files with roles: its unit verifies each file, its proof and its report ask and tell by the kind."""
import pytest
import rendering

FILES = [{"name": "mmproj.gguf", "role": "projector", "sha256": "bb"}, {"name": "m-00001-of-00002.gguf", "sha256": "c1"},
         {"name": "m-00002-of-00002.gguf", "sha256": "c2"}, {"name": "m.jinja", "role": "chat_template", "sha256": "dd"},
         {"name": "law.gguf", "role": "adapter", "scale": 0.5, "sha256": "ee"}]
MODEL = {"name": "see", "architecture": "llama", "files": FILES}
SMALL = {"name": "small", "architecture": "llama", "files": [{"name": "small.gguf", "sha256": "ff"}]}


def test_each_start_asks_for_every_file_of_whatever_role():
    text = rendering.render_template("inference_service", "unit.service.j2", {
        "inference_service_definition": {"name": "see"},
        "_inference_service_spec": {"name": "see", "model": "see", "draft_model": "small", "sealed": False, "gpus": [], "device": "cpu", "port": 8000,
                                    "networks": [{"address": "172.30.0.20"}]},
        "model_store_path": "/srv/models", "model_store_catalogue": [MODEL], "model_store_extra_models": [SMALL], "bunker_config_path": "/etc/protocol_omni",
        "_inference_service_digest": "abcd", "_inference_service_resolved": {"container_arguments": ["image"], "server_arguments": ["--model", "/models/x"]}})
    (asked,) = [line for line in text.replace("\\\n", " ").splitlines() if line.startswith("ExecStartPre=") and "verified_file.py" in line]
    words = [word for word in asked.split() if word != "\\"]
    pairs = list(zip(words[-12::2], words[-11::2]))
    assert pairs == [("/srv/models/%s/%s" % (model["name"], file["name"]), file["sha256"]) for model in (MODEL, SMALL) for file in model["files"]]


def test_a_model_is_judged_by_the_roles_of_its_files_while_they_are_fetched():
    """Without them a projector counts as a shard, and the model is refused after its first file."""
    judge = rendering.task("model_store", "tasks/fetch.yml", "Read what has been fetched so far")
    given = rendering.render("model_store", judge["protocol_omni.bunker.model_info"]["files"], {"_model_store_missing": [MODEL, FILES[0]]}, judge["vars"])
    assert given == [{name: entry[name] for name in ("name", "sha256", "role") if name in entry} for entry in FILES]


@pytest.mark.parametrize("speeds, told", [
    ({"generation": 10.94, "prompt": 172.26}, {"generation_speed": 10.9, "prompt_speed": 172.3}),
    ({"generation": None, "prompt": 9166.94}, {"prompt_speed": 9166.9}),
    ({"generation": None, "prompt": None, "why": "it answered 400"}, {})])
def test_a_report_has_the_speeds_that_a_service_has(speeds, told):
    publish = rendering.task("inference_service", "tasks/verify.yml", "Publish what was measured")
    found = rendering.render("inference_service", publish["ansible.builtin.set_fact"]["bunker_service_results"], {
        "inference_service_definition": {"name": "s"},
        "_inference_service_spec": {"name": "s", "model": "m", "device": "cpu", "port": 8000, "networks": [{"address": "172.30.0.20"}]},
        "__inference_service_seen": {"speeds": speeds, "container": {"image": "sha256:0123456789abcdef"}, "egress": {"attempts": []}},
        "golden_image_name": "omni", "golden_image_alias": "x"})
    assert {name: value for name, value in found["s"].items() if name.endswith("_speed")} == told


def test_the_claims_name_the_first_of_the_weights_and_the_length_of_vectors():
    record = rendering.task("inference_service", "tasks/verify.yml", "Look at the service, and try to get out of its container")
    for name, expected in (("file", "m-00001-of-00002.gguf"), ("width", 384)):
        assert rendering.render("inference_service", record["vars"]["_wanted"][name], {
            "_inference_service_model": MODEL, "__inference_service_there": {"header": {"facts": {"width": 384}}}}) == expected
    assert rendering.render("inference_service", record["vars"]["_wanted"]["width"], {"__inference_service_there": {"header": {"facts": {}}}}) == 0


def test_the_watcher_reads_weights_and_nothing_else():
    found = rendering.render("vram_watch", rendering.read("vram_watch", "vars/main.yml")["_vram_watch_weights"], {"_vram_watch_model": MODEL})
    assert [entry["name"] for entry in found] == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]


@pytest.mark.parametrize("texts, kind", [({"vec": '{"definition": {"kind": "embeddings"}}'}, "embeddings"), ({"vec": None}, "")])
def test_the_gateway_learns_kinds_from_what_is_deployed(texts, kind):
    resolve = rendering.task("gateway", "tasks/routes.yml", "Resolve the routes")
    services = [{"name": "vec", "port": 8001, "extra_arguments": [], "networks": [{"address": "172.30.0.31"}]}]
    found = rendering.render("gateway", resolve["ansible.builtin.set_fact"]["_gateway_routes"], {
        "_gateway_services": services, "_gateway_providers": [], "gateway_fallbacks": {}, "gateway_failsafes": {}, "bunker_config_path": "/etc/protocol_omni",
        "_deployed": texts}, resolve["vars"])
    assert found["vec"]["kind"] == kind
    for path, name in (("tasks/resolve.yml", "Look at what the gateway is given"),
                       ("tasks/look.yml", "Look what the gateway has of user, keys and certificate, and what it has loaded")):
        read = rendering.task("gateway", path, name)["protocol_omni.bunker.gateway_inputs_info"]
        assert rendering.render("gateway", read["deployed"], {"_gateway_services": services, "bunker_config_path": "/etc/protocol_omni"}) == {
            "vec": "/etc/protocol_omni/services/vec.json"}


# The tasks of the role that the watcher's play does not reach: what leaves does so in site.yml alone.
SITE_ALONE = {"leave.yml", "leave_one.yml"}


def test_what_the_watchers_own_ansible_runs_needs_no_other_collection():
    paths = [path for folder in ("tasks", "vars", "defaults", "templates") for path in (rendering.ROLES / "inference_service" / folder).iterdir()]
    assert len(paths) > 20
    assert [path.name for path in paths if path.name not in SITE_ALONE and "community." in path.read_text(encoding="utf-8")] == []

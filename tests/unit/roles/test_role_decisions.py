"""What single expressions of the roles decide, rendered as a play would."""
import json

import pytest
import rendering

ORACLE = {"name": "oracle", "model": "large", "draft_model": "small"}
EXECUTOR = {"name": "executor", "model": "middle"}


@pytest.mark.parametrize("services, names", [([ORACLE, EXECUTOR], ["large", "middle", "small"]), ([EXECUTOR], ["middle"]), ([], [])],
                         ids=["one drafts", "none drafts", "no service"])
def test_models_that_serve_or_draft_are_fetched_and_no_others(services, names):
    catalogue = [{"name": name, "files": [{"name": name + ".gguf"}]} for name in ("large", "middle", "other", "small")]
    found = rendering.render("model_store", rendering.read("model_store", "vars/main.yml")["_model_store_files"], {
        "bunker_services": services, "model_store_catalogue": catalogue[:2], "model_store_extra_models": catalogue[2:]})
    assert [(model["name"], file["name"]) for model, file in found] == [(name, name + ".gguf") for name in names]


@pytest.mark.parametrize("before, kept", [
    ({"host": {"cpu": "EPYC"}, "image": "sha256:new"}, {"oracle": 1}), ({"host": {"cpu": "EPYC"}, "image": "sha256:old"}, {}),
    ({"host": {"cpu": "other"}, "image": "sha256:new"}, {}), (None, {})],
    ids=["of this host and image", "of another image", "of another host", "nothing was measured"])
def test_an_earlier_measurement_stays_where_host_and_image_are_the_same(before, kept):
    write = rendering.task("throughput", "tasks/publish.yml", "Write the local fact")
    result = {"host": {"cpu": "EPYC"}, "image": "sha256:new", "services": {"executor": 2}}
    text = rendering.render("throughput", write["ansible.builtin.copy"]["content"], {
        "bunker_services": [ORACLE, EXECUTOR], "_throughput_results": {"result": result},
        "__throughput_before": {"measured": dict(before, services={"oracle": 1, "executor": 1, "gone": 1}) if before else {}}}, write["vars"])
    assert json.loads(text) == dict(result, services=dict(kept, executor=2))


@pytest.mark.parametrize("options", [[], ["noatime"], ["noatime", "nofail"]], ids=["none", "others", "it is there already"])
def test_a_volume_of_a_lost_disk_does_not_keep_the_host_from_booting(options):
    text = rendering.render_template("disk_layout", "volume.mount.j2", {
        "item": {"mount": "/nvme", "device": "/dev/disk/by-id/nvme-1", "filesystem": "xfs"},
        "_disk_layout_volumes": [{"mount": "/other", "options": []}, {"mount": "/nvme", "options": options}]})
    (line,) = [line for line in text.splitlines() if line.startswith("Options=")]
    assert sorted(line.partition("=")[2].split(",")) == sorted({*options, "nofail"})


@pytest.mark.parametrize("architecture, supported", [("x86_64", True), ("aarch64", False), ("armv7l", False), ("riscv64", False), ("i686", False)])
def test_a_processor_that_the_image_is_not_built_for_is_refused_by_name(architecture, supported):
    refuse = rendering.task("preflight", "tasks/refuse.yml", "Refuse a processor that the image is not built for")
    variables = {"ansible_facts": {"architecture": architecture}, "inventory_hostname": "here"}
    assert rendering.holds("preflight", {"when": refuse["ansible.builtin.assert"]["that"]}, variables) is supported
    said = rendering.render("preflight", refuse["ansible.builtin.assert"]["fail_msg"], variables)
    assert said.startswith("here is %s; " % architecture) and said.endswith("Use an x86_64 host.")


@pytest.mark.parametrize("changed, check_mode, runs", [(True, False, True), (False, False, False), (True, True, False), (False, True, False)])
def test_the_initramfs_is_built_when_nouveau_was_switched_off_and_only_then(changed, check_mode, runs):
    build = rendering.task("host_driver", "tasks/driver.yml", "Build the initramfs without nouveau", "ansible.builtin.command")
    assert rendering.holds("host_driver", build, {"__host_driver_nouveau": {"changed": changed}, "ansible_check_mode": check_mode}) is runs


def test_only_files_that_are_not_on_the_disk_are_fetched():
    fetch = rendering.task("model_store", "tasks/main.yml", "Fetch the files that are missing")
    files = [[{"name": "large"}, {"name": name}] for name in ("1", "2", "3")]
    found = rendering.render("model_store", fetch["loop"], {
        "_model_store_files": files, "__model_store_files": {"results": [{"on_disk": there} for there in (True, False, True)]}})
    assert [file["name"] for _model, file in found] == ["2"]


@pytest.mark.parametrize("read, judged", [({"skipped": True, "changed": False}, False), ({"problems": []}, True)])
def test_a_model_of_one_file_is_not_judged_by_what_nobody_read(read, judged):
    refuse = rendering.task("model_store", "tasks/fetch.yml", "Refuse the model as soon as a file is not what the catalogue says")
    assert rendering.holds("model_store", refuse, {"__model_store_so_far": read}) is judged

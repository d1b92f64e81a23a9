"""What json_query did until 0.6.0 is done by filters that need nothing besides community.general: the same values from the same data."""
import rendering
import yaml
from support import ROOT


def test_services_on_a_network_are_measured_by_their_first_address():
    task = rendering.task("observability", "tasks/resolve.yml", "Resolve which services are measured")
    services = [{"name": "oracle", "model": "m", "device": "cpu", "port": 8000,
                 "networks": [{"name": "a", "address": "172.30.0.10"}, {"name": "b", "address": "172.31.0.10"}]},
                {"name": "alone", "model": "m", "device": "cpu", "port": 8003, "networks": []},
                {"name": "executor", "model": "m", "device": "cpu", "port": 8002, "networks": [{"name": "a", "address": "172.30.0.20"}]}]
    found = rendering.render("observability", task["ansible.builtin.set_fact"]["_observability_services"], {"bunker_services": services}, task["vars"])
    assert found == [{"job": "services", "service": "oracle", "address": "172.30.0.10:8000"},
                     {"job": "services", "service": "executor", "address": "172.30.0.20:8002"}]
    assert rendering.render("observability", task["ansible.builtin.set_fact"]["_observability_services"], {"bunker_services": []}, task["vars"]) == []


def test_volumes_and_folders_are_made_from_above_to_below():
    task = rendering.task("disk_layout", "tasks/folders.yml", "Make the folders on the volumes")
    found = rendering.render("disk_layout", task["loop"], {
        "disk_layout_volumes": [{"device": "/dev/sdb", "mount": "/nvme/models", "owner": "65532"}, {"device": "/dev/sda", "mount": "/nvme"}],
        "disk_layout_directories": [{"path": "/nvme/docker", "mode": "0710"}]})
    assert [(one["path"], one["owner"], one["group"], one["mode"]) for one in found] == [
        ("/nvme", "root", "root", "0755"), ("/nvme/docker", "root", "root", "0710"), ("/nvme/models", "65532", "root", "0755")]


def test_what_is_published_of_a_volume_is_what_others_read():
    task = rendering.task("disk_layout", "tasks/main.yml", "Publish the volumes")
    action = {"mount": "/nvme", "device": "/dev/sda", "filesystem": "xfs", "unit": "nvme.mount", "format": True, "mount_now": True, "keeps": [], "grow": False}
    found = rendering.render("disk_layout", task["ansible.builtin.set_fact"]["bunker_volumes"], {"_disk_layout_plan": {"actions": [action]}})
    assert found == [{"mount": "/nvme", "device": "/dev/sda", "filesystem": "xfs", "unit": "nvme.mount"}]
    assert rendering.render("disk_layout", task["ansible.builtin.set_fact"]["bunker_volumes"], {"_disk_layout_plan": {"actions": []}}) == []


def test_claims_that_fail_are_counted():
    (task,) = [one for one in yaml.safe_load((ROOT / "playbooks/tasks/report.yml").read_text(encoding="utf-8")) if one["name"] == "Fail when a claim fails"]
    rows = [{"id": "a", "status": "fails"}, {"id": "b", "status": "holds"}, {"id": "c", "status": "does not apply"}]
    from ansible.template import trust_as_template
    found = rendering.render("observability", trust_as_template(task["vars"]["_failed"]), {"ansible_facts": {"bunker_claims_report": rows}})
    assert found == [{"id": "a", "status": "fails"}]

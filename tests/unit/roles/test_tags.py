"""A part of site.yml by the tags of its roles: the judgement always, then that role and what it works from; an unknown tag is refused."""
import re
import subprocess

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from support import ROOT

JUDGED = {"preflight", "disk_layout", "container_engine", "golden_image", "gateway", "observability", "inference_service"}  # each judges before all else
SITE = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8"))
PARTS = [ROOT / "playbooks/tasks" / name for name in ("judge.yml", "provide.yml", "deploy.yml")]  # what it does on a host


def ansible(*words):
    return subprocess.run(["ansible-playbook", "-i", "inventory/demo", "site.yml", *words], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def runs():
    """Which tasks run by a tag, as ROLE: NAME; of one listing, which names the tags of each."""
    done = ansible("--list-tasks")
    assert done.returncode == 0, done.stderr
    found = [(task.replace("protocol_omni.bunker.", ""), set(tags.split(", "))) for task, tags in re.findall(r"(?m)^ {6}(\S.*?)\tTAGS: \[(.*)\]$", done.stdout)
             if "Validating arguments" not in task]  # which Ansible itself adds, and always runs
    return lambda tag: [task for task, tags in found if tags & {tag, "always"}]


def test_a_roles_tag_runs_the_judgement_and_that_role(runs):
    found = runs("networks")
    assert "networks : Put the seal in force" in found and "networks : Create the networks" in found
    assert "preflight : Read the host and judge the inventory against it" in found and "Validate the arguments of all roles and what lies between them" in found
    assert {task.split(" : ")[0] for task in found if " : " in task} - {"networks"} <= JUDGED
    assert "golden_image : Fix the hash of the inputs" not in found and "gateway : Install nginx" not in found


@pytest.mark.parametrize("tag, needed", [
    ("container_engine", "disk_layout : Publish"), ("vram_watch", "golden_image : Publish what the image is"),
    ("inference_service", "golden_image : Publish what the image is"), ("networks", "inference_service : Look which services this host has"),
    ("networks", "Know the engine also where its role is left out"), ("inference_service", "Run the services"), ("gateway", "gateway : Install nginx"),
    ("verify", "networks : Look at the networks and the seal")])
def test_what_a_role_works_from_comes_with_it(runs, tag, needed):
    assert [task for task in runs(tag) if task.startswith(needed)], tag


def test_every_role_of_the_site_has_its_tag_and_each_known_tag_runs_something(runs):
    known = SITE[0]["vars"]["_site_tags"]
    roles = set(re.findall(r"name: protocol_omni\.bunker\.(\w+)$", "".join(part.read_text(encoding="utf-8") for part in PARTS), re.MULTILINE))
    assert set(known) == roles | {"verify"}
    always = len(runs("always"))
    assert always > 5 and [tag for tag in known if len(runs(tag)) == always] == ["preflight"]  # which judges, always


@pytest.mark.parametrize("words", [("--tags", "netwroks"), ("--skip-tags", "gatway")])
def test_an_unknown_tag_is_refused_by_name_before_anything_is_asked_of_a_host(words):
    done = ansible(*words)
    assert done.returncode != 0 and words[1].rpartition(",")[2] in done.stdout
    assert "nothing was changed" in done.stdout and "Known: preflight, host_driver" in done.stdout
    assert "Gathering Facts" not in done.stdout


def test_the_watcher_is_let_go_wherever_it_was_held():
    (deploy,) = [task for task in yaml.safe_load(PARTS[-1].read_text(encoding="utf-8")) if task["name"] == "Deploy while the watcher looks on"]
    held, released = deploy["block"][0], deploy["always"][0]
    assert held["ansible.builtin.import_role"]["tasks_from"] == "hold.yml" and released["ansible.builtin.import_role"]["tasks_from"] == "release.yml"
    assert held["tags"] == released["tags"]


@pytest.mark.parametrize("run, skip, good", [(["all"], [], True), (["networks"], [], True), (["all"], ["verify"], True), (["networks", "netwroks"], [], False)])
def test_a_run_without_tags_is_a_run_with_all(run, skip, good):
    play = DataLoader().load_from_file(str(ROOT / "playbooks" / "site.yml"), trusted_as_template=True)[0]
    refuse = play["tasks"][0]["ansible.builtin.assert"]["that"]
    variables = dict(play["vars"], ansible_run_tags=run, ansible_skip_tags=skip)
    assert Templar(loader=DataLoader(), variables=variables).evaluate_conditional(refuse) is good

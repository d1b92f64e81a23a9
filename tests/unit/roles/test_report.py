"""What verify.yml prints of claims: what nobody could observe is one line with its cause, and one for all that point there."""
import rendering
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims

ENTRY = {"sentence": "It is.", "role": "inference_service"}
CATALOGUE = {"SERVICE." + name: ENTRY for name in ("answers", "model", "current", "rung")}


def report():
    """A report of two services, of which one is dead."""
    owed = claims.expand(CATALOGUE, ["oracle", "executor"])
    rows = {name: claims.judge(name, entry, {"expected": "a", "observed": "a", "holds": True}) for name, entry in owed.items() if name.startswith("executor")}
    return claims.complete(rows, owed, {"inference_service oracle": "Look at the service: it ended again and again"})


def test_the_table_folds_what_points_elsewhere():
    text = (ROOT / "playbooks/templates/claims.txt.j2").read_text(encoding="utf-8")
    said = rendering.render("preflight", trust_as_template(text), {"ansible_facts": {"bunker_claims_report": report()}})
    assert [" ".join(line.split()) for line in said.strip().splitlines()] == [
        "fails oracle.answers not observed: Look at the service: it ended again and again",
        "holds executor.answers a", "holds executor.model a", "holds executor.current a", "holds executor.rung a",
        "fails 3 further claims not observed: see oracle.answers",
        "4 holds, 4 fails, 0 does not apply"]


def test_the_failure_names_the_cause_and_how_many_go_with_it():
    tasks = DataLoader().load_from_file(str(ROOT / "playbooks/tasks/report.yml"), trusted_as_template=True)
    (fail,) = [task for task in tasks if task["name"] == "Fail when a claim fails"]
    variables = {"ansible_facts": {"bunker_claims_report": report()}, "inventory_hostname": "prime"}
    said = rendering.render("preflight", fail["ansible.builtin.assert"]["fail_msg"], variables, fail["vars"])
    assert said.strip().splitlines() == [
        "4 of 8 claims fail on prime:",
        "oracle.answers: expected an observation; observed not observed: Look at the service: it ended again and again (3 further claims could not be "
        "observed for it)"]


def test_an_error_is_noted_by_its_service():
    tasks = (ROOT / "playbooks/tasks/observe_service.yml").read_text(encoding="utf-8")
    assert "combine({'inference_service ' ~ _service.name: " in tasks

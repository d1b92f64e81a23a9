"""docs/alerts.md has an entry for each alert of the role observability, with its severity and how long it waits."""
import re

import pytest
import yaml
from support import ROOT, shell_blocks

RULES = {rule["alert"]: rule for group in yaml.safe_load((ROOT / "roles/observability/files/rules.yml").read_text(encoding="utf-8"))["groups"]
         for rule in group["rules"]}
PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
ENTRIES = {part.partition("\n")[0]: part.partition("\n")[2] for part in re.split("(?m)^## ", PAGE)[1:]}


def test_each_alert_has_one_entry_and_no_entry_is_without_an_alert():
    assert sorted(RULES) == sorted(set(ENTRIES) - {"Before anything else", "When nothing here helps"})
    assert len(re.findall("(?m)^## ", PAGE)) == len(ENTRIES)


@pytest.mark.parametrize("alert", RULES)
def test_an_entry_says_severity_delay_and_what_to_do(alert):
    waits = {None: "at once"}.get(RULES[alert].get("for"), "after %s" % str(RULES[alert].get("for")).replace("s", " s"))
    first = ENTRIES[alert].strip().splitlines()[0]
    assert first.startswith("**%s**, %s." % (RULES[alert]["labels"]["severity"], waits))
    assert re.search(r"(?m)^\*\*Now:\*\* \S", ENTRIES[alert]) and re.search(r"(?m)^\*\*By day:\*\* \S", ENTRIES[alert])


@pytest.mark.parametrize("alert", [name for name, rule in RULES.items() if rule["labels"]["severity"] == "critical"])
def test_an_entry_of_a_critical_alert_has_a_command(alert):
    assert re.search(r"(?m)^    \S", ENTRIES[alert])


# The least that a Debian host has (Priority: required or important), what the roles bring, and the driver: who is called at night installs nothing first.
ON_A_HOST = {"bunker-status", "systemctl", "journalctl", "docker", "nvidia-smi", "timeout", "ps", "head", "find"}


@pytest.mark.parametrize("alert", sorted(ENTRIES))
def test_a_command_of_an_entry_is_on_every_host_or_runs_where_the_inventory_is(alert):
    called = [words[0] for block in shell_blocks.blocks(ENTRIES[alert]) for words in shell_blocks.commands(block.text)]
    assert set(called) - ON_A_HOST - {"ansible-playbook", "./bunker"} == set()


@pytest.mark.parametrize("alert", RULES)
def test_a_rule_names_no_program_that_a_host_may_lack_and_no_play_without_its_inventory(alert):
    """Without -i a checkout's ansible.cfg takes the demo's inventory."""
    said = re.sub(r"\s+", " ", RULES[alert]["annotations"]["description"])
    assert "fuser" not in said
    assert re.findall(r"ansible-playbook (?!-i INVENTORY )", said) == []


@pytest.mark.parametrize("text", [ENTRIES["ServiceDown"], RULES["ServiceDown"]["annotations"]["description"]])
def test_a_service_that_loads_its_model_is_active_and_not_activating(text):
    """Its unit is Type=exec: systemd calls it active once the container's client runs and the seal is closed, minutes before a large model is loaded."""
    unit = (ROOT / "roles/inference_service/templates/unit.service.j2").read_text(encoding="utf-8")
    assert "Type=exec" in unit and "start_timeout" not in unit
    said = re.sub(r"[\s`]+", " ", text)
    assert re.search(r"\bactive\b.{0,40}\bload", said) and not re.search("activating[^.]*start_timeout", said)

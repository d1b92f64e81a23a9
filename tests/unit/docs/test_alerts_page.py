"""docs/alerts.md has an entry for each alert of the role observability, with its severity and how long it waits."""
import re

import pytest
import yaml
from support import ROOT

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

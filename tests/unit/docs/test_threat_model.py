"""The threat model promises nothing that no claim observes, and whoever reads the security policy finds it."""
import re

import pytest
import yaml
from support import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
CLAIMS = {name for path in ROOT.glob("roles/*/vars/claims.yml") for found in yaml.safe_load(path.read_text(encoding="utf-8")).values() for name in found}
# Attackers against whom something is done that no claim of a host observes, and the test that does.
TESTED = {"a program of ours that is subverted": "tests/unit/roles/test_unit_exposure.py"}


def rows(heading):
    """Cells of each row of the table below a heading."""
    part = PAGE.partition("## %s\n" % heading)[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")][1:]


ATTACKERS = rows("Who attacks, and what stops them")


def test_there_are_attackers_of_each_kind():
    assert len(ATTACKERS) >= 7 and all(len(row) == 6 for row in ATTACKERS)


@pytest.mark.parametrize("row", ATTACKERS, ids=lambda row: row[0])
def test_what_is_promised_has_claims_and_what_is_not_is_said(row):
    who, has, wants, promised, claims, not_promised = row
    assert has and wants and promised and not_promised
    named = re.findall(r"`([^`]+)`", claims)
    assert set(named) <= CLAIMS and len(named) == len(set(named))
    assert named or (ROOT / TESTED[who]).is_file()


@pytest.mark.parametrize("row", rows("What is protected"), ids=lambda row: row[0][:30])
def test_a_claim_of_what_is_protected_is_one(row):
    assert set(re.findall(r"`([^`]+)`", row[2])) <= CLAIMS


def test_the_security_policy_leads_to_it():
    assert "(docs/threat-model.md)" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_it_is_one_page():
    assert len(PAGE.split()) < 1300

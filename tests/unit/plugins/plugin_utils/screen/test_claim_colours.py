"""Which colour a heading of the table of claims has: the captures are without."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import claim_table, style

RED, BOLD = "\x1b[1;31m", "\x1b[1m"


def claim(status):
    return {"id": "gateway.door", "role": "gateway", "status": status, "expected": "a", "observed": "b", "reason": "", "sentence": "c"}


@pytest.mark.parametrize("statuses, paint, words", [
    (["holds"], BOLD, "1 of 1 hold"), (["holds", "fails"], RED, "1 fails, 1 holds, 0 do not apply"), (["fails"], RED, "1 fails, 0 hold, 0 do not apply")])
def test_a_role_of_which_something_fails_is_red(statuses, paint, words):
    lines = claim_table.table([claim(status) for status in statuses], style.Style(100, True, True))
    (heading,) = [line for line in lines if words in line]
    assert heading.startswith(paint + "gateway ")

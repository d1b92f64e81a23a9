"""bunker-usage: what the gateway's rows become for people and for programs."""
import importlib.util
import json

import pytest
from support import ROOT

SPEC = importlib.util.spec_from_file_location("usage", ROOT / "roles/gateway/files/usage.py")
usage = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(usage)


def row(day, key="alice", model="oracle", service="oracle", requests=1, read=10, written=5, estimated=0):
    return {"day": day, "key": key, "model": model, "service": service, "requests": requests, "read": read, "written": written, "estimated": estimated}


ROWS = [row("2026-11-30"), row("2026-11-29", read=100), row("2026-11-28", read=1000, estimated=1), row("earlier", read=10000),
        row("2026-11-30", service="executor", read=7), row("2026-11-30", key="bob", model="kimi", service="kimi", requests=1200, read=1234567)]


@pytest.mark.parametrize("days, read, requests", [(0, 11110, 4), (1, 10, 1), (2, 110, 2), (3, 1110, 3), (31, 1110, 3)])
def test_days_are_those_that_were_asked_for(days, read, requests):
    found = {(one["key"], one["model"], one["service"]): one for one in usage.summed(ROWS, "2026-11-30", days)}
    assert set(found) == {("alice", "oracle", "oracle"), ("alice", "oracle", "executor"), ("bob", "kimi", "kimi")}
    of_oracle = found["alice", "oracle", "oracle"]
    assert (of_oracle["read"], of_oracle["requests"], of_oracle["today"]) == (read, requests, 15)


def test_a_table_has_a_line_for_each_and_one_for_each_limit():
    lines = usage.table(usage.summed(ROWS, "2026-11-30", 0), {"bob": 1000, "alice": 1000}, "2026-11-30")
    assert [line.split() for line in lines[:4]] == [
        ["key", "model", "requests", "read", "written", "estimated", "today"],
        ["alice", "oracle", "(by", "executor)", "1", "7", "5", "0", "12"],
        ["alice", "oracle", "4", "11,110", "20", "1", "15"],
        ["bob", "kimi", "1,200", "1,234,567", "5", "0", "1,234,572"]]
    assert lines[4:] == ["alice: 27 of 1,000 tokens of 2026-11-30", "bob: 1,234,572 of 1,000 tokens of 2026-11-30, used up"]
    assert len({len(line) for line in lines[:4]}) == 1  # the columns stand below each other
    assert usage.table([], {}, "2026-11-30") == ["No key has asked yet."]


def test_a_gateway_that_is_down_has_left_a_file_and_one_that_never_was_has_not(tmp_path, capsys):
    file, nothing = tmp_path / "usage.json", str(tmp_path / "nothing")
    file.write_text('{"rows": {}}', encoding="ascii")  # an empty list, as the gateway's library writes it
    assert usage.main(["--json", "--socket", nothing, "--file", str(file)]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["rows"] == [] and "does not answer" in said.err and str(file) in said.err
    assert usage.main(["--socket", nothing, "--file", nothing]) == 1
    said = capsys.readouterr()
    assert said.out == "" and nothing in said.err and "Are you root?" in said.err


@pytest.mark.parametrize("days", ["-1", "32"])
def test_days_that_are_not_kept_are_refused(days, capsys):
    with pytest.raises(SystemExit):
        usage.main(["--days", days])
    assert "--days %s: 1 to 31 days" % days in capsys.readouterr().err

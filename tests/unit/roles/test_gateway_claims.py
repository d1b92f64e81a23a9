"""What the gateway leads to is what the inventory names, by its own plan."""
import json
import subprocess
import sys

import pytest
import rendering

PLAN = {"digest": "ab", "keys": {"h1": "operator", "h2": "alice"}, "routes": {"oracle": {}, "executor": {}}}


def told(plan, folder):
    """The lines that the role's own program tells of a plan."""
    (folder / "routes.json").write_text(json.dumps(plan), encoding="utf-8")
    program = rendering.render("gateway", rendering.read("gateway", "vars/main.yml")["_gateway_tell_plan"], {})
    return subprocess.run([sys.executable, "-c", program, str(folder / "routes.json")], capture_output=True, text=True, check=True).stdout.splitlines()


def test_holders_and_routes_are_told_in_a_line_each(tmp_path):
    assert told(PLAN, tmp_path) == ["ab alice operator", "executor oracle"]
    both = dict(PLAN, keys=dict(PLAN["keys"], h3="operator"))  # during a rotation
    assert told(both, tmp_path) == ["ab alice operator", "executor oracle"]
    assert told(dict(PLAN, routes={}), tmp_path) == ["ab alice operator", ""]


@pytest.mark.parametrize("routes, answered, holds", [
    (["executor", "oracle"], ["oracle", "executor"], True), (["executor", "oracle", "scribe"], ["oracle", "executor"], False),
    (["oracle"], ["oracle", "executor"], False), (["executor", "oracle"], ["oracle"], False)],
    ids=["as named", "one more", "one is missing", "one does not answer"])
def test_a_route_that_the_inventory_does_not_name_fails(tmp_path, routes, answered, holds):
    record = rendering.task("gateway", "tasks/verify.yml", "Record the claims of the gateway")
    lines = ["key", "127.0.0.1:8080", *told(dict(PLAN, routes=dict.fromkeys(routes, {})), tmp_path), "operator.key root 600"]
    answers = [{"status": 200, "item": {"name": name}, "json": {"choices": [{"message": {"content": "Paris"}}]}, "x_bunker_service": name}
               for name in answered]
    row = rendering.render("gateway", record["protocol_omni.bunker.claim"]["results"]["gateway.routes"], {
        "_gateway_services": [{"name": "oracle"}, {"name": "executor"}], "_gateway_routes": {"oracle": {"kind": "chat"}, "executor": {"kind": "chat"}},
        "__gateway_now": {"stdout_lines": lines}, "__gateway_answers": {"results": answers}}, record["vars"])
    assert row["holds"] is holds and row["expected"] == "oracle, executor; routes to executor, oracle, and to nobody else"
    assert row["observed"].endswith("; routes to %s" % ", ".join(routes))

"""Rules and dashboard name nothing that nobody measures, and leave nobody without advice."""
import ast
import json
import pathlib
import re

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "observability"
TESTS = ROOT / "tests" / "observability"
DASHBOARD = json.loads((ROLE / "files" / "dashboard.json").read_text(encoding="utf-8"))
RULES = [rule for group in yaml.safe_load((ROLE / "files" / "rules.yml").read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
PROMISED = {name for names in yaml.safe_load((TESTS / "metrics.yml").read_text(encoding="utf-8")).values() for name in names}

PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
ANNOTATIONS = [(entry["name"], entry["expr"]) for entry in DASHBOARD["annotations"]["list"]]
VARIABLES = [(entry["name"], entry["definition"].split("(")[1].split(",")[0]) for entry in DASHBOARD["templating"]["list"] if entry["type"] == "query"]
WORDS = {"and", "or", "unless", "offset", "bool", "Inf"}


def metrics(expression):
    """Names of metrics in a PromQL expression: words that are no function, label, string, duration, keyword or variable of Grafana."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', " ", expression)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right) *\([^)]*\)", " ", bare)
    return set(re.findall(r"(?<![\w:$.])[A-Za-z_:][\w:]*(?![\w:]| *\()", bare)) - WORDS


@pytest.mark.parametrize("expression, names", [
    ('sum by (service, le) (rate(a_bucket{x="y z"}[5m])) / ignoring (gpu) b:c_total offset 10m', {"a_bucket", "b:c_total"}),
    ("time() - a > 1e9 or (b > 0 unless b offset 1h) < +Inf", {"a", "b"}),
    ("increase(a[$__rate_interval]) > 0", {"a"}),
])
def test_metrics_of_an_expression_are_found(expression, names):
    assert metrics(expression) == names


@pytest.mark.parametrize("where, expression", TARGETS + ANNOTATIONS + VARIABLES + [(rule["alert"], rule["expr"]) for rule in RULES])
def test_every_metric_is_promised_by_somebody(where, expression):
    found = metrics(expression)
    assert found, where
    assert found <= PROMISED, (where, found - PROMISED)


def test_the_watcher_exposes_what_is_promised_of_it():
    exporter = ast.parse((ROOT / "roles" / "vram_watch" / "files" / "exporter.py").read_text(encoding="utf-8"))
    tables = {node.targets[0].id: ast.literal_eval(node.value) for node in exporter.body if isinstance(node, ast.Assign)}
    exposed = set(tables["_GAUGES"]) | {name + "_total" for name in tables["_COUNTERS"]}
    assert exposed == set(yaml.safe_load((TESTS / "metrics.yml").read_text(encoding="utf-8"))["vram_watch"])


def test_what_is_promised_is_looked_at():
    shown = set().union(*(metrics(expression) for _where, expression in TARGETS + [(rule["alert"], rule["expr"]) for rule in RULES]))
    assert PROMISED == shown


def test_no_panel_is_without_an_expression():
    assert len(PANELS) > 15
    for panel in PANELS:
        assert panel["targets"] and all(target["expr"].strip() for target in panel["targets"]), panel["title"]
        assert panel["title"] and panel["description"] and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]


def test_panels_do_not_overlap_and_are_told_apart():
    places = [(panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y) for panel in DASHBOARD["panels"]
              for x in range(panel["gridPos"]["w"]) for y in range(panel["gridPos"]["h"])]
    assert len(places) == len(set(places))
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))


def test_the_dashboard_belongs_to_no_instance():
    assert DASHBOARD["id"] is None and "uid" not in DASHBOARD and DASHBOARD["schemaVersion"] >= 38
    holders = PANELS + [target for panel in PANELS for target in panel["targets"]] + DASHBOARD["annotations"]["list"]
    assert {holder["datasource"]["uid"] for holder in holders} == {"${datasource}"}


def not_understood(given, understood, path=""):
    """Where in a dashboard there is something that Grafana's own models do not hold, or hold otherwise."""
    if isinstance(given, dict) and isinstance(understood, dict):
        return [place for key, value in given.items() if value is not None for place in not_understood(value, understood.get(key), path + "/" + key)]
    if isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        return [place for number, pair in enumerate(zip(given, understood)) for place in not_understood(*pair, "%s/%d" % (path, number))]
    return [] if given == understood else [path]


def understood_by_grafana(dashboard):
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))


def test_grafana_understands_every_field_of_the_dashboard():
    """By the types that Grafana publishes for its oldest release that is supported."""
    # Fields of the Prometheus source's annotations, and the variable's query in words: Grafana's types leave them to the source.
    left_to_the_source = {"/annotations/list/%d/%s" % (number, field)
                          for number in range(len(ANNOTATIONS)) for field in ("step", "titleFormat", "useValueForTime")}
    assert set(not_understood(DASHBOARD, understood_by_grafana(DASHBOARD))) == left_to_the_source | {"/templating/list/1/definition"}


@pytest.mark.parametrize("path, wrong", [
    ("fieldConfig/defaults", "units"), ("options", "graphModes"), ("options/reduceOptions", "calc"), ("targets/0", "legend")])
def test_a_field_that_grafana_does_not_know_is_found(path, wrong):
    dashboard = json.loads(json.dumps(DASHBOARD))
    number = next(number for number, panel in enumerate(dashboard["panels"]) if panel["type"] == "stat")
    holder = dashboard["panels"][number]
    for key in path.split("/"):
        holder = holder[int(key) if isinstance(holder, list) else key]
    holder[wrong] = "bytes"
    assert "/panels/%d/%s/%s" % (number, path, wrong) in not_understood(dashboard, understood_by_grafana(dashboard))


@pytest.mark.parametrize("kind", ["timeseries", "state-timeline", "stat"])
def test_the_dashboard_has_panels_of_each_kind(kind):
    assert [panel for panel in PANELS if panel["type"] == kind]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_what_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["summary"]) < 120 and len(rule["annotations"]["description"]) > 150


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_each_alert_is_shown_firing_and_not_firing(alert):
    """The series themselves are promtool's to judge, in molecule/observability."""
    cases = yaml.safe_load((TESTS / "alerts.yml").read_text(encoding="utf-8"))["tests"]
    firing = [entry for case in cases for entry in case.get("promql_expr_test", []) if entry["expr"] == 'ALERTS{alertname="%s", alertstate="firing"}' % alert]
    quiet = [case for case in cases if "promql_expr_test" not in case
             and [entry for entry in case["alert_rule_test"] if entry["alertname"] == alert and entry["exp_alerts"] == []]]
    assert firing and all(entry["exp_samples"] for entry in firing)
    assert quiet

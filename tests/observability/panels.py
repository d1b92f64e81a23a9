"""Asks a Prometheus every expression of a dashboard, as Grafana would: python3 panels.py URL DASHBOARD

Fails where Prometheus does not understand one, or where one has nothing to show.
"""
import json
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

# What Grafana fills in. A minute holds enough measurements for any rate.
FILLED_IN = {"$service": ".*", "$__rate_interval": "1m"}


def expressions(dashboard):
    """Tuples of title and expression, of panels and annotations."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def ask(url, expression):
    """How many series Prometheus answers with."""
    data = urllib.parse.urlencode({"query": expression}).encode()
    try:
        with urllib.request.urlopen(url + "/api/v1/query", data) as answer:
            return len(json.load(answer)["data"]["result"])
    except urllib.error.HTTPError as error:
        raise SystemExit("%s: %s" % (expression, json.load(error)["error"])) from error


def main(url, path):
    """Prints what has nothing to show. What compares (> 0) shows something only when something happens."""
    asked = empty = 0
    for title, expression in expressions(json.loads(pathlib.Path(path).read_text(encoding="utf-8"))):
        for name, value in FILLED_IN.items():
            expression = expression.replace(name, value)
        asked += 1
        if not ask(url, expression) and not any(sign in expression for sign in (" > ", " == ", " < ")):
            empty += 1
            print("nothing: %s: %s" % (title, expression))
    print("%d expressions, %d without anything to show" % (asked, empty))
    return 1 if empty or not asked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

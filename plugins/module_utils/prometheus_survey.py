# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus says of itself by its HTTP API, taken apart. Pure functions. Standard library only."""
from __future__ import annotations

import json
import re

RELOADED = re.compile(r"^prometheus_config_last_reload_successful 1$", re.MULTILINE)


def _data(text):
    """The data of an answer; {} of one that is none."""
    try:
        data = json.loads(text)["data"]
    except (ValueError, KeyError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}


def targets(text):
    """Whom it measures: list of dict of ``job``, ``service`` ("" for none), ``address`` and ``health`` (up, down or unknown).

    :param text: what ``/api/v1/targets`` answered, "" where it did not.
    """
    return [{"job": found["labels"].get("job", ""), "service": found["labels"].get("service", ""), "address": found["labels"].get("instance", ""),
             "health": found.get("health", "")} for found in _data(text).get("activeTargets") or []]


def rules(text):
    """The rules that it has loaded, in their order: list of dict of str, ``name``, ``query``, ``duration``, ``severity``, ``summary``, ``description``,
    ``health`` (ok where it was evaluated).

    :param text: what ``/api/v1/rules`` answered, "" where it did not.
    """
    return [{"name": rule["name"], "query": rule["query"], "duration": "%gs" % rule.get("duration", 0), "health": rule.get("health", ""),
             "severity": (rule.get("labels") or {}).get("severity", ""),
             **{name: (rule.get("annotations") or {}).get(name, "") for name in ("summary", "description")}}
            for group in _data(text).get("groups") or [] for rule in group.get("rules") or []]


def configuration(text):
    """The YAML of the configuration that it has loaded, "" where it does not say.

    :param text: what ``/api/v1/status/config`` answered.
    """
    return str(_data(text).get("yaml") or "")


def reloaded(text):
    """Whether its last attempt to load a configuration went well.

    :param text: what ``/metrics`` answered.
    """
    return RELOADED.search(text) is not None

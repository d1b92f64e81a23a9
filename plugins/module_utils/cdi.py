# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specifications of devices for containers (CDI) as they lie on a host: which cards and which driver they name. Pure functions over texts.

They are YAML or JSON, and hosts have no parser of YAML: what counts are four kinds of lines, which both write alike but for quotation marks. The container
engine reads all files of both folders; of one name in both, that of the second holds; of one name twice in a folder, none
(cncf-tags/container-device-interface, SPEC.md and pkg/cdi/cache.go).
"""
from __future__ import annotations

import json
import re

FOLDERS = ("/etc/cdi", "/var/run/cdi")
SUFFIXES = (".yaml", ".json")
# What host_driver writes at every boot, and NVIDIA's own nvidia-cdi-refresh too.
OWN = "/var/run/cdi/nvidia.yaml"
_KIND = re.compile(r"""["']?\bkind["']?\s*:\s*["']?([a-z0-9.-]+/[A-Za-z0-9._-]+)""")
_COMMENT = re.compile(r"^\s*#.*$|\s#[^\"'\n]*$", re.MULTILINE)
# A device file of one card: not nvidiactl, nvidia-uvm, nvidia-modeset.
_NODE = re.compile(r"/dev/nvidia(\d{1,3})\b")
_NAME = re.compile(r"""["']?\bname["']?\s*:\s*(?:&\w+\s+)?["']?((?:GPU|MIG)-[0-9A-Za-z/-]+)""")
_DRIVER = re.compile(r"\blibcuda\.so\.([0-9]{3,4}\.[0-9]{1,4}(?:\.[0-9]{1,4})?)\b")


def _unescaped(text):
    """JSON without what a writer may escape and another leaves as it is, such as "nvidia.com\\/gpu"; other text as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def of_text(path, text):
    """A specification: dict of path, kind ("" for none), devices (UUIDs by which cards and slices are named), nodes (numbers of the cards' device files) and
    drivers (versions of its libcuda)."""
    text = _unescaped(text) if text.lstrip().startswith("{") else text if path.endswith(".json") else _COMMENT.sub("", text)
    kind = _KIND.search(text)
    return {"path": path, "kind": kind.group(1) if kind else "", "devices": sorted(set(_NAME.findall(text))),
            "nodes": sorted({int(number) for number in _NODE.findall(text)}), "drivers": sorted(set(_DRIVER.findall(text)))}

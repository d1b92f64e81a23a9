# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the collection's roles say of themselves. Runs on the controller only."""
from __future__ import annotations

import functools
import pathlib
import re

import yaml
from ansible_collections.protocol_omni.bunker.plugins.module_utils import argument_specs

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


def _load(path):
    # The C loader where PyYAML has it: ten times as fast, and every task is a process that reads anew.
    return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def role_names():
    """Names of all roles, sorted."""
    return sorted(path.name for path in ROLES.iterdir() if (path / "meta" / "argument_specs.yml").is_file())


@functools.lru_cache(maxsize=None)
def argument_options(role):
    """The options of a role's main entry point, as its meta/argument_specs.yml writes them. Read-only: it is cached."""
    data = _load(ROLES / role / "meta" / "argument_specs.yml")
    return data["argument_specs"]["main"]["options"]


def completed(role, option, value):
    """A value with the nested defaults of a role's option.

    :raises ValueError: it does not fit the option's spec.
    """
    found, errors = argument_specs.validate({option: argument_options(role)[option]}, {option: value})
    if errors:
        raise ValueError("%s: %s. See roles/%s/meta/argument_specs.yml." % (option, "; ".join(errors), role))
    return found[option]


def claim_catalogue(role):
    """A role's claims, id to its entry (sentence, doctrine, observed); empty for a role without claims."""
    path = ROLES / role / "vars" / "claims.yml"
    if not path.is_file():
        return {}
    return _load(path)["_%s_claims" % role]


def cuda_major():
    """Major version of the CUDA toolkit that golden_image builds with, from its lock file."""
    text = (ROLES / "golden_image" / "files" / "cuda-toolchain.txt").read_text(encoding="utf-8")
    return int(re.search(r"^nvidia-cuda-nvcc==(\d+)\.", text, re.MULTILINE).group(1))

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role model_store, judged. Pure functions.

Their sentences stand in roles/model_store/vars/claims.yml; the module model_store_info looks.
"""
from __future__ import annotations

UNUSED = {"does_not_apply": "no service of the inventory uses a model"}


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``models``, those of the catalogue that a service uses.
    :param seen: what model_store_info returned for them.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    models, found = wanted["models"], seen["models"]
    if not models:
        return {"models.verified": UNUSED, "models.architecture": UNUSED}
    files, problems = sum(len(model["files"]) for model in models), [problem for model in found for problem in model["problems"]]
    return {
        "models.verified": {
            "expected": "%d files of %d models: whole, in their place, as they were verified" % (files, len(models)),
            "observed": " ".join(problems) or "%d files as expected" % files,
            "holds": not problems and files > 0 and [model["name"] for model in found] == [model["name"] for model in models]},
        "models.architecture": {
            "expected": ", ".join(model["architecture"] for model in models),
            "observed": ", ".join(model["architecture"] or "unreadable" for model in found) or "no model",
            "holds": [model["architecture"] for model in found] == [model["architecture"] for model in models]}}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the models of an inventory are: by their files where they lie, else by the inventory, else by who has them. Arguments as in judge.py."""
from __future__ import annotations

import collections

from .. import model_files

PART = ".part"  # behind the name of a file that is being fetched (modules/source_file.py)
# total: bytes of the files whose size is known. missing: those of them that are still to be fetched. projector: those of a projector, within total.
# unknown: list of (file's name, why nobody who was asked said its size, "" where nobody could be asked) of the others. files: how many there are.
Model = collections.namedtuple("Model", ["total", "missing", "projector", "unknown", "files"])


def models_used(inventory):
    """Names of the models that services serve or draft with."""
    return {service[key] for service in inventory["bunker_services"] for key in ("model", "draft_model")} - {""}


def _used(inventory):
    """Entries of the models in use; of two of a name the last one, as validation has refused them already."""
    used = models_used(inventory)
    return {model["name"]: model for model in inventory["model_store_catalogue"] + inventory["model_store_extra_models"] if model["name"] in used}


def _path(inventory, model, entry):
    return "%s/%s/%s" % (inventory["model_store_path"], model["name"], entry["name"])


def _origin(inventory, model, entry):
    """The address or path at which a file's size can be asked; "" for a file of a package."""
    if inventory.get("bunker_bundle"):
        return "%s/models/%s/%s" % (inventory["bunker_bundle"], model["name"], entry["name"])
    source = entry.get("source") or {}
    return source.get("file") or source.get("url") or ""


def questions(inventory, ask=True):
    """What host_info is to read of models: its options models and sources.

    :param ask: whether servers may be asked for sizes that the inventory does not say.
    """
    used = _used(inventory)
    origins = {_path(inventory, model, entry): _origin(inventory, model, entry)
               for model in used.values() for entry in model["files"] if not entry.get("size")} if ask else {}
    return {"models": {name: [_path(inventory, model, entry) for entry in model_files.ordered(model["files"])] for name, model in used.items()},
            "sources": {path: origin for path, origin in origins.items() if origin}}


def models(inventory, host):
    """Name to :data:`Model` of each model in use. An empty file is as one that is not there."""
    there = {name: Model(found["bytes"], 0, found.get("projector", 0), [], 0)
             for name, found in host["models"].items() if name in models_used(inventory) and found["bytes"]}
    return dict({name: _model(inventory, host, model) for name, model in _used(inventory).items() if name not in there}, **there)


def _model(inventory, host, model):
    stored, asked = host.get("stored") or {}, host.get("sources") or {}
    total = missing = projector = 0
    unknown = []
    for entry in model["files"]:
        path = _path(inventory, model, entry)
        said = asked.get(path) or {"bytes": None, "said": ""}
        size = stored.get(path) or entry.get("size") or said["bytes"]
        if not size:
            unknown.append((entry["name"], said["said"]))
            continue
        total += size
        projector += size if model_files.role_of(entry) == model_files.PROJECTOR else 0
        missing += 0 if stored.get(path) else max(size - stored.get(path + PART, 0), 0)
    return Model(total, missing, projector, unknown, len(model["files"]))


def unsaid(model):
    """What is to be said of a model some of whose files have no size: text for a finding.

    :param model: its :data:`Model`, with unknown files.
    """
    names = [entry for entry, _why in model.unknown]
    if len(names) == model.files:
        words, asked = "no size: its files are not there, and its entry gives none", "Who has them was asked"
    else:
        more = " and %d more" % (len(names) - 3) if len(names) > 3 else ""
        words = "no size of %s%s: %s not there, and its entry gives none" % (", ".join(names[:3]), more, "it is" if len(names) == 1 else "they are")
        asked = "Who has it was asked" if len(names) == 1 else "Who has them was asked"
    why = next((why for _entry, why in model.unknown if why), "")
    return "%s. %s: %s" % (words, asked, why) if why else words

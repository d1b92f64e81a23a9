# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models among which an inventory's draft chooses. Runs on the controller only."""
from __future__ import annotations

import yaml

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

HUB = "https://huggingface.co"


def load(hub=HUB):
    """The candidates of roles/model_store/files/candidates.yml with files as model_store_catalogue has them: hashes "REPLACE: COMMAND", sizes 0.

    :param hub: address of the model hub.
    :returns: list of dict, worse ones first.
    """
    found = _of_role("files/candidates.yml")["candidates"]
    shipped = {model["name"]: model for model in _of_role("defaults/main.yml")["model_store_catalogue"]}
    for candidate in found:
        candidate["files"] = _files(candidate["hub"], hub) if candidate.get("hub") else shipped[candidate["name"]]["files"]
    return found


def plan(hub=HUB):
    """The models of roles/model_store/files/models.yml, which also says what its keys mean, with files as :func:`load` has them.

    :param hub: address of the model hub.
    :returns: list of dict, in the order of the file; ``header`` has the keys of the GGUF.
    """
    there, found = {candidate["name"]: candidate for candidate in load(hub)}, []
    for entry in _of_role("files/models.yml")["models"]:
        model = dict(there[entry["candidate"]], **{key: value for key, value in entry.items() if key != "candidate"}) if "candidate" in entry else dict(
            entry, files=_files(entry["hub"], hub))
        architecture = model["architecture"]
        model["header"] = dict({"%s.%s" % (architecture, key): value for key, value in entry["header"].items()}, **{"general.architecture": architecture})
        found.append(model)
    return found


def _of_role(path):
    return yaml.safe_load((collection_roles.ROLES / "model_store" / path).read_bytes())


def _files(place, hub):
    return [dict(_file(place, name, hub), size=size) for name, size in zip(place["files"], place.get("sizes") or [0] * len(place["files"]))]


def in_hub(place, name):
    """A file's path in its repository."""
    return "/".join(filter(None, (place.get("folder"), name)))


def _file(place, name, hub):
    url = "%s/%s/resolve/main/%s" % (hub, place["repository"], in_hub(place, name))
    return {"name": name, "sha256": "REPLACE: curl -sL %s | grep oid" % url.replace("/resolve/", "/raw/"), "size": 0, "source": {"url": url}}

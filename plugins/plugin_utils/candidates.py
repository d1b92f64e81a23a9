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
    path = collection_roles.ROLES / "model_store" / "files" / "candidates.yml"
    found = yaml.safe_load(path.read_bytes())["candidates"]
    shipped = {model["name"]: model for model in yaml.safe_load((collection_roles.ROLES / "model_store" / "defaults" / "main.yml").read_bytes())[
        "model_store_catalogue"]}
    for candidate in found:
        place = candidate.get("hub")
        candidate["files"] = [_file(place, name, hub) for name in place["files"]] if place else shipped[candidate["name"]]["files"]
    return found


def in_hub(place, name):
    """A file's path in its repository."""
    return "/".join(filter(None, (place.get("folder"), name)))


def _file(place, name, hub):
    url = "%s/%s/resolve/main/%s" % (hub, place["repository"], in_hub(place, name))
    return {"name": name, "sha256": "REPLACE: curl -sL %s | grep oid" % url.replace("/resolve/", "/raw/"), "size": 0, "source": {"url": url}}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a draft pins, resolved by the origins themselves. Runs on the controller only."""
from __future__ import annotations

import copy
import datetime
import io

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import models
from ansible_collections.protocol_omni.bunker.plugins.module_utils.origins import fetch, hub, keys, registry
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import candidates

BASE = "debian:trixie-slim"
UNTOLD = (fetch.OriginError, gguf.GGUFError, OSError)


class Resolver:
    """Asks registry and hub; what they do not say stays open, and ``said`` has why.

    :param settings: dict of hub (address), registry_scheme, base (image with its tag), trust_keys (fingerprints that a person has compared).
    """

    def __init__(self, settings, fetcher=None, today=None):
        self.settings, self.fetcher = settings, fetcher or fetch.Fetcher()
        self.today, self.said = today or datetime.date.today().isoformat(), []
        self.headers = {}  # name of a model to the metadata of its first file, where the hub has shown it

    def _asked(self, function, *words, **named):
        try:
            return function(self.fetcher, *words, **named)
        except UNTOLD as error:
            self.said.append(str(error))
            return None

    def base(self):
        """(value or None, note) of golden_image_base."""
        name = self.settings["base"]
        found = self._asked(registry.digest, name, scheme=self.settings["registry_scheme"])
        return (found and "%s@%s" % (name, found)), "Digest of %s: %s, %s." % (name, "/".join(registry.parts(name)[:2]), self.today) if found else ""

    def model(self, candidate):
        """(the candidate with hashes, sizes and addresses that stay; its Facts or None; a note)."""
        if candidate.get("shipped"):
            return candidate, None, ""
        place, untold, candidate = candidate["hub"], candidate, copy.deepcopy(candidate)
        paths = [candidates.in_hub(place, name) for name in place["files"]]
        found = self._asked(hub.files, self.settings["hub"], place["repository"], paths)
        if not found:
            return untold, None, ""
        for entry, one in zip(candidate["files"], found):
            entry.update(sha256=one.sha256, size=one.size, source={"url": one.url})
        facts = None
        try:
            self.headers[candidate["name"]], facts = self._facts(self.fetcher, found)
        except UNTOLD as error:
            self.said.append(str(error))
            if isinstance(error, fetch.Changed):  # there is another file than the one of that hash
                return untold, None, ""
        return candidate, facts, "%s: hashes and sizes of %s/%s at the commit of its addresses, %s." % (
            candidate["name"], self.settings["hub"], place["repository"], self.today)

    @staticmethod
    def _facts(fetcher, found):
        headers = [gguf.read_header(io.BufferedReader(hub.Start(fetcher, one)), one.path) for one in found]
        tensors = {name: size for header in headers for name, size in header.tensors.items()}
        return headers[0].metadata, models.of_headers(headers[0].metadata, tensors, sum(one.size for one in found))

    def key(self, address):
        """dict of address, fingerprint (or None) and confirmed: whether a person has compared it."""
        found = self._asked(keys.fingerprint, address)
        return {"address": address, "fingerprint": found, "confirmed": bool(found) and found in self.settings["trust_keys"]}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a model by their roles: a list of the catalogue holds its weights and whatever else llama-server is to be given with them. Pure functions."""
from __future__ import annotations

WEIGHTS, PROJECTOR, TEMPLATE, ADAPTER = ROLES = ("weights", "projector", "chat_template", "adapter")
# Roles of which a model has one file at most; adapters are as many as it likes, and weights are one file or its shards.
SINGLE = (PROJECTOR, TEMPLATE)
FOLDER = "/models"  # of the model, in the container


def role_of(entry):
    """The role of a file: one of :data:`ROLES`; an entry that does not say it is a part of the weights."""
    return entry.get("role") or WEIGHTS


def of_role(files, role):
    """Entries of a role, in their order: list of dict.

    :param files: ``files`` of a model of the catalogue.
    """
    return [entry for entry in files if role_of(entry) == role]


def weights(files):
    """The entries of the weights, the first shard first."""
    return of_role(files, WEIGHTS)


def ordered(files):
    """All entries, those of the weights first."""
    return weights(files) + [entry for entry in files if role_of(entry) != WEIGHTS]


def server_words(files):
    """Words of llama-server for the files that are no weights (llama.cpp, common/arg.cpp: --mmproj, --chat-template-file, --lora-scaled)."""
    words = []
    for option, role in (("--mmproj", PROJECTOR), ("--chat-template-file", TEMPLATE)):
        words += [word for entry in of_role(files, role) for word in (option, "%s/%s" % (FOLDER, entry["name"]))]
    adapters = ["%s/%s:%g" % (FOLDER, entry["name"], float(entry.get("scale", 1))) for entry in of_role(files, ADAPTER)]
    return words + (["--lora-scaled", ",".join(adapters)] if adapters else [])


def beside_weights(files, size_of):
    """Bytes of a card that files take which llama-fit-params is not told of: dict of ``first`` (of the first card, where llama-server loads a projector) and
    ``each``. An adapter lies where the tensors lie that it changes; which card that is shows only with the plan, so each card keeps room for all of it.

    :param size_of: function of an entry that returns its bytes.
    """
    return {"first": sum(map(size_of, of_role(files, PROJECTOR))), "each": sum(map(size_of, of_role(files, ADAPTER)))}

# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's definition, completed by its spec, by its model's header and by what its host remembers. Pure functions. Runs on the controller only."""
from __future__ import annotations

import json

from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules, kind_rules, model_files
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import fingerprint, tuning
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles


# What each file of a service on its host holds, and what follows where it cannot be read.
WHAT_IS_LOST = {"rungs": ("the rungs of services", "nobody knows at which rung they are to run; without it all run as the inventory says"),
                "resolved": ("the resolved service", "it is resolved anew; the next run of site.yml writes it"),
                "proven": ("what answered last", "a deployment that fails would go back to what is there; the next run of site.yml writes it anew")}


def completed(definition):
    """The definition with the defaults of the role's spec.

    :raises ValueError: it does not fit the spec.
    """
    return collection_roles.completed("inference_service", "inference_service_definition", definition)


def model_of(catalogue, name):
    """A model's entry of the catalogue.

    :raises ValueError: there is none.
    """
    for model in catalogue:
        if model["name"] == name:
            return model
    raise ValueError("model %s is in neither model_store_catalogue nor model_store_extra_models" % name)


def kind_of(spec, model, facts):
    """``kind``, ``problems`` (numbered lines of what contradicts it) and ``definition`` (what it decides of the service's)."""
    problems = inventory_rules.numbered(kind_rules.of_header(spec, facts or {}, model["files"]))
    return {"kind": kinds.of_service(spec, facts or {}), "problems": problems, "definition": kinds.decided(spec, facts or {})}


def rung_of(spec, rungs, asked):
    """The rung at which it shall run: the one that is asked for, else the one that this host has taken; 0 is the inventory's own configuration.

    :param spec: the definition with its kind. What its name took as another kind of service is no rung of one that has no ladder.
    :param rungs: service to the rung that it has taken. By its name, as the ladder may have been written anew: a rung that it no longer has is none.
    :param asked: a rung, -1 for none.
    """
    if asked >= 0:
        return asked
    taken = (rungs.get(spec["name"]) or {}).get("name") or ""
    return spec["ladder"].index(taken) + 1 if taken in spec["ladder"] else 0


def previous(texts, proven, rung):
    """What to go back to: what answered last, else what is there. Empty where there is neither; what is masked is a link to an empty file."""
    if proven:
        return proven
    return {"unit": texts["unit"], "resolved": texts["resolved"], "rung": rung} if texts.get("unit") and texts.get("resolved") else {}


def tuned(spec, model, catalogue, host, image, given):
    """Its threads, CPUs, batch and speculation.

    :param given: dict with ``names`` of all services, ``speculations`` and ``placements``.
    :raises ValueError: the inventory asks for what cannot be.
    """
    draft = next((one["files"] for one in catalogue if one["name"] == spec["draft_model"]), [])
    return tuning.tune(spec, given["names"], host["fingerprint"], host["cpus"], image, fingerprint.model_hash(model["files"] + draft), host["measured"],
                       given["speculations"], model_files.weights(draft)[0]["name"] if draft else "", given["placements"])


def remembered(texts, name, empty):
    """What a JSON file of this host says: an object, ``empty`` where there is none, None where it is something else."""
    try:
        found = json.loads(texts[name]) if texts.get(name) else empty
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and (name != "rungs" or isinstance(found.get("rungs"), dict)) else None


def damaged(name, paths):
    """What is said of a file of this host that :func:`remembered` could not read."""
    return "%s is not what was written there (%s, as JSON), so %s. Remove it: rm %s" % (
        paths[name], *WHAT_IS_LOST[name], paths[name])


def resolved(spec, there, given):
    """All that follows from a definition and its host, before its weights are placed.

    :param spec: of :func:`completed`.
    :param there: what the module service_inputs_info returned: ``texts`` of unit, resolved, rungs and proven, ``header`` and ``host``.
    :param given: arguments of the action: ``models``, ``names``, ``rung``, ``image``, ``as_deployed``, ``speculations``, ``placements`` and ``refuse``;
        and ``check_mode``.
    :returns: dict with ``spec``, ``kind``, ``facts`` (what the host remembers of rungs), ``rung``, ``deployed``, ``kept`` (bool), ``tuning``, ``proven``,
        ``damaged`` (sentences about files of this host that are no longer what was written) and ``previous``.
    :raises ValueError: it is refused, the inventory asks for what cannot be, or nobody knows at which rung it is to run.
    """
    texts, model = there["texts"], model_of(given["models"], spec["model"])
    kind = kind_of(spec, model, there["header"].get("facts"))
    spec = dict(spec, **kind["definition"])
    # Before it is tuned: what follows from a fault would be told instead of it.
    refused = refusal(kind, spec, given["check_mode"]) if given["refuse"] else ""
    if refused:
        raise ValueError(refused)
    facts, deployed, proven = remembered(texts, "rungs", {"rungs": {}}), remembered(texts, "resolved", {}), remembered(texts, "proven", {})
    lost = [damaged(name, given["paths"]) for name, found in (("rungs", facts), ("resolved", deployed), ("proven", proven)) if found is None]
    if facts is None and given["refuse"]:
        raise ValueError("Service %s was not deployed; nothing of it was changed. %s" % (spec["name"], lost[0]))
    facts, deployed, proven = facts or {"rungs": {}}, deployed or {}, proven or {}
    kept = bool(given["as_deployed"] and "tuning" in deployed and "placement" in deployed)
    return {
        "spec": spec, "kind": kind, "facts": facts, "rung": rung_of(spec, facts["rungs"], given["rung"]), "deployed": deployed, "kept": kept,
        "tuning": deployed["tuning"] if kept else tuned(spec, model, given["models"], there["host"], given["image"] or deployed.get("image", ""), given),
        "proven": proven, "damaged": lost, "previous": previous(texts, proven, facts["rungs"].get(spec["name"]) or {})}


def refusal(kind, spec, check_mode):
    """Why the service is not deployed, "" where it may be.

    :param kind: of :func:`kind_of`.
    :param spec: the definition with its kind.
    :param check_mode: a driver that is not there yet is predicted.
    """
    if kind["problems"]:
        return "Service %s was not deployed; nothing of it was changed.\n%s" % (spec["name"], "\n".join(kind["problems"]))
    by_slot = [gpu for gpu in spec["gpus"] if gpu.startswith("PCI-")]
    if by_slot and not check_mode:
        return ("Service %s: no driver has shown the UUID of %s. A name by slot becomes one through the filter protocol_omni.bunker.card_uuids with "
                "bunker_host, once nvidia-smi -L lists the card: run site.yml again then, or write the UUID into gpus."
                % (spec["name"], ", ".join(by_slot)))
    return ""

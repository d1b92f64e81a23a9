#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a service's weights lie on the host's GPUs; planned once, then kept."""
from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_placement
short_description: Find out where a service's weights lie on the GPUs
version_added: 0.5.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Returns a placement that is complete. One that leaves the number of layers open is planned by llama.cpp's C(llama-fit-params), in a container of its own
    without a network, on the service's own GPUs. The plan is kept in O(path), and stands until what it was made for changes.
  - Cards that a service holds are no measure of what it may have, so O(unit) is stopped before a plan is made. Where none can be made it is started again.
options:
  service:
    description: The complete definition of the service.
    type: dict
    required: true
  name:
    description: Name of the placement.
    type: str
    required: true
  placements:
    description: Named placements, O(ignore:inference_service_placements).
    type: dict
    required: true
  measured:
    description: The plan of that name as it was measured, with what it was made for. It is taken where that has not changed.
    type: dict
    default: {}
  image:
    description: ID of the image whose llama-fit-params plans.
    type: str
    required: true
  model:
    description: The model's entry of the catalogue.
    type: dict
    required: true
  store:
    description: Folder on the host that holds one folder a model.
    type: path
    required: true
  cdi_kind:
    description: CDI kind under which the GPUs are registered.
    type: str
    default: nvidia.com/gpu
  free:
    description: GiB to keep free on each GPU. Room for the model's projector (on the first one) and adapters is kept besides.
    type: float
    required: true
  path:
    description: JSON file that keeps the plans of the service. Its folder is created.
    type: path
    required: true
  unit:
    description: The service's unit.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    details: Plans nothing. Where a plan would be made, or there is no driver yet, predicts a change and returns the placement without it.
"""

EXAMPLES = r"""
- name: Find out where its weights lie
  protocol_omni.bunker.gpu_placement:
    service: "{{ definition }}"
    name: planned
    placements: {planned: {}}
    image: "{{ bunker_image.id }}"
    model: "{{ model }}"
    store: /nvme/models
    free: 7
    path: /etc/protocol_omni/services/oracle.placement.json
    unit: protocol-omni-oracle.service
  register: placement
"""

RETURN = r"""
placement:
  description: C(gpus), C(gpu_layers), C(tensor_split), C(tensor_overrides), C(split_mode), C(load_mode).
  returned: success
  type: dict
stopped:
  description: Whether O(unit) was stopped and is to be started.
  returned: success
  type: bool
origin:
  description: V(inventory), V(measured), V(kept) or V(planned); V(open) in check mode where a plan would be made.
  returned: success
  type: str
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf, model_files, model_memory, placement, small_file
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import fingerprint

PATIENCE = 60  # seconds for the driver to have the memory back
KEPT = 6  # plans of a name: going back to an image finds its own


class Failure(Exception):
    """Why no placement was found; the message is for people."""


def cards(module, column="memory.total"):
    """UUID to bytes of VRAM; None in check mode where there is no driver yet.

    :raises Failure: nvidia-smi does not say.
    """
    try:
        code, out, errors = module.run_command(["nvidia-smi", "--query-gpu=uuid," + column, "--format=csv,noheader,nounits"], handle_exceptions=False)
    except OSError as error:
        code, out, errors = 127, "", str(error)
    if code and module.check_mode:
        return None
    if code:
        raise Failure("nvidia-smi does not say which GPUs there are: %s" % (errors or out).strip())
    return placement.cards_of(out)


def wait_until_free(module):
    """Until what the cards hold no longer falls: the driver takes a moment to have a process's memory back."""
    before, end = None, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        now = cards(module, "memory.used")
        if now == before:
            return
        before = now
        time.sleep(1)


def expert_matrices(module):
    """Bytes of each matrix of experts of the model."""
    given = module.params
    paths = ["%s/%s/%s" % (given["store"], given["model"]["name"], entry["name"]) for entry in model_files.weights(given["model"]["files"])]
    try:
        return model_memory.expert_matrices(gguf.read_model(paths)[1])
    except gguf.GGUFError as error:
        module.fail_json(msg="service %s: its experts cannot be placed, because the model cannot be read: %s. Fetch it again: run site.yml with the model's "
                             "file removed. Nothing was stopped." % (given["service"]["name"], error))


def size_of(module, entry):
    """Bytes of a file of the model; what the catalogue says of one that is not there."""
    try:
        return os.path.getsize("%s/%s/%s" % (module.params["store"], module.params["model"]["name"], entry["name"]))
    except OSError:
        return int(entry.get("size") or 0)


def plan(module, place, keep):
    """Stops the service and has llama-fit-params say. Whatever goes wrong from then on, a service that ran is started again.

    :param keep: function that writes the placement down.
    :returns: (placement, whether the service ran).
    :raises Failure: no placement, or one that cannot be written down.
    """
    given = module.params
    matrices = expert_matrices(module) if place.get("others") else {}
    besides = model_files.beside_weights(given["model"]["files"], lambda entry: size_of(module, entry))
    # Also one that is about to start: it would take the cards meanwhile.
    ran = module.run_command(["systemctl", "is-active", given["unit"]])[1].strip() in ("active", "activating", "reloading")
    if ran:
        code, out, errors = module.run_command(["systemctl", "stop", given["unit"]])
        if code:
            raise Failure("%s holds the cards and could not be stopped: %s" % (given["unit"], (errors or out).strip()))
    ended = [0, ""]

    def fit(place, kept):
        code, out, errors = module.run_command(placement.fit_command(
            given["service"], place, "%s/%s" % (given["store"], given["model"]["name"]), model_files.weights(given["model"]["files"])[0]["name"],
            given["image"], given["cdi_kind"], kept), handle_exceptions=False)
        ended[:] = [code, errors]
        return out, errors
    try:
        if ran:
            wait_until_free(module)
        found = placement.planned(place, given["free"], fit, cards(module, "memory.free"), matrices, besides)
        keep(found)
    except (ValueError, OSError, Failure) as error:
        why = "%s (exit status %d). %s" % (error, ended[0], ended[1].strip()[-600:]) if isinstance(error, ValueError) else str(error)
        remedy = " Lower inference_service_vram_free (%g GiB), or give gpu_layers a number." % given["free"] if isinstance(error, ValueError) else ""
        raise Failure("service %s: placement %s could not be planned, or its plan not be kept: %s%s%s" % (
            given["service"]["name"], given["name"], why, start_again(module, ran), remedy)) from error
    except BaseException:
        start_again(module, ran)
        raise
    return found, ran


def start_again(module, ran):
    """Starts a service that was stopped for its plan, and says so."""
    if not ran:
        return ""
    return " It runs again as it was." if module.run_command(["systemctl", "start", module.params["unit"]])[0] == 0 else " IT COULD NOT BE STARTED AGAIN."


def main():
    module = arguments()
    try:
        module.exit_json(**choose(module))
    except Failure as error:
        module.fail_json(msg=str(error))


def arguments():
    return AnsibleModule(argument_spec={
        "service": {"type": "dict", "required": True}, "name": {"type": "str", "required": True}, "placements": {"type": "dict", "required": True},
        "measured": {"type": "dict", "default": {}}, "image": {"type": "str", "required": True}, "model": {"type": "dict", "required": True},
        "store": {"type": "path", "required": True}, "cdi_kind": {"type": "str", "default": "nvidia.com/gpu"}, "free": {"type": "float", "required": True},
        "path": {"type": "path", "required": True}, "unit": {"type": "str", "required": True}}, supports_check_mode=True)


def choose(module):
    """Finds the placement: what the inventory says, what was measured or kept, or a new plan.

    :returns: dict of the module's results.
    :raises Failure: there is none.
    """
    given = module.params
    try:
        place = placement.named(given["service"], given["placements"], given["name"])
    except ValueError as error:
        raise Failure(str(error)) from error
    planned = placement.is_planned(place)
    there = cards(module)
    if there is None:
        return {"changed": planned, "placement": place, "stopped": False, "origin": "open" if planned else "inventory"}
    # nvidia-smi names whole cards; whether a part of one is there, preflight knows.
    missing = [uuid for uuid in place["gpus"] if uuid not in there and not uuid.startswith("MIG-")]
    if missing:
        raise Failure("service %s: the host has no GPU %s; it has %s. Mend the card; where it is gone for good take it out of gpus: the "
                      "service is placed on those that remain." % (given["service"]["name"], ", ".join(missing), ", ".join(sorted(there)) or "none"))
    if not planned:
        return {"changed": False, "placement": place, "stopped": False, "origin": "inventory"}
    plans = small_file.record(given["path"])
    made_for = placement.identity(given["service"], place, given["image"], fingerprint.model_hash(given["model"]["files"]), there, given["free"])
    if given["measured"].get("made_for") == made_for:
        return {"changed": False, "placement": given["measured"]["placement"], "stopped": False, "origin": "measured"}
    known = next((one for one in plans.get(given["name"], []) if one["made_for"] == made_for), None)
    if known:
        return {"changed": False, "placement": known["placement"], "stopped": False, "origin": "kept"}
    if module.check_mode:
        return {"changed": True, "placement": place, "stopped": False, "origin": "open"}

    def keep(found):
        entry = {"made_for": made_for, "placement": found, "date": time.strftime("%Y-%m-%d", time.gmtime())}
        plans[given["name"]] = ([entry] + plans.get(given["name"], []))[:KEPT]
        small_file.write_record(given["path"], plans)
    found, ran = plan(module, place, keep)
    return {"changed": True, "placement": found, "stopped": ran, "origin": "planned"}


if __name__ == "__main__":
    main()

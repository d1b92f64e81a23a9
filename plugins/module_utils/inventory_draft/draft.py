# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a host, from what it is and what a person has decided."""
from __future__ import annotations

import collections

from ..cuda_readiness.targets import BRANCH_OF_CUDA
from ..host_rules.finding import version
from ..inventory_rules import Problem
from . import cards, disks, models, subnets

# One variable with the lines that explain it.
Entry = collections.namedtuple("Entry", ["name", "value", "comment"])
# title and entries of a part of the file.
Part = collections.namedtuple("Part", ["title", "entries"])
SYSTEMS = ("Debian 12", "Debian 13", "Ubuntu 24", "Ubuntu 26")
BRANCH = BRANCH_OF_CUDA[13]
SHIPPED = "smollm2-135m-instruct-q4_1"  # of model_store_catalogue, from a wheel
KEYS = (("host_driver_repository_fingerprint", "driver", "https://developer.download.nvidia.com/compute/cuda/repos/%s/x86_64/%s"),
        ("host_driver_toolkit_repository_fingerprint", "toolkit", "https://nvidia.github.io/libnvidia-container/gpgkey"))
PUBLISHED = "https://docs.nvidia.com/cuda/cuda-installation-guide-linux/ and https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/"
# Of NVIDIA's repositories: the folder of each system, and the key file in it (roles/host_driver/vars/main.yml).
REPOSITORIES = {"Debian 12": ("debian12", "3bf863cc.pub"), "Debian 13": ("debian13", "8793F200.pub"), "Ubuntu 24": ("ubuntu2404", "3bf863cc.pub"),
                "Ubuntu 26": ("ubuntu2604", "60DF8A40.pub")}
WITHOUT_ENGINE = ("Debian 12",)  # whose own has neither buildx nor CDI (roles/container_engine/vars/main.yml)
OLDEST = {"Ubuntu 26": 595}  # the first branch that NVIDIA packaged for a system, where that is newer than what CUDA needs (the same file)


def unsupported(system):
    """What keeps the collection from a host whatever its inventory says.

    :param system: dict of name ("Debian 13"), architecture and service_mgr.
    """
    if system["name"] not in SYSTEMS:
        yield Problem("system %s" % system["name"], "the host runs one of %s" % ", ".join(SYSTEMS), "Install one of these.")
    if system["architecture"] != "x86_64":
        yield Problem("processor %s" % system["architecture"], "the pinned CUDA wheels are for x86_64", "Use an x86_64 host.")
    if system["service_mgr"] != "systemd":
        yield Problem("init %s" % system["service_mgr"], "the services are systemd units", "Boot the host with systemd.")


def driver_is_needed(host):
    """Whether host_driver will have to install a driver: "missing", "old", or "" where the one that is there will do."""
    installed = host["kernel"]["nvidia"]
    if not installed:
        return "missing"
    blackwell = any(card["family"] == "Blackwell" for card in host["gpus"])
    return "old" if version(installed)[:1] < (BRANCH,) or (blackwell and host["kernel"]["nvidia_open"] is False) else ""


def questions(survey, keys=()):
    """What only a person can decide on this host.

    :param keys: of each key that was fetched a dict of address and fingerprint, None for one that was not.
    :returns: list of dict of name, text, kind ("yes", "disks" or "key") and choices.
    """
    found, host = [], survey["host"]
    empty = disks.empty(survey["disks"])
    if empty:
        listed = "; ".join("%d) %s, %.0f GB" % (number, disk["device"], disk["size"] / 1e9) for number, disk in enumerate(empty, 1))
        found.append({"name": "format_disks", "kind": "disks", "choices": [disk["device"] for disk in empty],
                      "text": "Empty disks that may be FORMATTED for models and images: %s. Numbers, or nothing for none" % listed})
    if cards.usable(host)[0] and driver_is_needed(host):
        found.append({"name": "allow_reboot", "kind": "yes", "choices": [],
                      "text": "The NVIDIA driver has to be installed. May site.yml REBOOT the host for it? [y/N]"})
        if driver_is_needed(host) == "old":
            found.append({"name": "upgrade_driver", "kind": "yes", "choices": [],
                          "text": "The NVIDIA driver %s is too old or has closed modules. May it be REPLACED? [y/N]" % host["kernel"]["nvidia"]})
    for key in keys:
        if key["fingerprint"]:
            found.append({"name": "trust_keys", "kind": "key", "choices": [key["fingerprint"]],
                          "text": "%s holds the key %s. Compare it with what NVIDIA publishes (%s). Is it theirs? [y/N]" % (
                              key["address"], key["fingerprint"], PUBLISHED)})
    return found


def keys_of(survey):
    """(variable, key, address) of each key that the host will have to trust."""
    host, need = survey["host"], driver_is_needed(survey["host"])
    for variable, key, address in KEYS:
        if need if key == "driver" else version(host["toolkit"]) < (1, 17, 8):
            yield variable, key, address % REPOSITORIES[survey["system"]["name"]] if "%s" in address else address


def _driver(survey, answers, origins):
    """Entries of host_driver."""
    host = survey["host"]
    need = driver_is_needed(host)
    oldest = OLDEST.get(survey["system"]["name"], BRANCH) if need else BRANCH
    why = "CUDA 13 needs 580 or newer%s. Installed: %s." % (
        ", and NVIDIA's repository for %s begins with %d" % (survey["system"]["name"], oldest) if oldest > BRANCH else "", host["kernel"]["nvidia"] or "none")
    entries = [Entry("host_driver_branch", oldest, [why])]
    if need:
        entries.append(Entry("host_driver_reboot", bool(answers["allow_reboot"]), ["Whether site.yml may reboot this host for the driver (--allow-reboot)."]))
    if need == "old":
        entries.append(Entry("host_driver_upgrade", bool(answers["upgrade_driver"]), ["Whether the driver that is there may be replaced (--upgrade-driver)."]))
    for name, key, address in keys_of(survey):
        found = origins.get("keys", {}).get(key) or {"address": address, "fingerprint": None, "confirmed": False}
        comment = ["The key that signs NVIDIA's packages (%s)." % key]
        if found["fingerprint"]:
            comment.append("%s has %s; %s" % (found["address"], found["fingerprint"], "compared by a person" if found["confirmed"] else
                                              "compare it with what NVIDIA publishes, then: ./bunker init HOST --update --trust-key %s" % found["fingerprint"]))
        value = found["fingerprint"] if found["confirmed"] else "REPLACE: curl -fsSL %s | gpg --show-keys" % found["address"]
        entries.append(Entry(name, value, comment))
    return entries


def _service(name, candidate, facts, hands, port, networks, survey):
    """A service's definition and the line of what is to be expected."""
    host = survey["host"]
    context = models.context_of(candidate, facts, host["memory"]["total"] or 0)
    service = {"name": name, "model": candidate["name"], "device": "gpu" if hands else "cpu"}
    if hands:
        service["gpus"] = [card.name for card in hands]
        if facts.experts and models.in_ram(facts, hands):
            service["placements"] = (["experts_over_cards"] if len(hands) > 1 else []) + ["first_card", "planned"]
            service["ladder"] = ["experts_to_ram", "kv_to_ram", "context_4096"] + (["long_contexts_to_executor"])
    service.update(context=context, port=port, networks=networks)
    if facts.size > 30 * models.GB:
        service["start_timeout"] = 600
    elif not hands:
        service["batch"] = "512"
    where = "on %s" % ", ".join(card.model for card in hands) if hands else "on the CPU"
    return service, "%s: %s %s: %s." % (name, candidate["name"], where, models.prediction(facts, hands, host["memory"]["bandwidth"], context))


def pick(survey, catalogue, volumes, wanted=None):
    """Which model each service gets: list of (service's name, candidate, its cards), and why cards are left.

    :param volumes: the disks that will be formatted.
    :param wanted: dict of a service's name to the model that a person named for it, whether it fits or not: preflight says that.
    :raises models.NotThere: there is no such model, or no card for the Oracle.
    """
    wanted = wanted or {}
    host, chosen = survey["host"], []
    hands, left = cards.usable(host)
    room = disks.room_for_models(volumes, host)
    taken = 0
    if "oracle" in wanted and not hands:
        raise models.NotThere("--oracle %s" % wanted["oracle"], "the Oracle computes on a card, and there is none on this host that it can use",
                              "Leave it out; --executor names the model of the CPU's service.")
    if hands:
        candidate = _choice(wanted, catalogue, "oracle", hands, host, 0, room)
        if candidate:
            facts = models.declared(candidate)
            used = cards.enough(hands, facts.size * models.MARGIN)
            left += ["%s: the model needs fewer cards" % card.model for card in hands[len(used):]]
            chosen.append(("oracle", candidate, used))
            taken, room = models.in_ram(facts, used), room and room - facts.size
        else:
            left += ["%s: no model of the catalogue fits on it" % card.model for card in hands]
    candidate = _choice(wanted, catalogue, "executor", [], host, taken, room)
    if candidate:
        chosen.append(("executor", candidate, []))
    return chosen, left


def _choice(wanted, catalogue, role, *place):
    """The candidate that a person named, else the best one for a place."""
    return models.named(catalogue, role, wanted[role]) if role in wanted else models.choose(catalogue, role, *place)


def without_origins(places):
    """What a person can do where nobody tells a value that ``init`` asks of registry and hub.

    :param places: where the values stand, as validation names them.
    """
    if any(place.startswith("inventory.model_store_extra_models.") for place in places):
        yield "Without that hub: ./bunker init HOST --update --executor %s takes a small model that the package index has." % SHIPPED
    if "inventory.golden_image_base" in places:
        yield "Without that registry: --base NAME@sha256:DIGEST of one of yours, or an archive on the host: docs/own-host.md."


def draft(survey, answers, picked, origins):
    """The inventory's variables.

    :param survey: dict of host (of host_info), disks (of volume_info), system and addresses.
    :param answers: dict of format_disks (list of paths), allow_reboot, upgrade_driver (bool) and gateway_address (str).
    :param picked: of :func:`pick`, the candidates with sha256 and size of their files as far as they are known.
    :param origins: what registries and hubs said: base (str), keys, facts (model's name to Facts), notes (model's name or "base" to str).
    :returns: tuple of a list of :class:`Part` and a list of :class:`Problem` that no inventory can mend.
    """
    host = survey["host"]
    problems = list(unsupported(survey["system"]))
    volumes, wrong = disks.chosen(answers["format_disks"], survey["disks"])
    networks = subnets.free(host)
    if networks is None:
        problems.append(Problem("routes and Docker networks of the host", "two /24 of private addresses are free for the services",
                                "Remove routes that are too wide. See: ip route show table all"))
    chosen, left = picked
    if not chosen:
        problems.append(Problem("memory %.1f GiB" % ((host["memory"]["total"] or 0) / (1 << 30)),
                                "the smallest model of the catalogue fits into memory and disk",
                                "Add memory, or free room for models."))
    problems += wrong
    if problems:
        return [], problems
    parts = [_part_of_services(survey, chosen, networks, left, origins), _part_of_gateway(survey, answers, chosen)]
    if any(hands for _name, _candidate, hands in chosen):
        parts.append(Part("NVIDIA's driver and container toolkit", _driver(survey, answers, origins)))
    if survey["system"]["name"] in WITHOUT_ENGINE:
        parts.append(Part("The engine", [Entry("container_engine_origin", "docker", [
            "From Docker's own repository: the engine of %s has neither buildx nor CDI." % survey["system"]["name"]])]))
    parts.append(Part("Where data lie. A volume's device is FORMATTED when it is empty, and refused when anything is on it.",
                      [Entry(name, value, []) for name, value in disks.variables(volumes, host).items()]))
    parts.append(_part_of_image(chosen, dict(origins, given=answers.get("base") or "")))
    if answers.get("ca_bundle"):
        parts.append(Part("Where a proxy opens TLS", [Entry("bunker_ca_bundle", answers["ca_bundle"], [
            "A file of the controller with authorities that the host needs besides its own (--ca-bundle, or SSL_CERT_FILE there)."])]))
    extra = [model_entry(one) for one in {one["name"]: one for _name, one, _hands in chosen}.values() if not one.get("shipped")]
    notes = [origins.get("notes", {}).get(model["name"], "") for model in extra]
    parts.append(Part("Models, each file with its hash and where that is from", [
        Entry("model_store_extra_models", extra, [note for note in notes if note])] if extra else []))
    if networks != subnets.free(dict(host, routes=[], docker_networks=[])):
        comment = ["Others than the collection's own, which this host's routes or Docker networks have."]
    else:
        comment = ["Nobody else has these on this host."]
    parts.append(Part("Networks", [Entry("networks_definitions", networks, comment)]))
    return [part for part in parts if part.entries], []


def model_entry(candidate):
    """A candidate as model_store_extra_models takes it."""
    return {"name": candidate["name"], "architecture": candidate["architecture"], "files": [
        {key: value for key, value in (("name", entry["name"]), ("sha256", entry["sha256"]), ("size", entry["size"]), ("source", entry["source"])) if value}
        for entry in candidate["files"]]}


def _part_of_services(survey, chosen, networks, left, origins):
    host, services, comment = survey["host"], [], []
    oracle = [{"name": network["name"], "address": subnets.address(network, 10)} for network in networks]
    executor = [{"name": networks[0]["name"], "address": subnets.address(networks[0], 20)}]
    for name, candidate, hands in chosen:
        facts = origins.get("facts", {}).get(candidate["name"]) or models.declared(candidate)
        service, said = _service(name, candidate, facts, hands, 8000 if name == "oracle" else 8002, oracle if name == "oracle" else executor, survey)
        if "long_contexts_to_executor" in service.get("ladder", []) and len(chosen) == 1:
            service["ladder"].remove("long_contexts_to_executor")
        services.append(service)
        comment.append(said)
    cpu = host["cpu"]
    title = "The host: %s, %s cores, %s threads, %.0f GiB RAM%s" % (
        cpu["model"] or "processor unknown", cpu["cores"] or "?", cpu["threads"] or "?", (host["memory"]["total"] or 0) / (1 << 30),
        ", read and written at %.3g GB/s" % (host["memory"]["bandwidth"] / 1e9) if host["memory"]["bandwidth"] else ", bandwidth not measured")
    load = survey.get("load")
    if host["memory"]["bandwidth"] and load and cpu["threads"] and load > cpu["threads"] / 2:
        comment.append("The host was busy when its memory was measured (load %.1f on %d threads), and bears more when idle: look again then, --update." % (
            load, cpu["threads"]))
    comment += ["Not used: %s." % one for one in left]
    comment += ["threads and cpuset are auto; playbooks/bench.yml finds what is best on this host."]
    watched = cards.watched([card for _name, _candidate, hands in chosen for card in hands])
    entries = [] if watched is None else [
        Entry("vram_watch_warn", watched[0], ["GiB: on a card as small as this one the watch would warn for ever with its default of 7."]),
        Entry("vram_watch_act", watched[1], [])]
    return Part(title, [Entry("bunker_services", services, comment), *entries])


def _part_of_gateway(survey, answers, chosen):
    address = answers["gateway_address"] or "127.0.0.1"
    others = ", ".join(one for one in survey["addresses"] if not one.startswith("127.")) or "none known"
    entries = [Entry("gateway_address", address, ["The one door. The host's addresses: %s (--gateway-address)." % others])]
    if not address.startswith("127."):
        entries.append(Entry("gateway_tls", "self_signed", ["Keys and prompts cross a network encrypted or not at all; files takes a certificate of yours."]))
        entries.append(Entry("gateway_port", 8443, []))
    if len(chosen) > 1:
        entries.append(Entry("gateway_fallbacks", {"oracle": "executor"}, ["While the Oracle cannot answer, the Executor does; a header says so."]))
    return Part("The gateway", entries)


def _part_of_image(chosen, origins):
    given, said = origins["given"], ["What the image stands on; named by a person (--base)."]
    archive, _at, digest = given.rpartition("@sha256:")
    if given.startswith("/"):
        entries = [Entry("golden_image_base_archive", archive, said), Entry("golden_image_base_archive_sha256", digest, [])]
    elif given:
        entries = [Entry("golden_image_base", given, said)]
    else:
        base = origins.get("base") or "REPLACE: docker buildx imagetools inspect debian:trixie-slim"
        entries = [Entry("golden_image_base", base, [origins.get("notes", {}).get("base") or "What the image stands on, as NAME@sha256:DIGEST."])]
    hands = [card for _name, _candidate, some in chosen for card in some]
    built = cards.architectures(hands)
    if built:
        entries.append(Entry("golden_image_cuda_architectures", built, ["Of this host's cards. Each one more is a longer build."]))
    elif not hands:
        entries.append(Entry("golden_image_cuda", False, ["No card computes here: an image for the CPU alone, whose name says so, builds in minutes."]))
        entries.append(Entry("golden_image_alias", "cpu", []))
    return Part("The image", entries)

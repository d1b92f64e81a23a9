# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory must say besides before it can be rendered for Kubernetes: in a cluster nobody measures, plans or asks a host. Pure functions."""
from __future__ import annotations

import re

from ..inventory_rules import Problem

LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, and a letter first, as names of Services have it
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
LONGEST = 63  # characters of a Service's name
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}")
NUMBER = re.compile(r"[1-9][0-9]*")
RESOURCE, CLAIM = GPU_WAYS = ("resource", "claim")  # of a device plugin, or of dynamic resource allocation
LEAST_KEY = 32  # characters
SPECULATES = ("auto", "none")


def of_settings(settings):
    """What the settings of the playbook must be.

    :param settings: dict of ``namespace``, ``node``, ``image``, ``claims_image``, ``gpus`` and ``key``.
    """
    if not LABEL.fullmatch(settings["namespace"]):
        yield Problem("kubernetes_namespace '%s'" % settings["namespace"], "a namespace has small letters, digits and dashes, at most 63", "Write bunker.")
    if not SUBDOMAIN.fullmatch(settings["node"]):
        yield Problem("kubernetes_node '%s'" % settings["node"], "it is the label kubernetes.io/hostname of a node",
                      "See there: kubectl get nodes --label-columns kubernetes.io/hostname")
    for name in ("image", "claims_image"):
        if not IMAGE.fullmatch(settings[name]):
            yield Problem("kubernetes_%s '%s'" % (name, settings[name]), "an image is named by its digest, REGISTRY/NAME@sha256:… with 64 hex digits, since "
                          "a tag may be moved", "Push it, and write what the registry answers: docker push prints the digest")
    if settings["gpus"] not in GPU_WAYS:
        yield Problem("kubernetes_gpus '%s'" % settings["gpus"], "it is resource (a device plugin) or claim (dynamic resource allocation)", "Write claim.")
    if len(settings["key"]) < LEAST_KEY or any(letter.isspace() or not letter.isprintable() for letter in settings["key"]):
        yield Problem("kubernetes_key of %d characters" % len(settings["key"]), "clients show a key of %d characters or more, without spaces" % LEAST_KEY,
                      "Make one, and keep it in a vault: openssl rand -hex 32")


def of_service(host, service, models, gpus):
    """What a service must say.

    :param host: name of its host in the inventory.
    :param service: complete definition.
    :param models: name to entry of the catalogue.
    :param gpus: one of :data:`GPU_WAYS`.
    """
    where = "service %s of %s" % (service["name"], host)
    if len("%s-%s" % (service["name"], host)) > LONGEST or not LABEL.fullmatch("%s-%s" % (service["name"], host)):
        yield Problem(where, "SERVICE-HOST is the name of its objects: small letters, digits and dashes, at most %d" % LONGEST,
                      "Rename the host in the inventory; kubernetes_node says which node it is.")
    if not NUMBER.fullmatch(service["threads"]):
        yield Problem("%s: threads %s" % (where, service["threads"]), "they are CPUs that the pod has for itself, and nobody measures in a cluster",
                      "Write a number, as bench.yml found it on this host.")
    if not service["memory"]:
        yield Problem("%s: memory ''" % where, "a pod without a limit is the first to be evicted, and gets no CPUs of its own", "Write for example 64g.")
    if service["speculation"] not in SPECULATES:
        yield Problem("%s: speculation %s" % (where, service["speculation"]), "it is not rendered", "Write none.")
    for name in filter(None, (service["model"], service["draft_model"])):
        if name not in models:
            yield Problem("%s: model %s" % (where, name), "no model of the catalogue has that name", "Known: %s." % ", ".join(sorted(models)))
    if service["device"] == "gpu":
        yield from _cards(where, service, gpus)


def _cards(where, service, gpus):
    if service["gpu_layers"] == "auto":
        yield Problem("%s: gpu_layers auto" % where, "nobody plans in a cluster where weights lie",
                      "Write what was planned on this host: gpu_layers, tensor_split and tensor_overrides of its placement.")
    for gpu in service["gpus"]:
        if not gpu.startswith(("GPU-", "MIG-")):
            yield Problem("%s: gpus: %s" % (where, gpu), "a card is named by its UUID", "See there: nvidia-smi -L")
    if len(service["gpus"]) > 1 and gpus == RESOURCE:
        yield Problem("%s: %d gpus with kubernetes_gpus resource" % (where, len(service["gpus"])), "a device plugin promises neither which cards they are nor "
                      "their order, and a placement is made for both", "Write kubernetes_gpus claim.")


def check(host, settings, services, models):
    """All of them: list of :class:`Problem`."""
    problems = list(of_settings(settings))
    for service in services:
        problems += of_service(host, service, models, settings["gpus"])
    if not services:
        problems.append(Problem("bunker_services of %s: []" % host, "there is nothing to render", "Name services, or leave the host out with --limit."))
    return problems

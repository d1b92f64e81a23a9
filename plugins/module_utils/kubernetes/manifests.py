# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of an inventory as objects of Kubernetes: dicts in the shape of its API. Pure functions; nothing here knows a cluster.

The hardening is that of engine/container.py, in Kubernetes' words; the words of llama-server are those of service_plan.py.
"""
from __future__ import annotations

import hashlib
import json

from .. import model_files, service_plan
from ..llama import kinds
from . import rules

PART_OF, COMPONENT, NAME, HOST = ("app.kubernetes.io/" + word for word in ("part-of", "component", "name", "instance"))
NODE = "kubernetes.io/hostname"
CLIENT = {"bunker-client": "true"}  # who may ask services: pods of the namespace, and namespaces, that have this label
SERVICE, CLAIMS = "service", "claims"
SECRET, KEYS, PORT = "bunker-keys", "/keys", 8080
USER = 65532
SIZES = {"b": "", "k": "Ki", "m": "Mi", "g": "Gi"}
DRIVER = "gpu.nvidia.com"  # of NVIDIA's driver for dynamic resource allocation, and of its devices' class
VERIFY = 'printf "%s  %s\\n" "$@" | sha256sum --check --strict'
CLAIMS_SECONDS = 900


def _object(version, kind, name, namespace, body, labels=None):
    metadata = {"name": name, "labels": dict({PART_OF: "bunker"}, **labels or {})}
    return dict({"apiVersion": version, "kind": kind, "metadata": dict(metadata, namespace=namespace) if namespace else metadata}, **body)


def of_namespace(settings):
    """What all hosts share: the namespace, which enforces the restricted profile, and the policies. What no policy allows is denied, to DNS as well."""
    space = settings["namespace"]
    asks = [{"podSelector": {"matchLabels": CLIENT}}, {"namespaceSelector": {"matchLabels": CLIENT}}, {"podSelector": {"matchLabels": {COMPONENT: CLAIMS}}}]
    door = [{"port": "http", "protocol": "TCP"}]
    profile = {"pod-security.kubernetes.io/" + mode: "restricted" for mode in ("enforce", "audit", "warn")}

    def policy(name, **spec):
        return _object("networking.k8s.io/v1", "NetworkPolicy", name, space, {"spec": spec})
    return [
        _object("v1", "Namespace", space, "", {}, profile),
        policy("default-deny", podSelector={}, policyTypes=["Ingress", "Egress"]),
        policy("services-answer", podSelector={"matchLabels": {COMPONENT: SERVICE}}, policyTypes=["Ingress"], ingress=[{"from": asks, "ports": door}]),
        policy("claims-ask", podSelector={"matchLabels": {COMPONENT: CLAIMS}}, policyTypes=["Egress"],
               egress=[{"to": [{"podSelector": {"matchLabels": {COMPONENT: SERVICE}}}], "ports": door}]),
    ]


def secret(settings):
    """The key that clients show. It stands in a file of its own."""
    return _object("v1", "Secret", SECRET, settings["namespace"], {"type": "Opaque", "stringData": {"keys": settings["key"] + "\n"}})


def _store(host, settings):
    """The models of a host: a local volume, which pins whoever mounts it, and which the restricted profile allows. It is read and never written."""
    name, claim = "bunker-models-" + host, {"storageClassName": "", "volumeName": "bunker-models-" + host, "accessModes": ["ReadOnlyMany"],
                                            "resources": {"requests": {"storage": "1Gi"}}}
    there = {"nodeSelectorTerms": [{"matchExpressions": [{"key": NODE, "operator": "In", "values": [settings["node"]]}]}]}
    volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"], "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
              "volumeMode": "Filesystem", "local": {"path": settings["models_path"]}, "nodeAffinity": {"required": there}}
    return [_object("v1", "PersistentVolume", name, "", {"spec": volume}, {HOST: host}),
            _object("v1", "PersistentVolumeClaim", name, settings["namespace"], {"spec": claim}, {HOST: host})]


def memory(text):
    """A limit as the inventory has it (Docker's words) in Kubernetes' words: "64g" is "64Gi"."""
    return text[:-1] + SIZES[text[-1].lower()] if text[-1].lower() in SIZES else text


def tuning_of(service):
    """Threads and batch of a service in a cluster, where nothing was measured: the definition's, and llama.cpp's own batch."""
    return {"threads": service["threads"], "batch": 2048 if service["batch"] == "auto" else service["batch"], "arguments": []}


def _hardened():
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def _pod(labels, settings, spec):
    """A pod on its host, an ordinary user without a token of the cluster."""
    of_user = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"metadata": {"labels": labels}, "spec": dict({
        "nodeSelector": {NODE: settings["node"]}, "automountServiceAccountToken": False, "enableServiceLinks": False, "securityContext": of_user}, **spec)}


def _mounts(service):
    models = [("/models", service["model"])] + ([("/draft", service["draft_model"])] if service["draft_model"] else [])
    return [{"name": "models", "mountPath": path, "subPath": model, "readOnly": True} for path, model in models]


def _sums(service, models):
    """Hash and path of each file that it serves."""
    named = [("/models", service["model"])] + ([("/draft", service["draft_model"])] if service["draft_model"] else [])
    return [word for path, model in named for entry in model_files.ordered(models[model]["files"])
            for word in (entry["sha256"], "%s/%s" % (path, entry["name"]))]


def _probe(period, failures):
    return {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures}


def _container(service, models, settings):
    kind = kinds.of_service(service, {})
    words = service_plan.server_arguments(dict(service, kind=kind), models[service["model"]], tuning_of(service), facts={})
    limits = {"cpu": service["threads"], "memory": memory(service["memory"])}
    cards = service["gpus"] if service["device"] == "gpu" else []
    if cards and settings["gpus"] == rules.RESOURCE:
        limits["nvidia.com/gpu"] = str(len(cards))
    resources = {"limits": limits, "requests": dict(limits)}  # alike: CPUs of its own, and the last to be evicted
    if cards and settings["gpus"] == rules.CLAIM:
        resources["claims"] = [{"name": "cards"}]
    return {
        "name": "llama-server", "image": settings["image"], "args": words + ["--api-key-file", KEYS + "/keys"],
        # CUDA takes the cards in the order of this list. A device plugin has given it one, of which nobody knows the UUID.
        "env": [{"name": "CUDA_VISIBLE_DEVICES", "value": ",".join(cards)}] if settings["gpus"] == rules.CLAIM or not cards else [],
        "ports": [{"name": "http", "containerPort": service["port"], "protocol": "TCP"}],
        "resources": resources, "securityContext": _hardened(),
        "volumeMounts": _mounts(service) + [{"name": "keys", "mountPath": KEYS, "readOnly": True}, {"name": "tmp", "mountPath": "/tmp"}],
        "startupProbe": _probe(10, max(1, -(-service["start_timeout"] // 10))), "readinessProbe": _probe(5, 2), "livenessProbe": _probe(30, 4)}


def _deployment(host, service, models, settings, labels):
    verify = {"name": "verify", "image": settings["image"], "command": ["/bin/sh", "-c", VERIFY, "verify"], "args": _sums(service, models),
              "resources": {"limits": {"cpu": "1", "memory": "256Mi"}, "requests": {"cpu": "1", "memory": "256Mi"}}, "securityContext": _hardened(),
              "volumeMounts": _mounts(service)}
    volumes = [{"name": "models", "persistentVolumeClaim": {"claimName": "bunker-models-" + host, "readOnly": True}},
               {"name": "keys", "secret": {"secretName": SECRET, "defaultMode": 0o444}},
               {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}]
    spec = {"terminationGracePeriodSeconds": 60, "initContainers": [verify], "containers": [_container(service, models, settings)], "volumes": volumes}
    if service["gpus"] and settings["gpus"] == rules.CLAIM:
        spec["resourceClaims"] = [{"name": "cards", "resourceClaimTemplateName": "%s-%s" % (service["name"], host)}]
    # A card holds one model: the old pod goes before the new one comes.
    return {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}, "template": _pod(labels, settings, spec)}


def _cards(service):
    """A request for each card, by its UUID, in the order of the inventory."""
    requests = [{"name": "card-%d" % number, "exactly": {
        "deviceClassName": ("mig." if gpu.startswith("MIG-") else "") + DRIVER,
        "selectors": [{"cel": {"expression": 'device.attributes["%s"].uuid == "%s"' % (DRIVER, gpu)}}]}} for number, gpu in enumerate(service["gpus"])]
    return {"spec": {"devices": {"requests": requests}}}


def of_service(host, service, models, settings):
    """The objects of a service on a host. The Service by its name alone is the same for all hosts that have it, and spreads requests over them."""
    space, name = settings["namespace"], "%s-%s" % (service["name"], host)
    labels = {PART_OF: "bunker", COMPONENT: SERVICE, NAME: service["name"], HOST: host}
    port = {"ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}]}
    common = {label: labels[label] for label in (COMPONENT, NAME)}
    found = [_object("apps/v1", "Deployment", name, space, {"spec": _deployment(host, service, models, settings, labels)}, labels),
             _object("v1", "Service", name, space, {"spec": dict(port, selector=labels)}, labels),
             _object("v1", "Service", service["name"], space, {"spec": dict(port, selector=dict(common, **{PART_OF: "bunker"}))}, common)]
    if service["gpus"] and settings["gpus"] == rules.CLAIM:
        found.insert(0, _object("resource.k8s.io/v1", "ResourceClaimTemplate", name, space, {"spec": _cards(service)}, labels))
    return found


def wanted(host, services):
    """What the claims are judged by: what clients of each service are told, and the question that it is asked."""
    return [{"name": service["name"], "variable": ("%s-%s" % (service["name"], host)).upper().replace("-", "_"), "kind": kinds.of_service(service, {}),
             "question": service["question"], "word": service["expected_word"], "tokens": service["answer_tokens"]} for service in services]


def claims(host, services, settings, program):
    """The claims of a host as a Job, with its program: on the host, held by the same policies as the services. It finds them without DNS, by the variables that
    Kubernetes gives a pod; a Job is not run twice, so its name has a hash of what it does."""
    space, data = settings["namespace"], {"claims.py": program, "wanted.json": json.dumps(wanted(host, services), indent=1) + "\n"}
    name = "claims-%s-%s" % (host, hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:8])
    labels = {PART_OF: "bunker", COMPONENT: CLAIMS, HOST: host}
    container = {"name": "claims", "image": settings["claims_image"], "command": ["python3", "-B", "/claims/claims.py", "/claims/wanted.json", KEYS + "/keys"],
                 "resources": {"limits": {"cpu": "1", "memory": "128Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}, "securityContext": _hardened(),
                 "volumeMounts": [{"name": "claims", "mountPath": "/claims", "readOnly": True}, {"name": "keys", "mountPath": KEYS, "readOnly": True}]}
    volumes = [{"name": "claims", "configMap": {"name": name}}, {"name": "keys", "secret": {"secretName": SECRET, "defaultMode": 0o444}}]
    template = _pod(labels, settings, {"restartPolicy": "Never", "enableServiceLinks": True, "containers": [container], "volumes": volumes})
    return [_object("v1", "ConfigMap", name, space, {"data": data}, labels),
            _object("batch/v1", "Job", name, space, {"spec": {"backoffLimit": 0, "activeDeadlineSeconds": CLAIMS_SECONDS, "template": template}}, labels)]


def files(host, services, models, settings, program):
    """File to its objects: what all hosts share, the key, the host's services, and its claims, which come once those answer."""
    there = _store(host, settings) + [one for service in services for one in of_service(host, service, models, settings)]
    return {"namespace.yml": of_namespace(settings), "secret.yml": [secret(settings)], host + ".yml": there,
            host + ".claims.yml": claims(host, services, settings, program)}

"""What is rendered for Kubernetes, held to the schemas of its API as a validator from outside carries them, and to what a bunker has."""
import copy
import functools
import http.server
import json
import pathlib
import subprocess
import sys
import threading

import kubernetes_validate
import kubernetes_validate.utils
import pytest
import yaml
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.filter import kubernetes_manifests
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import container
from ansible_collections.protocol_omni.bunker.plugins.module_utils.kubernetes import manifests
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

RELEASES = ["1.34", "1.35", "1.36", "1.37"]  # the first with dynamic resource allocation in its v1, to the newest that the validator knows
CARDS = ["GPU-11111111-2222-3333-4444-555555555555", "GPU-66666666-7777-8888-9999-000000000000"]
DIGEST = "registry.example/omni/llama-server@sha256:" + "a" * 64
SETTINGS = {"folder": "/out", "namespace": "bunker", "node": "worker-7", "image": DIGEST, "claims_image": "registry.example/python@sha256:" + "b" * 64,
            "gpus": "claim", "key": "k" * 32}
MODELS = [{"name": "large", "architecture": "qwen2", "files": [{"name": "large-00001-of-00002.gguf", "sha256": "1" * 64},
                                                               {"name": "large-00002-of-00002.gguf", "sha256": "2" * 64},
                                                               {"name": "eyes.gguf", "sha256": "3" * 64, "role": "projector"}]},
          {"name": "small", "architecture": "qwen2", "files": [{"name": "small.gguf", "sha256": "4" * 64}]}]
ORACLE = {"name": "oracle", "model": "large", "device": "gpu", "gpus": CARDS, "gpu_layers": "99", "tensor_split": "75,25", "threads": "8", "memory": "64g",
          "port": 8000, "draft_model": "small", "networks": [{"name": "omni-network", "address": "172.30.0.10"}]}
EXECUTOR = {"name": "executor", "model": "small", "device": "cpu", "threads": "4", "memory": "6144M", "port": 8002, "start_timeout": 125,
            "networks": [{"name": "omni-network", "address": "172.30.0.20"}]}
PROGRAM = ROOT / "playbooks/files/kubernetes_claims.py"


@pytest.fixture(autouse=True, scope="module")
def schemas_are_read_once():
    """The validator reads all of a release's definitions for each object, a second each."""
    original = kubernetes_validate.utils.schema_contents
    kubernetes_validate.utils.schema_contents = functools.cache(original)
    yield
    kubernetes_validate.utils.schema_contents = original


def completed(definition):
    return collection_roles.completed("inference_service", "inference_service_definition", definition)


def rendered(services=(ORACLE, EXECUTOR), **settings):
    """File to its objects, read back from YAML; or the problems."""
    inventory = {"model_store_path": "/srv/models", "model_store_catalogue": MODELS[:1], "model_store_extra_models": MODELS[1:],
                 "bunker_services": [completed(service) for service in services]}
    found = kubernetes_manifests.kubernetes_manifests(inventory, "north", dict(SETTINGS, **settings), PROGRAM.read_text(encoding="utf-8"))
    assert {one["mode"] for one in found["files"]} <= {"0600"}
    return found["problems"] or {pathlib.PurePath(one["path"]).name: list(yaml.safe_load_all(one["content"])) for one in found["files"]}


def of_kind(found, kind, name=None):
    """The objects of a kind, or the one with a name."""
    objects = [one for objects in found.values() for one in objects if one["kind"] == kind]
    return objects if name is None else next(one for one in objects if one["metadata"]["name"] == name)


def pod(found, name, kind="Deployment"):
    return of_kind(found, kind, name)["spec"]["template"]["spec"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("gpus", ["claim", "resource"])
def test_every_object_is_what_the_api_takes(release, gpus):
    services = (ORACLE, EXECUTOR) if gpus == "claim" else (dict(ORACLE, gpus=CARDS[:1], tensor_split=""), EXECUTOR)
    objects = [one for objects in rendered(services, gpus=gpus).values() for one in objects]
    assert [kubernetes_validate.validate(one, release, strict=True) for one in objects] == [release] * len(objects)
    kinds = {one["kind"] for one in objects}
    assert kinds - {"ResourceClaimTemplate"} == {"Namespace", "NetworkPolicy", "Secret", "PersistentVolume", "PersistentVolumeClaim", "Deployment", "Service",
                                                 "ConfigMap", "Job"}
    assert ("ResourceClaimTemplate" in kinds) is (gpus == "claim")


@pytest.mark.parametrize("kind, path, value", [
    ("Deployment", "spec.replicas", "one"), ("Deployment", "spec.template.spec.containers.0.imagee", "a"), ("Deployment", "spec.selector", None),
    ("Deployment", "spec.template.spec.containers.0.ports.0.containerPort", "http"), ("Job", "spec.backoffLimit", "0"),
    ("NetworkPolicy", "spec.podSelectors", {}), ("Service", "spec.ports.0.port", "8080x"), ("PersistentVolume", "spec.accessModes", "ReadOnlyMany"),
    ("ResourceClaimTemplate", "spec.spec.devices.requests.0.exactly.deviceClassName", None), ("Secret", "stringData", {"keys": 1})])
def test_the_schemas_see_a_wrong_field(kind, path, value):
    """What a slip of the renderer would look like; with None the field is left out."""
    wrong = copy.deepcopy(of_kind(rendered(), kind)[0])
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = wrong
    for step in way:
        place = place[step]
    place[last] = value
    if value is None:
        del place[last]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[-1], strict=True)


def test_a_pod_is_pinned_to_the_node_of_its_host():
    found = rendered()
    pods = [pod(found, name) for name in ("oracle-north", "executor-north")] + [of_kind(found, "Job")[0]["spec"]["template"]["spec"]]
    assert [one["nodeSelector"] for one in pods] == [{"kubernetes.io/hostname": "worker-7"}] * 3
    (volume,) = of_kind(found, "PersistentVolume")
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["worker-7"]}]
    assert volume["spec"]["local"] == {"path": "/srv/models"} and "hostPath" not in json.dumps(found)


def test_a_container_is_as_hard_as_on_a_bunker():
    """The restricted profile of Pod Security, which the namespace enforces, and what engine/container.py has besides."""
    found = rendered()
    assert of_kind(found, "Namespace")[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    user = container.HARDENING[container.HARDENING.index("--user") + 1]
    for one in (pod(found, "oracle-north"), of_kind(found, "Job")[0]["spec"]["template"]["spec"]):
        whole = one["securityContext"]
        assert "%d:%d" % (whole["runAsUser"], whole["runAsGroup"]) == user and whole["runAsNonRoot"] is True
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"} and one["automountServiceAccountToken"] is False
        for inner in one["containers"] + one.get("initContainers", []):
            assert inner["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            assert all(mount.get("readOnly") or mount["name"] == "tmp" for mount in inner["volumeMounts"])
            assert inner["image"].partition("@sha256:")[2] and inner["resources"]["limits"]["memory"]


def test_nobody_gets_out_and_in_come_clients_alone():
    found = {one["metadata"]["name"]: one["spec"] for one in of_kind(rendered(), "NetworkPolicy")}
    assert found["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [name for name, spec in found.items() if "egress" in spec] == ["claims-ask"]
    (out,) = found["claims-ask"]["egress"]
    assert out["to"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "service"}}}] and out["ports"] == [{"port": "http", "protocol": "TCP"}]
    (inside,) = found["services-answer"]["ingress"]
    assert found["services-answer"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": "service"}
    # Each entry by itself: the two selectors of one entry would both have to hold.
    assert [list(one) for one in inside["from"]] == [["podSelector"], ["namespaceSelector"], ["podSelector"]]


def test_cards_are_asked_for_by_their_uuid_and_taken_in_their_order():
    found = rendered()
    requests = of_kind(found, "ResourceClaimTemplate", "oracle-north")["spec"]["spec"]["devices"]["requests"]
    assert [one["exactly"]["selectors"][0]["cel"]["expression"] for one in requests] == [
        'device.attributes["gpu.nvidia.com"].uuid == "%s"' % card for card in CARDS]
    one = pod(found, "oracle-north")
    (server,) = one["containers"]
    assert one["resourceClaims"] == [{"name": "cards", "resourceClaimTemplateName": "oracle-north"}] and server["resources"]["claims"] == [{"name": "cards"}]
    assert {"name": "CUDA_VISIBLE_DEVICES", "value": ",".join(CARDS)} in server["env"]
    (other,) = pod(found, "executor-north")["containers"]
    assert "claims" not in other["resources"] and other["env"] == [{"name": "CUDA_VISIBLE_DEVICES", "value": ""}]


def test_a_device_plugin_is_asked_for_a_number_and_nothing_is_said_of_uuids():
    (server,) = pod(rendered((dict(ORACLE, gpus=CARDS[:1]),), gpus="resource"), "oracle-north")["containers"]
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1" and server["env"] == [] and CARDS[0] not in json.dumps(server)


def test_it_has_its_cpus_and_its_memory_for_itself():
    for name, cpus, memory in (("oracle-north", "8", "64Gi"), ("executor-north", "4", "6144Mi")):
        (server,) = pod(rendered(), name)["containers"]
        assert server["resources"]["requests"] == server["resources"]["limits"], "of the class Guaranteed"
        assert (server["resources"]["limits"]["cpu"], server["resources"]["limits"]["memory"]) == (cpus, memory)
        assert server["args"][server["args"].index("--threads") + 1] == cpus
    assert [manifests.memory(text) for text in ("8g", "512M", "9k", "7b", "1024")] == ["8Gi", "512Mi", "9Ki", "7", "1024"]


def test_the_server_is_told_what_the_inventory_says():
    (server,) = pod(rendered(), "oracle-north")["containers"]
    words = dict(zip(server["args"], server["args"][1:]))
    assert (words["--model"], words["--mmproj"], words["--tensor-split"], words["--n-gpu-layers"], words["--port"], words["--alias"]) == (
        "/models/large-00001-of-00002.gguf", "/models/eyes.gguf", "75,25", "99", "8000", "oracle")
    assert words["--api-key-file"] == "/keys/keys" and {"--no-slots", "--no-ui"} <= set(words) and words["--cors-origins"] == "none"
    assert server["startupProbe"]["failureThreshold"] * server["startupProbe"]["periodSeconds"] >= 600
    (other,) = pod(rendered(), "executor-north")["containers"]
    assert other["startupProbe"]["failureThreshold"] == 13, "125 seconds, in tens"


def test_what_is_served_is_hashed_before_and_a_changed_file_is_not_served(tmp_path):
    (verify,) = pod(rendered(), "oracle-north")["initContainers"]
    assert verify["args"] == ["1" * 64, "/models/large-00001-of-00002.gguf", "2" * 64, "/models/large-00002-of-00002.gguf", "3" * 64, "/models/eyes.gguf",
                              "4" * 64, "/draft/small.gguf"]
    file = tmp_path / "a model.gguf"
    file.write_bytes(b"GGUF")
    digest = subprocess.run(["sha256sum", str(file)], capture_output=True, text=True, check=True).stdout.split()[0]
    ends = [subprocess.run(verify["command"] + [given, str(file)], capture_output=True, check=False).returncode for given in (digest, "0" * 64)]
    assert ends[0] == 0 and ends[1] != 0


def test_a_service_has_a_name_of_its_own_and_one_that_it_shares_with_other_hosts():
    found = rendered()
    shared, own = of_kind(found, "Service", "oracle")["spec"]["selector"], of_kind(found, "Service", "oracle-north")["spec"]["selector"]
    labels = of_kind(found, "Deployment", "oracle-north")["spec"]["template"]["metadata"]["labels"]
    assert own == labels and shared == {name: value for name, value in labels.items() if name != "app.kubernetes.io/instance"}
    assert of_kind(found, "Deployment", "oracle-north")["spec"]["selector"]["matchLabels"] == labels


def test_the_key_stands_in_a_file_of_its_own_and_nowhere_else():
    found = rendered(key="an-unlikely-key-of-enough-letters")
    assert [name for name, objects in found.items() if "an-unlikely-key" in json.dumps(objects)] == ["secret.yml"]


@pytest.mark.parametrize("services, settings, value", [
    ((ORACLE,), {"image": "registry.example/omni:latest"}, "kubernetes_image 'registry.example/omni:latest'"),
    ((ORACLE,), {"claims_image": ""}, "kubernetes_claims_image ''"), ((ORACLE,), {"key": "short"}, "kubernetes_key of 5 characters"),
    ((ORACLE,), {"key": "k" * 32 + " k"}, "kubernetes_key of 34 characters"), ((ORACLE,), {"namespace": "Bunker"}, "kubernetes_namespace 'Bunker'"),
    ((ORACLE,), {"node": ""}, "kubernetes_node ''"), ((ORACLE,), {"gpus": "plugin"}, "kubernetes_gpus 'plugin'"),
    ((dict(ORACLE, threads="auto"),), {}, "service oracle of north: threads auto"), ((dict(ORACLE, memory=""),), {}, "service oracle of north: memory ''"),
    ((dict(ORACLE, gpu_layers="auto"),), {}, "service oracle of north: gpu_layers auto"),
    ((dict(ORACLE, gpus=["PCI-01:00.0"]),), {}, "service oracle of north: gpus: PCI-01:00.0"),
    ((dict(ORACLE, speculation="mtp"),), {}, "service oracle of north: speculation mtp"),
    ((dict(ORACLE, model="gone"),), {}, "service oracle of north: model gone"),
    ((ORACLE,), {"gpus": "resource"}, "service oracle of north: 2 gpus with kubernetes_gpus resource"),
    ((dict(ORACLE, name="o" * 60),), {}, "service %s of north" % ("o" * 60)), ((), {}, "bunker_services of north: []")])
def test_what_a_cluster_would_not_find_out_by_itself_is_refused(services, settings, value):
    assert rendered((ORACLE, EXECUTOR)), "without the fault it is rendered"
    found = rendered(services, **settings)
    assert isinstance(found, list) and found[0].startswith("1. %s: " % value) and len(found) == 1, found


class Server(http.server.BaseHTTPRequestHandler):
    """A stand-in for llama-server with a key."""

    keys, word = True, "Paris"

    def do_POST(self):  # pylint: disable=invalid-name # http.server's name
        """An answer to a question."""
        good = self.headers["Authorization"] == "Bearer " + "k" * 32 or not self.keys
        body = json.dumps({"choices": [{"message": {"content": self.word}}]} if good else {}).encode()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin # http.server's name
        """Says nothing."""


@pytest.mark.parametrize("keys, word, out, failing", [
    (True, "Paris", False, []), (True, "Rome", False, ["executor.answers"]), (False, "Paris", False, ["executor.key"]),
    (True, "Paris", True, ["pod.sealed.cluster"])])
def test_the_claims_fail_where_they_do_not_hold(tmp_path, monkeypatch, keys, word, out, failing):
    """The program as a pod runs it. The outside world stands where nobody answers: no test asks it; and so does the name server."""
    handler = type("Handler", (Server,), {"keys": keys, "word": word})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        variables = {"EXECUTOR_NORTH_SERVICE_HOST": "127.0.0.1", "EXECUTOR_NORTH_SERVICE_PORT": str(port),
                     "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port) if out else "1"}
        job = of_kind(rendered((EXECUTOR,)), "ConfigMap")[0]["data"]
        program = job["claims.py"].replace('OUTSIDE = ("1.1.1.1", 443)', 'OUTSIDE = ("127.0.0.1", 1)')
        program = program.replace("/etc/resolv.conf", str(tmp_path / "resolv.conf"))
        for name, text in (("claims.py", program), ("wanted.json", job["wanted.json"]), ("keys", "k" * 32 + "\n"),
                           ("resolv.conf", "search a\nnameserver 127.0.0.1\n")):
            (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        done = subprocess.run([sys.executable, *map(str, (tmp_path / "claims.py", tmp_path / "wanted.json", tmp_path / "keys"))], capture_output=True,
                              text=True, check=False, env=variables, timeout=60)
        server.shutdown()
    lines = done.stdout.splitlines()
    assert [line.split()[1].rstrip(":") for line in lines if line.startswith("FAILS")] == failing and done.returncode == bool(failing), done
    assert [line.split()[1].rstrip(":") for line in lines] == ["executor.answers", "executor.key", "pod.sealed.cluster", "pod.sealed.names.127.0.0.1",
                                                               "pod.sealed.outside"]

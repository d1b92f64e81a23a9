"""A sound inventory has no problems; each test breaks one thing and expects the value, the rule and the remedy."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules

HASH = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

SERVICE = {
    "name": "oracle", "model": "tiny", "device": "cpu", "gpus": [], "gpu_layers": "auto", "tensor_split": "", "threads": "auto",
    "context": 8192, "batch": 512, "address": "127.0.0.1", "port": 8000, "memory": "", "extra_arguments": [],
    "networks": [{"name": "omni-network", "address": "172.30.0.10", "aliases": []}],
}
SOUND = {
    "networks_definitions": [
        {"name": "omni-network", "subnet": "172.30.0.0/16", "bridge": "br-omni", "internal": False},
        {"name": "internal_brain", "subnet": "172.31.0.0/16", "bridge": "br-brain", "internal": True},
    ],
    "model_store_catalogue": [{"name": "tiny", "architecture": "llama", "files": [
        {"name": "tiny.gguf", "sha256": HASH, "size": 1, "source": {"file": "/tmp/tiny.gguf"}}]}],
    "model_store_extra_models": [],
    "bunker_services": [SERVICE, dict(SERVICE, name="executor", port=8002, networks=[
        {"name": "omni-network", "address": "172.30.0.20", "aliases": []}])],
    "golden_image_base": "", "golden_image_base_archive": "/base.tar", "golden_image_base_archive_sha256": HASH,
    "golden_image_source": {"url": "https://example.net/llama.tar.gz"}, "golden_image_source_sha256": HASH,
    "golden_image_cuda_architectures": ["120"],
}


def problems(change):
    inventory = copy.deepcopy(SOUND)
    change(inventory)
    return inventory_rules.check(inventory)


def test_a_sound_inventory_has_no_problems():
    assert inventory_rules.check(SOUND) == []


def test_a_placeholder_is_named_with_the_way_to_its_value_and_once():
    found = problems(service(device="gpu", gpus=["GPU-1", "REPLACE with the UUID of the second card: nvidia-smi -L"]))
    assert found == [("inventory.bunker_services.oracle.gpus.1", "only you can know this value", "Write the UUID of the second card: nvidia-smi -L")]


def service(**values):
    return lambda inventory: inventory["bunker_services"][0].update(values)


def attachment(**values):
    return lambda inventory: inventory["bunker_services"][0]["networks"][0].update(values)


def network(**values):
    return lambda inventory: inventory["networks_definitions"][1].update(values)


def variable(**values):
    return lambda inventory: inventory.update(values)


def model_file(**values):
    return lambda inventory: inventory["model_store_catalogue"][0]["files"][0].update(values)


@pytest.mark.parametrize("change, value, remedy", [
    (service(port=8002), "services oracle and executor: 127.0.0.1:8002", "another port"),
    (service(port=8002, address="0.0.0.0"), "services oracle and executor", "another port"),
    (service(port=0), "port 0", "Choose another"),
    (service(name="executor"), "service executor twice", "Rename"),
    (service(name="Oracle one"), "service Oracle one", "Rename"),
    (service(model="tony"), "model tony", "Did you mean tiny?"),
    (service(threads="-4"), "threads -4", "physical cores"),
    (service(threads="0"), "threads 0", "physical cores"),
    (service(context=0), "context 0", "Raise"),
    (service(batch=-1), "batch -1", "Raise"),
    (service(memory="lots"), "memory lots", "8g"),
    (service(address="localhost"), "address localhost", "127.0.0.1"),
    (service(networks=[]), "no networks", "omni-network"),
    (service(gpus=["GPU-1"]), "device cpu with gpus GPU-1", "device: gpu"),
    (service(device="gpu"), "device gpu without gpus", "nvidia-smi -L"),
    (service(device="gpu", gpus=["0"]), "gpu 0", "nvidia-smi -L"),
    (service(tensor_split="75,25"), "tensor_split '75,25'", "Remove"),
    (service(extra_arguments=["--port", "1"]), "extra argument --port", "port"),
    (service(extra_arguments=["--tools"]), "extra argument --tools", "Remove"),
    (service(extra_arguments=["--rpc=10.0.0.1:50052"]), "extra argument --rpc", "Remove"),
    (attachment(address="172.31.0.10"), "172.31.0.10 on omni-network", "inside it"),
    (attachment(address="172.30.0.1"), "172.30.0.1 on omni-network", "Choose another"),
    (attachment(address="172.30.0.20"), "172.30.0.20 on omni-network", "Choose another"),
    (attachment(address="here"), "here on omni-network", "172.30.0.10"),
    (attachment(name="lan"), "on lan", "internal_brain, omni-network"),
    (network(subnet="172.30.128.0/17"), "omni-network 172.30.0.0/16 and internal_brain 172.30.128.0/17", "another subnet"),
    (network(subnet="172.31.0.1/16"), "subnet 172.31.0.1/16", "172.30.0.0/16"),
    (network(bridge="br-omni"), "bridge br-omni twice", "Rename"),
    (network(bridge="bridge-of-the-brain"), "bridge bridge-of-the-brain", "Shorten"),
    (lambda inventory: inventory["networks_definitions"].append(
        {"name": "omni-network", "subnet": "172.29.0.0/16", "bridge": "br-third", "internal": False}), "omni-network twice", "Rename"),
    (model_file(sha256=HASH[:-1]), "sha256 '%s'" % HASH[:-1], "sha256sum /tmp/tiny.gguf"),
    (model_file(sha256=None), "tiny.gguf: no sha256", "sha256sum /tmp/tiny.gguf"),
    (model_file(sha256=None, source={"url": "https://hub.example/a/resolve/main/x.gguf"}), "no sha256",
     "curl -sL https://hub.example/a/raw/main/x.gguf | grep oid"),
    (model_file(source={}), "source has no origin", "one of the three"),
    (model_file(source={"file": "/a", "url": "https://b"}), "source has url and file", "one of the three"),
    (model_file(source={"package": "p"}), "package p", "version and filename"),
    (variable(golden_image_base="debian:trixie"), "golden_image_base 'debian:trixie'", "digest"),
    (variable(golden_image_base="debian:trixie", golden_image_base_archive=""), "golden_image_base debian:trixie", "imagetools inspect debian:trixie"),
    (variable(golden_image_base_archive=""), "golden_image_base ''", "digest"),
    (variable(golden_image_base_archive_sha256=""), "golden_image_base_archive_sha256 ''", "sha256sum /base.tar"),
    (variable(golden_image_source_sha256=""), "golden_image_source: no sha256", "curl -sL https://example.net/llama.tar.gz | sha256sum"),
    (variable(golden_image_cuda_architectures=["sm_120"]), "golden_image_cuda_architectures: sm_120", "120"),
])
def test_one_fault_is_one_problem(change, value, remedy):
    found = problems(change)
    assert len(found) == 1, found
    assert value in found[0].value
    assert remedy in found[0].remedy
    assert found[0].rule


def test_a_model_that_no_service_uses_may_lack_its_hash():
    extra = {"name": "later", "architecture": "llama", "files": [{"name": "l.gguf", "sha256": None, "source": {"url": "https://x"}}]}
    assert problems(variable(model_store_extra_models=[extra])) == []


def test_unknown_variables_are_named_with_the_nearest_known_one():
    found = list(inventory_rules.unknown_variables(
        ["golden_image_bass", "ansible_host", "bunker_services"], {"golden_image_base", "bunker_services"}, ("golden_image_", "bunker_")))
    assert [(problem.value, problem.remedy) for problem in found] == [("golden_image_bass", "Did you mean golden_image_base?")]

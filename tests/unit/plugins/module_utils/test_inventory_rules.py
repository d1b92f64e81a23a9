"""A sound inventory has no problems; each test breaks one thing and expects the value, the rule and the remedy."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules

HASH = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

SERVICE = {
    "name": "oracle", "model": "tiny", "device": "cpu", "gpus": [], "gpu_layers": "auto", "tensor_split": "", "split_mode": "",
    "tensor_overrides": [], "draft_model": "",
    "threads": "auto", "cpuset": "auto",
    "context": 8192, "batch": "512", "micro_batch": 512, "ladder": [], "address": "127.0.0.1", "port": 8000, "memory": "", "start_timeout": 60,
    "answer_tokens": 64,
    "extra_arguments": [], "sealed": True,
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
    "golden_image_cuda_architectures": ["120"], "golden_image_name": "omni/llama-server", "golden_image_alias": "sm120-cuda13", "golden_image_jobs": "auto",
    "golden_image_capabilities": ["12.0"], "golden_image_build_timeout": 14400, "golden_image_keep_earlier": 1,
    "golden_image_cmake_options": {"GGML_LTO": "ON"},
    "bunker_config_path": "/etc/protocol_omni", "bunker_cache_path": "/var/cache/protocol_omni", "model_store_path": "/srv/models", "bunker_bundle": "",
    "disk_layout_volumes": [
        {"device": "/dev/disk/by-id/nvme-one", "mount": "/nvme", "filesystem": "xfs", "options": ["noatime"], "fill_limit": 90},
        {"device": "/dev/disk/by-id/nvme-two", "mount": "/nvme/models", "filesystem": "xfs", "options": ["noatime"], "fill_limit": 90},
    ],
    "disk_layout_directories": [{"path": "/nvme/docker"}], "disk_layout_root_fill_limit": 90,
    "networks_allowances": [{"from": "internal_brain", "to": "172.30.0.20", "protocol": "tcp", "port": 8002}],
    "gateway_address": "127.0.0.1", "gateway_port": 8080, "gateway_tls": "none", "gateway_tls_certificate": "", "gateway_tls_key": "",
    "gateway_keys": [{"name": "alice", "sha256": HASH}], "gateway_fallbacks": {}, "gateway_aliases": {},
    "gateway_providers": [{"name": "kimi", "url": "https://api.example.com/v1", "key_file": "", "enabled": True}],
    "gateway_cors_origins": ["https://chat.example.com"], "gateway_body_limit": "16m", "gateway_requests_per_minute": 600, "gateway_burst": 300,
    "gateway_concurrent_requests": 256, "gateway_response_timeout": 3600, "gateway_drain_wait": 300, "gateway_comment_interval": 15,
    "gateway_wrong_keys_per_minute": 60, "gateway_metrics_port": 9180,
    "vram_watch_metrics_port": 9181,
    "observability_enabled": True, "observability_prometheus_port": 9090, "observability_node_exporter_port": 9100, "observability_scrape_interval": 5,
    "observability_retention": "15d", "observability_retention_size": "2GB", "observability_data_path": "/var/lib/protocol-omni-prometheus",
    "observability_alertmanagers": ["192.0.2.7:9093"],
    "container_engine_data_root": "/nvme/docker", "container_engine_containerd_root": "/nvme/containerd", "container_engine_daemon_options": {},
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


@pytest.mark.parametrize(("value", "rule", "remedy"), [
    ("REPLACE: docker buildx imagetools inspect debian:12", "nobody could tell this value yet", "Obtain it: docker buildx imagetools inspect debian:12"),
    ("REPLACE with the image of your choice", "only you can know this value", "Write the image of your choice")])
def test_a_value_that_is_open_is_one_problem_with_its_command(value, rule, remedy):
    assert problems(variable(golden_image_base=value)) == [("inventory.golden_image_base", rule, remedy)]


def service(**values):
    return lambda inventory: inventory["bunker_services"][0].update(values)


def attachment(**values):
    return lambda inventory: inventory["bunker_services"][0]["networks"][0].update(values)


def network(**values):
    return lambda inventory: inventory["networks_definitions"][1].update(values)


def variable(**values):
    return lambda inventory: inventory.update(values)


def allowance(**values):
    return lambda inventory: inventory["networks_allowances"][0].update(values)


def gateway_key(**values):
    return lambda inventory: inventory["gateway_keys"][0].update(values)


def provider(**values):
    return lambda inventory: inventory["gateway_providers"][0].update(values)


def model_file(**values):
    return lambda inventory: inventory["model_store_catalogue"][0]["files"][0].update(values)


def shards(*numbers):
    """The model in shards of these numbers, in this order."""
    def change(inventory):
        files = inventory["model_store_catalogue"][0]["files"]
        files[:] = [dict(files[0], name="tiny-%05d-of-%05d.gguf" % (number, len(numbers))) for number in numbers]
    return change


def of_three(*numbers, **sources):
    """The model in some of three shards, with the URL of each; other URLs by "s1" for the first."""
    def change(inventory):
        files = inventory["model_store_catalogue"][0]["files"]
        names = {number: "tiny-%05d-of-00003.gguf" % number for number in (1, 2, 3)}
        files[:] = [dict(files[0], name=names[number], source={"url": "https://hub.example/%s" % names[sources.get("s%d" % number, number)]})
                    for number in numbers]
    return change


def volume(**values):
    return lambda inventory: inventory["disk_layout_volumes"][1].update(values)


@pytest.mark.parametrize("change, value, remedy", [
    (volume(device="/dev/sda"), "device /dev/sda", "ls -l /dev/disk/by-id/"),
    (volume(device="/dev/nvme1n1"), "device /dev/nvme1n1", "ls -l /dev/disk/by-id/"),
    (volume(device="/dev/disk/by-id/../../sda"), "by-id/../../sda", "ls -l /dev/disk/by-id/"),
    (volume(device="/dev/disk/by-id/nvme-one"), "device /dev/disk/by-id/nvme-one twice", "remove one"),
    (volume(mount="/nvme"), "mount /nvme twice", "remove one"),
    (volume(mount="nvme"), "disk_layout_volumes: nvme", "/nvme/models"),
    (volume(mount="/nvme/"), "disk_layout_volumes: /nvme/", "/nvme/models"),
    (volume(mount="/"), "disk_layout_volumes: /", "/nvme/models"),
    (volume(mount="/nvme/../etc"), "disk_layout_volumes: /nvme/../etc", "/nvme/models"),
    (volume(mount="/nvme/a b"), "disk_layout_volumes: /nvme/a b", "/nvme/models"),
    (volume(options=["noatime,nodev"]), "option 'noatime,nodev'", "[noatime, discard]"),
    (volume(fill_limit=0), "fill_limit 0", "90"),
    (volume(fill_limit=101), "fill_limit 101", "90"),
    (lambda inventory: inventory.update(disk_layout_root_fill_limit=0), "disk_layout_root_fill_limit: 0", "90"),
    (lambda inventory: inventory.update(disk_layout_directories=[{"path": "/srv/docker"}]), "disk_layout_directories: /srv/docker", "/nvme, /nvme/models"),
    (lambda inventory: inventory.update(disk_layout_directories=[{"path": "/nvme"}]), "disk_layout_directories: /nvme", "/nvme/models"),
    (lambda inventory: inventory.update(disk_layout_directories=[{"path": "/nvme/../etc"}]), "/nvme/../etc", "/nvme/models"),
    (variable(container_engine_data_root="nvme/docker"), "container_engine_data_root nvme/docker", "/nvme/docker"),
    (variable(container_engine_data_root="/", container_engine_containerd_root=""), "container_engine_data_root /", "/nvme/docker"),
    (variable(container_engine_data_root="/nvme/docker/"), "container_engine_data_root /nvme/docker/", "/nvme/docker"),
    (variable(container_engine_containerd_root="/nvme/../etc"), "container_engine_containerd_root /nvme/../etc", "/nvme/docker"),
    (variable(container_engine_containerd_root="/nvme/a b"), "container_engine_containerd_root /nvme/a b", "/nvme/docker"),
    (variable(container_engine_containerd_root="/nvme/docker"), "/nvme/docker and container_engine_containerd_root", "/nvme/containerd"),
    (variable(container_engine_containerd_root="/nvme/docker/containerd"), "container_engine_containerd_root /nvme/docker/containerd", "/nvme/containerd"),
    (variable(container_engine_data_root="/nvme/containerd/docker"), "container_engine_data_root /nvme/containerd/docker", "/nvme/containerd"),
    (variable(container_engine_daemon_options={"data-root": "/x"}), "container_engine_daemon_options: data-root", "container_engine_data_root"),
    (service(port=8002), "services oracle and executor: 127.0.0.1:8002", "another port"),
    (service(port=8002, address="0.0.0.0"), "services oracle and executor", "another port"),
    (service(port=0), "port 0", "Choose another"),
    (service(name="executor"), "service executor twice", "Rename"),
    (service(name="Oracle one"), "service Oracle one", "Rename"),
    (service(name="seal"), "service seal", "Rename"),
    (service(name="gateway"), "service gateway", "Rename"),
    (service(model="tony"), "model tony", "Did you mean tiny?"),
    (service(model="glm-4.7-ud-q4_k_xl"), "model glm-4.7-ud-q4_k_xl", "./bunker model"),
    (service(threads="-4"), "threads -4", "physical cores"),
    (service(threads="0"), "threads 0", "physical cores"),
    (service(context=0), "context 0", "Raise"),
    (service(answer_tokens=0), "answer_tokens 0", "Raise"),
    (service(batch="-1"), "batch -1", "Raise"),
    (service(batch="many"), "batch many", "auto"),
    (service(cpuset="0-"), "cpuset 0-", "0-47"),
    (service(cpuset="3-1"), "cpuset 3-1", "0-47"),
    (service(cpuset="all"), "cpuset all", "auto"),
    (service(extra_arguments=["--numa", "distribute"]), "extra argument --numa", "cpuset"),
    (service(memory="lots"), "memory lots", "8g"),
    (service(address="localhost"), "address localhost", "gateway"),
    (service(networks=[]), "no networks", "omni-network"),
    (service(extra_arguments=["--props"]), "extra argument --props", "Remove"),
    (service(extra_arguments=["--cors-origins", "*"]), "extra argument --cors-origins", "Remove"),
    (service(gpus=["GPU-1"]), "device cpu with gpus GPU-1", "device: gpu"),
    (service(device="gpu"), "device gpu without gpus", "nvidia-smi -L"),
    (service(device="gpu", gpus=["GPU-00000000-0000-0000-0000-000000000001"] * 2), "gpus names GPU-00000000-0000-0000-0000-000000000001 2 times",
     "Name it once"),
    (service(device="gpu", gpus=["0"]), "gpu 0", "nvidia-smi -L"),
    (service(device="gpu", gpus=["PCI-01:00.0"]), "gpu PCI-01:00.0", "nvidia-smi -L"),
    (service(tensor_split="75,25"), "tensor_split '75,25'", "Remove"),
    (service(split_mode="row"), "split_mode row", "Remove"),
    (service(tensor_overrides=["exps=CPU"]), "tensor_overrides ['exps=CPU']", "Remove"),
    (service(extra_arguments=["--port", "1"]), "extra argument --port", "port"),
    (service(extra_arguments=["--ctx_size", "65536"]), "extra argument --ctx-size", "Use the service's context"),
    (service(extra_arguments=["--media_path", "/models"]), "extra argument --media-path", "Remove"),
    (service(extra_arguments=["--slot_save_path=/tmp"]), "extra argument --slot-save-path", "Remove"),
    (service(extra_arguments=["--slots"]), "extra argument --slots", "Remove"),
    (service(extra_arguments=["--webui"]), "extra argument --webui", "Remove"),
    (service(extra_arguments=["--log_prompts_dir", "/tmp"]), "extra argument --log-prompts-dir", "Remove"),
    (service(extra_arguments=["-hfd", "someone/model"]), "extra argument -hfd", "Remove"),
    (service(extra_arguments=["--cache-type-k=q8_0"]), "extra argument --cache-type-k=q8_0", "two entries"),
    (service(extra_arguments=["--temp 0"]), "extra argument --temp 0", "two entries"),
    (service(extra_arguments=["--temp", "0", "--temp", "1"]), "extra argument --temp twice", "Remove one"),
    (service(extra_arguments=["-lv", "5"]), "extra argument -lv", "Remove"),
    (service(extra_arguments=["--log-file", "/tmp/log"]), "extra argument --log-file", "Remove"),
    (service(extra_arguments=["--tools"]), "extra argument --tools", "Remove"),
    (service(extra_arguments=["--rpc=10.0.0.1:50052"]), "extra argument --rpc", "Remove"),
    (attachment(address="172.31.0.10"), "172.31.0.10 on omni-network", "inside it"),
    (attachment(address="172.30.0.1"), "172.30.0.1 on omni-network", "Choose another"),
    (attachment(address="172.30.0.20"), "172.30.0.20 on omni-network", "Choose another"),
    (attachment(address="here"), "here on omni-network", "172.30.0.10"),
    (attachment(name="lan"), "on lan", "internal_brain, omni-network"),
    (network(subnet="172.30.128.0/17"), "omni-network 172.30.0.0/16 and internal_brain 172.30.128.0/17", "another subnet"),
    (network(subnet="fd00::/64"), "subnet fd00::/64", "172.30.0.0/16"),
    (attachment(address="fd00::10"), "fd00::10 on omni-network", "172.30.0.10"),
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
    (variable(golden_image_name="Omni/llama"), "golden_image_name Omni/llama", "omni/llama-server"),
    (variable(golden_image_name="omni/llama:1"), "golden_image_name omni/llama:1", "golden_image_alias"),
    (variable(golden_image_alias="a b"), "golden_image_alias a b", "sm120-cuda13"),
    (variable(golden_image_alias="0123456789abcdef"), "golden_image_alias 0123456789abcdef", "Choose another"),
    (variable(golden_image_jobs="-2"), "golden_image_jobs -2", "auto"),
    (variable(golden_image_capabilities=["sm_120"]), "golden_image_capabilities: sm_120", "12.0"),
    (variable(golden_image_build_timeout=0), "golden_image_build_timeout 0", "Raise"),
    (variable(golden_image_keep_earlier=-1), "golden_image_keep_earlier -1", "Raise"),
    (variable(golden_image_cmake_options={"CMAKE_CXX_FLAGS": "-O2\n-g"}), "golden_image_cmake_options: CMAKE_CXX_FLAGS: '-O2\\n-g'", "one line"),
    (variable(golden_image_cmake_options={"-DGGML_LTO": "ON"}), "golden_image_cmake_options: -DGGML_LTO", "GGML_CUDA_FA_ALL_QUANTS"),
    (variable(bunker_bundle="bundle"), "bunker_bundle bundle", "/nvme/models"),
    (variable(model_store_path="models"), "model_store_path models", "/nvme/models"),
    (variable(bunker_cache_path="/var/cache/a b"), "bunker_cache_path /var/cache/a b", "/nvme/models"),
    (model_file(size=-5), "model_store_catalogue: tiny: size -5 of", "0"),
    (model_file(name="../tiny.gguf"), "name '../tiny.gguf'", "letters, digits"),
    (model_file(name="tiny-00001-of-00003.gguf"), "shards 2 and 3 of 3 are not named", "Add tiny-00002-of-00003.gguf and tiny-00003-of-00003.gguf."),
    (shards(1, 3), "file tiny-00003-of-00002.gguf as number 2 of 2", "tiny-00002-of-00002.gguf"),
    (shards(2, 1), "file tiny-00002-of-00002.gguf as number 1 of 2", "-00001-of-00002.gguf"),
    (of_three(1, 2), "shard 3 of 3 is not named", "Add tiny-00003-of-00003.gguf."),
    (of_three(3), "shards 1 and 2 of 3 are not named", "Add tiny-00001-of-00003.gguf and tiny-00002-of-00003.gguf."),
    (of_three(2, 1, 3), "file tiny-00002-of-00003.gguf as number 1 of 3", "Expected here: tiny-00001-of-00003.gguf."),
    (of_three(1, 2, 3, s2=3, s3=2), "tiny-00002-of-00003.gguf is fetched from https://hub.example/tiny-00003-of-00003.gguf",
     "Give it the source of shard 2; two may have been swapped."),
    (model_file(sha256=HASH.upper()), "sha256 '%s'" % HASH.upper(), "Write %s." % HASH),
    (gateway_key(sha256=HASH.upper()), "alice: sha256 with upper-case letters", "Write it in lower case, as sha256sum prints it."),
    (variable(golden_image_base_archive_sha256=HASH.upper()), "golden_image_base_archive_sha256 '%s'" % HASH.upper(), "Write %s." % HASH),
    (model_file(sha256=HASH[:-1], source={"package": "nvidia-x", "version": "1", "filename": "x-1-py3-none-any.whl", "member": "nvidia/x/lib/libx.so"}),
     "sha256 '", "Obtain it: unzip -p x-1-py3-none-any.whl nvidia/x/lib/libx.so | sha256sum"),
    (service(start_timeout=0), "start_timeout 0", "Raise"),
    (variable(golden_image_cuda_architectures=["sm_120"]), "golden_image_cuda_architectures: sm_120", "120"),
    (allowance(**{"from": "oracel"}), "oracel to 172.30.0.20", "oracle, executor, internal_brain"),
    (allowance(to="example.com"), "internal_brain to example.com", "172.30.0.20"),
    (allowance(to="172.30.0.1/24"), "internal_brain to 172.30.0.1/24", "172.30.0.0/24"),
    (allowance(port=70000), "port 70000", "Choose another"),
    (variable(gateway_address="0.0.0.0"), "gateway_address 0.0.0.0 with gateway_tls none", "self_signed"),
    (variable(gateway_address="here"), "gateway_address here", "127.0.0.1"),
    (variable(gateway_tls="files", gateway_tls_certificate="/c.pem"), "gateway_tls_key ''", "Name both"),
    (variable(gateway_tls_key="/k.pem"), "gateway_tls_key '/k.pem'", "leave both empty"),
    (variable(gateway_port=0), "gateway_port 0", "Choose another"),
    (variable(gateway_port=8000), "port 8000 twice", "Choose another"),
    (variable(gateway_metrics_port=8080), "port 8080 twice", "Choose another"),
    (variable(gateway_burst=0), "gateway_burst 0", "Raise"),
    (variable(gateway_wrong_keys_per_minute=0), "gateway_wrong_keys_per_minute 0", "Raise"),
    (variable(gateway_comment_interval=0), "gateway_comment_interval 0", "Raise"),
    (service(name="prometheus"), "service prometheus", "Rename"),
    (variable(observability_node_exporter_port=9090), "observability: port 9090 twice", "Choose another"),
    (variable(observability_prometheus_port=9180), "observability: port 9180 twice", "Choose another"),
    (variable(observability_prometheus_port=9181), "observability: port 9181 twice", "Choose another"),
    (variable(observability_prometheus_port=70000), "observability_prometheus_port 70000", "Choose another"),
    (variable(observability_scrape_interval=0), "observability_scrape_interval 0", "1 to 15"),
    (variable(observability_scrape_interval=60), "observability_scrape_interval 60", "1 to 15"),
    (variable(observability_retention="for ever"), "observability_retention for ever", "15d"),
    (variable(observability_retention_size="2 GB"), "observability_retention_size 2 GB", "2GB"),
    (variable(observability_data_path="metrics"), "observability_data_path metrics", "/nvme"),
    (variable(observability_alertmanagers=["http://192.0.2.7:9093"]), "observability_alertmanagers: http://192.0.2.7:9093", "192.0.2.7:9093"),
    (variable(gateway_body_limit="16 MB"), "gateway_body_limit 16 MB", "16m"),
    (variable(gateway_cors_origins=["*"]), "gateway_cors_origins: *", "https://chat.example.com"),
    (variable(gateway_cors_origins=["null"]), "gateway_cors_origins: null", "app://obsidian.md"),
    (variable(gateway_cors_origins=["file://"]), "gateway_cors_origins: file://", "app://obsidian.md"),
    (variable(gateway_cors_origins=["https://chat.example.com/"]), "gateway_cors_origins: https://chat.example.com/", "https://chat.example.com"),
    (variable(gateway_cors_origins=["https://*.example.com"]), "gateway_cors_origins: https://*.example.com", "https://chat.example.com"),
    (variable(gateway_cors_origins=["app://obsidian.md\n"]), "gateway_cors_origins: app://obsidian.md", "app://obsidian.md"),
    (variable(gateway_cors_origins=["https://a.example https://b.example"]), "gateway_cors_origins: https://a", "https://chat.example.com"),
    (variable(gateway_cors_origins=["https://Chat.example.com"]), "gateway_cors_origins: https://Chat", "Write https://chat.example.com."),
    (variable(gateway_cors_origins=["https://chat.example.com:443"]), "gateway_cors_origins: https://chat.example.com:443", "Write https://chat.example.com."),
    (gateway_key(sha256="my-secret-key"), "alice: sha256 of 13 characters", "sha256sum"),
    (gateway_key(sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "alice: sha256 e3b0", "printf %s KEY"),
    (gateway_key(previous_sha256="ab" * 32), "alice: previous_sha256 without previous_until", "Set both"),
    (gateway_key(previous_until="2026-12-31T18:00:00Z"), "alice: previous_until without previous_sha256", "Set both"),
    (gateway_key(previous_sha256="AB" * 32, previous_until="2026-12-31T18:00:00Z"), "alice: previous_sha256 with upper-case letters", "lower case"),
    (gateway_key(previous_sha256="secret", previous_until="2026-12-31T18:00:00Z"), "alice: previous_sha256 of 6 characters", "printf %s KEY"),
    (gateway_key(previous_sha256=HASH, previous_until="2026-12-31T18:00:00Z"), "sha256 %s twice" % HASH, "remove one"),
    (gateway_key(previous_sha256="ab" * 32, previous_until="next week"), "alice: previous_until", "date -u"),
    (gateway_key(previous_sha256="ab" * 32, previous_until="2026-02-31T18:00:00Z"), "alice: previous_until", "date -u"),
    (provider(name="../kimi k2"), "name '../kimi k2'", "Rename"),
    (gateway_key(name="alice and bob"), "name 'alice and bob'", "Rename"),
    (variable(gateway_keys=[{"name": "alice", "sha256": HASH}, {"name": "bob", "sha256": HASH}]), "sha256 %s twice" % HASH, "remove one"),
    (variable(gateway_fallbacks={"oracle": "kimi"}), "oracle: kimi", "oracle, executor"),
    (variable(gateway_fallbacks={"oracle": "oracle"}), "oracle: oracle", "oracle, executor"),
    (variable(gateway_aliases={"executor": "oracle"}), "gateway_aliases: executor: oracle", "Remove it"),
    (variable(gateway_aliases={"oracle": "oracle"}), "gateway_aliases: oracle: oracle", "Remove it"),
    (variable(gateway_aliases={"kimi": "oracle"}), "gateway_aliases: kimi: oracle", "Remove it"),
    (variable(gateway_aliases={"gpt-4o": "oracel"}), "gateway_aliases: gpt-4o: oracel", "Did you mean oracle?"),
    (variable(gateway_aliases={"gpt-4o": "kimi"}), "gateway_aliases: gpt-4o: kimi", "Known: oracle, executor"),
    (variable(gateway_aliases={"gpt-4o": ["oracle"]}), "gateway_aliases: gpt-4o: ['oracle']", "oracle"),
    (variable(gateway_aliases={"gpt-4o": "oracle", "gpt-4": "gpt-4o"}), "gateway_aliases: gpt-4: gpt-4o", "Known: oracle, executor"),
    (variable(gateway_aliases={4: "oracle"}), "gateway_aliases: 4: oracle", "quote"),
    (variable(gateway_aliases={"": "oracle"}), "gateway_aliases: : oracle", "Rename"),
    (variable(gateway_aliases={"gpt 4": "oracle"}), "gateway_aliases: gpt 4: oracle", "Rename"),
    (variable(gateway_aliases={"gpt-4o\n": "oracle"}), "gateway_aliases: gpt-4o", "Rename"),
    (variable(gateway_aliases={"../gpt": "oracle"}), "gateway_aliases: ../gpt: oracle", "Rename"),
    (variable(gateway_aliases={"g" * 129: "oracle"}), "gateway_aliases: ggg", "Rename"),
    (provider(name="executor"), "executor twice", "Rename"),
    (provider(url="ftp://api.example.com"), "url ftp://api.example.com", "https://api.example.com/v1"),
    (provider(url="http://api.example.com/v1"), "url http://api.example.com/v1", "https"),
])
def test_one_fault_is_one_problem(change, value, remedy):
    found = problems(change)
    assert len(found) == 1, found
    assert value in found[0].value
    assert remedy in found[0].remedy
    assert found[0].rule


def test_a_key_written_in_place_of_its_hash_is_not_repeated():
    assert "my-secret-key" not in repr(problems(gateway_key(sha256="my-secret-key")))


@pytest.mark.parametrize("change", [
    variable(gateway_fallbacks={"oracle": "executor"}),
    variable(gateway_aliases={"gpt-4o": "oracle", "claude-sonnet-4-5@20250929": "executor", "meta-llama/Llama-3.1:latest": "oracle"}),
    variable(gateway_cors_origins=["http://localhost:3000", "http://[::1]:3000", "https://chat.example.com:8443", "app://obsidian.md", "tauri://localhost",
                                   "capacitor://localhost", "http://tauri.localhost", "vscode-webview://0abc-12", "chrome-extension://abcdef",
                                   "vscode-file://vscode-app", "app://-"]),
    variable(observability_enabled=False, observability_prometheus_port=8080),
    variable(gateway_address="192.0.2.1", gateway_tls="self_signed"),
    gateway_key(previous_sha256="ab" * 32, previous_until="2026-12-31T18:00:00Z"),
    variable(gateway_tls="files", gateway_tls_certificate="/c.pem", gateway_tls_key="/k.pem"),
    provider(url="http://172.30.0.40:8000/v1"),
    service(address=""),
    service(device="gpu", gpus=["PCI-0000:01:00.0-2bb1"]),
    shards(1, 2, 3),
    variable(bunker_services=[], gateway_fallbacks={"oracle": "executor"}, gateway_aliases={"gpt-4o": "oracle"},
             networks_allowances=[{"from": "oracle", "to": "172.30.0.20", "protocol": "tcp", "port": 8002}]),
    allowance(**{"from": "oracle", "to": "172.30.0.0/24"}),
])
def test_sound_variants_are_sound(change):
    assert problems(change) == []


def test_a_model_that_no_service_uses_may_lack_its_hash():
    extra = {"name": "later", "architecture": "llama", "files": [{"name": "l.gguf", "sha256": None, "source": {"url": "https://x"}}]}
    assert problems(variable(model_store_extra_models=[extra])) == []


def test_unknown_variables_are_named_with_the_nearest_known_one():
    found = list(inventory_rules.unknown_variables(
        ["golden_image_bass", "ansible_host", "bunker_services"], {"golden_image_base", "bunker_services"}, ("golden_image_", "bunker_")))
    assert [(problem.value, problem.remedy) for problem in found] == [("golden_image_bass", "Did you mean golden_image_base?")]

"""Bad inventories, each given to site.yml as a host of its own that is the running site's machine: every one is refused by name, and nothing changes."""
import copy
import json

import ansible_runner
import pytest
import yaml
from support import ROOT, plays
from support.site import NAME

DEMO = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))
MODEL = yaml.safe_load((ROOT / "roles/model_store/defaults/main.yml").read_text(encoding="utf-8"))["model_store_catalogue"][0]
GPU = "GPU-57a4d1e0-0000-0000-0000-0057a4d1e000"


def oracle(**values):
    """The demo's services, the Oracle with other values."""
    services = copy.deepcopy(DEMO["bunker_services"])
    services[0].update(values)
    return {"bunker_services": services}


def without(key):
    services = copy.deepcopy(DEMO["bunker_services"])
    del services[0][key]
    return {"bunker_services": services}


def on(name, address):
    return oracle(networks=[{"name": name, "address": address}])


def network(**values):
    return {"networks_definitions": [dict({"name": "omni-network", "subnet": "172.30.0.0/16", "bridge": "br-omni", "internal": False}, **values),
                                     {"name": "internal_brain", "subnet": "172.31.0.0/16", "bridge": "br-brain", "internal": True}]}


def model(**values):
    return {"model_store_catalogue": [dict(copy.deepcopy(MODEL), **values)]}


def model_file(**values):
    return model(files=[dict(MODEL["files"][0], **values)])


# The variables of the inventory, and what the refusal must hold: the value, the remedy.
BAD = [
    ({"golden_image_bass": "x"}, "golden_image_bass", "Did you mean golden_image_base?"),
    ({"vram_watch_threshold": 7, "gateway_prot": 1}, "gateway_prot", "Did you mean gateway_port?"),
    (oracle(thread=4), "thread. Supported", "argument_specs.yml"),
    (oracle(model="smollm3"), "model smollm3", "Known: smollm2-135m-instruct-q4_1"),
    (without("model"), "missing required arguments: model", "argument_specs.yml"),
    (oracle(name="Oracle"), "service Oracle", "Rename it"),
    (oracle(name="seal"), "service seal", "Rename it"),
    (oracle(name="executor"), "service executor twice", "Rename one"),
    (oracle(threads=-4), "threads -4", "Use auto"),
    (oracle(threads="many"), "threads many", "Use auto"),
    (oracle(threads=4096), "threads: found 4096", "threads"),
    (oracle(context=0), "context 0", "Raise it"),
    (oracle(context=1000000), "found 1000000", "context"),
    (oracle(context="large"), "context", "argument_specs.yml"),
    (oracle(port=70000), "port 70000", "Choose another"),
    (oracle(address="127.0.0.1", port=8443), "port 8443 twice", "Choose another"),
    (oracle(address="localhost"), "address localhost", "Leave it empty"),
    (oracle(memory="much"), "memory much", "8g"),
    (oracle(device="tpu"), "tpu", "argument_specs.yml"),
    (oracle(device="cpu", gpus=[GPU]), "device cpu with gpus %s" % GPU, "Set device: gpu or remove gpus"),
    (oracle(device="gpu"), "device gpu without gpus", "nvidia-smi -L"),
    (oracle(device="gpu", gpus=["0"]), "gpu 0", "nvidia-smi -L"),
    (oracle(device="gpu", gpus=[GPU]), "gpu_exists", "Seat the card"),
    (oracle(device="cpu", gpu_layers=19), "gpu_layers 19", "Remove both"),
    (oracle(extra_arguments=["--threads=192"]), "extra argument --threads", "Use the service's threads"),
    (oracle(extra_arguments=["--rpc", "198.51.100.1:50052"]), "extra argument --rpc", "Remove it"),
    (oracle(networks=[]), "no networks", "omni-network"),
    (on("omni-network", "172.31.0.10"), "172.31.0.10 on omni-network", "Choose one inside it"),
    (on("omni-network", "172.30.0.1"), "172.30.0.1 on omni-network", "Choose another"),
    (on("omni-network", "172.30.0.20"), "172.30.0.20 on omni-network", "Choose another"),
    (on("omni-network", "oracle.local"), "oracle.local on omni-network", "172.30.0.10"),
    (on("omni_network", "172.30.0.10"), "172.30.0.10 on omni_network", "Known: internal_brain, omni-network"),
    (network(subnet="172.30.0.1/16"), "subnet 172.30.0.1/16", "172.30.0.0/16"),
    (network(subnet="172.31.0.0/24"), "omni-network 172.31.0.0/24", "Choose another subnet"),
    (network(bridge="br-omni-network-1"), "bridge br-omni-network-1", "Shorten it"),
    (network(bridge="br-brain"), "bridge br-brain twice", "Rename one"),
    (dict(network(subnet="172.29.253.0/24"), gateway_fallbacks={},
          bunker_services=[dict(DEMO["bunker_services"][0], networks=[{"name": "omni-network", "address": "172.29.253.77"}])]),
     "overlap", "a subnet of its own"),
    (model_file(sha256=MODEL["files"][0]["sha256"][:-1]), "sha256 '%s'" % MODEL["files"][0]["sha256"][:-1], "Obtain it"),
    (model_file(sha256=""), "no sha256", "sha256sum"),
    (model_file(sha256=None), "sha256: null", "Write one behind it, or leave the key out"),
    (model_file(name="../../etc/passwd"), "name '../../etc/passwd'", "letters, digits"),
    (model_file(name="a-00001-of-00002.gguf"), "shard 2 of 2 is not named", "Add a-00002-of-00002.gguf"),
    (model_file(source={"url": "https://hub.example/x", "file": "/x"}), "source has url and file", "Keep one of the three"),
    (model(files=[]), "has no files", "Add its files"),
    ({"golden_image_base": "debian:trixie", "golden_image_base_archive": ""}, "golden_image_base debian:trixie",
     "docker buildx imagetools inspect debian:trixie"),
    ({"golden_image_base": "debian@sha256:%s" % ("0" * 64)}, "golden_image_base_archive", "exactly one base"),
    ({"golden_image_source_sha256": "0" * 63}, "golden_image_source: sha256", "Obtain it"),
    ({"golden_image_cuda_architectures": ["sm_120"]}, "golden_image_cuda_architectures: sm_120", "Write for example 120"),
    ({"golden_image_jobs": "-2"}, "golden_image_jobs -2", "Use auto"),
    ({"golden_image_lock": "/nowhere/inputs.lock"}, "golden_image_lock /nowhere/inputs.lock", "./bunker sbom"),
    ({"disk_layout_volumes": [{"device": "/dev/sdb", "mount": "/nvme"}]}, "device /dev/sdb", "ls -l /dev/disk/by-id/"),
    ({"container_engine_data_root": "docker"}, "container_engine_data_root docker", "/nvme/docker"),
    ({"gateway_address": "0.0.0.0", "gateway_tls": "none"}, "gateway_address 0.0.0.0 with gateway_tls none", "self_signed"),
    ({"gateway_keys": [{"name": "alice", "sha256": "secret"}]}, "alice: sha256 of 6 characters", "sha256sum"),
    ({"gateway_fallbacks": {"oracle": "kimi"}}, "oracle: kimi", "Known: oracle, executor"),
    ({"vram_watch_act": 9}, "vram_watch_act 9", "Lower vram_watch_act"),
    ({"vram_watch_service": "pythia"}, "vram_watch_service pythia", "Known: oracle, executor"),
    ({"bunker_rung": 7}, "bunker_rung 7", "Choose one of them"),
    (oracle(ladder=["kv_to_rom"]), "ladder: kv_to_rom", "Known: context_4096"),
    ({"observability_retention": "forever"}, "observability_retention forever", "15d"),
    ({"networks_allowances": [{"from": "oracle", "to": "example.com", "protocol": "tcp", "port": 443}]}, "oracle to example.com", "172.30.0.20"),
]
# Not where what runs writes: a file that goes while find looks would be an error in its list.
CHANGED_SINCE = (r"find / -xdev \( -path /proc -o -path '/root/.ansible*' -o -path /tmp -o -path /var/log/journal "
                 r"-o -path /var/lib/protocol_omni/vram_watch -o -path /var/lib/protocol-omni-prometheus \) -prune "
                 "-o -newer /root/marker -not -type d -print | sort")
STATE = ("docker ps --no-trunc --format '{{.ID}} {{.Names}}' | sort; docker image ls --no-trunc --quiet | sort; docker network ls --quiet | sort; "
         # without its counters, which the running services move, and apart from nft's warnings, which come between its lines as they like
         "nft --stateless list ruleset > /tmp/ruleset 2> /tmp/warnings && sha256sum /tmp/ruleset")


@pytest.fixture(scope="module")
def refused(site, second, tmp_path_factory):
    """What site.yml says to each of them, and what it changed on the machine."""
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "run").mkdir()
    hosts = {"bad-%02d" % number: dict(variables, ansible_host=NAME) for number, (variables, _value, _remedy) in enumerate(BAD)}
    inventory = {"all": {"vars": {"ansible_connection": "community.docker.docker", "ansible_user": "root"}, "hosts": hosts}}
    (folder / "bad.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    assert yaml.safe_load(plays.HOSTS.read_text(encoding="utf-8"))["all"]["vars"]["ansible_connection"] == "community.docker.docker"
    before = site.execute("touch /root/marker; sleep 1; " + STATE)
    result = ansible_runner.run(
        private_data_dir=str(folder / "run"), project_dir=str(ROOT), playbook="site.yml", inventory=str(folder / "bad.yml"), limit="bad-*",
        cmdline="--inventory %s --forks 4" % (ROOT / "inventory" / "demo"), quiet=True, extravars={"bunker_report_path": str(folder / "reports")},
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"})
    messages, changes = {}, []
    for event in result.events:
        data = event.get("event_data", {})
        if event["event"] == "runner_on_failed":
            messages[data["host"]] = str(data["res"].get("msg", ""))
        if event["event"] == "runner_on_ok" and data["res"].get("changed"):
            changes.append((data["host"], data["task"]))
    return {"messages": messages, "changes": changes, "files": site.execute(CHANGED_SINCE)[1], "before": before, "after": site.execute(STATE)}


def test_there_are_at_least_forty():
    assert len({json.dumps(variables, sort_keys=True) for variables, _value, _remedy in BAD}) >= 40


@pytest.mark.parametrize("number", range(len(BAD)), ids=[value for _variables, value, _remedy in BAD])
def test_it_is_refused_with_the_value_and_the_remedy(refused, number):
    _variables, value, remedy = BAD[number]
    message = refused["messages"].get("bad-%02d" % number, "it was not refused")
    assert value in message and remedy in message, message


def test_nothing_changed(refused):
    assert refused["changes"] == []
    assert refused["before"][0] == 0, refused["before"][1]
    assert refused["after"] == refused["before"]
    assert refused["files"] == ""

"""What host_info reads on a real card, against the driver and the kernel themselves; and what host_rules makes of it.

    python3 tests/gpu/preflight.py tests/gpu/results/preflight.json      # needs ansible-core, see requirements/run.txt
"""
import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

from common import ROOT, write

sys.path.insert(0, str(ROOT / "tests" / "unit" / "plugins" / "module_utils" / "host_rules"))
from hosts import BOTH, changed  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import host_survey  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.judge import judge  # noqa: E402


def run(*command, **environment):
    return subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ, **environment)).stdout


def host_info():
    """The module, run by Ansible as a playbook would."""
    arguments = {"paths": ["/var/lib/docker", "/nvme/models"], "bandwidth": True}
    text = run(sys.executable, "-m", "ansible.cli.adhoc", "localhost", "-c", "local", "-e", "ansible_python_interpreter=" + sys.executable,
               "-m", "protocol_omni.bunker.host_info", "-a", json.dumps(arguments), ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"), ANSIBLE_NOCOLOR="1",
               ANSIBLE_CALLBACK_RESULT_FORMAT="json")
    return json.loads(text[text.index("{"):])["host"]


def observations(host):
    """Pairs of what host_info says and what the machine says by another way."""
    log = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", run("nvidia-smi", "-q", "-x")))
    cards = sorted((host_survey.pci_address(gpu.get("id")), gpu.findtext("uuid"), gpu.findtext("product_name"),
                    int(gpu.findtext("fb_memory_usage/total").split()[0]) << 20, gpu.findtext("pci/pci_device_id")[:4].lower()) for gpu in log.iter("gpu"))
    yield "cards", sorted((gpu["pci"], gpu["uuid"], gpu["name"], gpu["memory"], gpu["pci_device"]) for gpu in host["gpus"]), cards
    capabilities = run("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader").split()
    yield "capability by the table of PCI ids", sorted(host_survey.chip_of(gpu["pci_device"])[1] for gpu in host["gpus"]), sorted(capabilities)
    with open("/sys/module/nvidia/version", encoding="utf-8") as stream:
        yield "loaded module", host["kernel"]["nvidia"], stream.read().strip()
    yield "driver", {gpu["driver"] for gpu in host["gpus"]}, {log.findtext("driver_version")}
    yield "threads", host["cpu"]["threads"], os.cpu_count()
    yield "memory", host["memory"]["total"], os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    mount = run("findmnt", "--noheadings", "--output", "TARGET", "--target", existing("/var/lib/docker")).strip()
    yield "file system", host["places"]["/var/lib/docker"], mount


def existing(path):
    """The path, or the nearest folder above it that is there."""
    return path if os.path.exists(path) else existing(os.path.dirname(path))


def judgements(host):
    """Pairs of the rules that host_rules finds broken on this host and those that must be."""
    uuids = [gpu["uuid"] for gpu in host["gpus"]]
    native = sorted({gpu["capability"].replace(".", "") for gpu in host["gpus"]})
    sound = changed(BOTH, oracle__gpus=uuids, oracle__model="small", golden_image_cuda_architectures=native, model_store_extra_models=[],
                    disk_layout_volumes=[], container_engine_data_root="/var/lib/docker", bunker_cache_path="/var/lib/docker")
    cases = {
        "an inventory for this card": (sound, []),
        "a UUID of another card": (changed(sound, oracle__gpus=["GPU-00000000-0000-0000-0000-000000000000"]), ["gpu_exists"]),
        "an image for Blackwell alone": (changed(sound, golden_image_cuda_architectures=["120"]), ["gpu_family"]),
        "more threads than the host has": (changed(sound, executor__threads="100000"), ["threads"]),
        "a model above this memory": (changed(sound, model_store_catalogue=[{"name": "small", "files": [{"name": "x", "size": 1 << 50}]}]),
                                      ["room", "model_fits"]),
    }
    for name, (inventory, rules) in cases.items():
        yield name, [finding.rule for finding in judge(inventory, host) if finding.severity == "error"], rules


def main():
    host = host_info()
    cases = [{"case": name, "found": found, "expected": expected, "agree": found == expected}
             for name, found, expected in list(observations(host)) + list(judgements(host))]
    for case in cases:  # sets are no JSON; the card's identity stays on the machine
        for key in ("found", "expected"):
            case[key] = re.sub(r"GPU-[0-9a-f-]+", "GPU-…", str(case[key]))
    cards = [dict(gpu, uuid=None) for gpu in host["gpus"]]
    print("host: %s" % json.dumps(dict(host, gpus=cards, mounts=len(host["mounts"]), routes=len(host["routes"]))))
    write(sys.argv[1], {"gpus": host["gpus"], "kernel_module": host["kernel"]["nvidia"], "driver_cuda": (13, 0)}, cases)


if __name__ == "__main__":
    main()

"""The reference host's inventory: what is missing is exactly what only its owner can know, each named with the command that obtains it."""
import hashlib
import json
import pathlib
import re
import subprocess

import pytest
import yaml
from support import field_hosts

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import drafted_inventory, validated_inventory

ROOT = pathlib.Path(__file__).resolve().parents[3]
INVENTORY = ROOT / "inventory" / "omni_prime"
VARIABLES = yaml.safe_load((INVENTORY / "group_vars" / "all" / "bunker.yml").read_text(encoding="utf-8"))


def refusal(*extra_variables):
    """The problems that validate_inventory names, as lines; empty where there are none."""
    words = [word for variables in extra_variables for word in ("-e", json.dumps(variables))]
    result = subprocess.run(["ansible", "omni-prime", "-i", str(INVENTORY), "-m", "protocol_omni.bunker.validate_inventory", *words], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    lines = [line.strip() for line in (result.stdout + result.stderr).splitlines()]
    assert result.returncode == 0 or any("nothing was changed" in line for line in lines), result.stderr
    return [] if result.returncode == 0 else [line for line in dict.fromkeys(lines) if re.match(r"^\d+\. ", line)]


def filled(value):
    """The inventory with what a person fills in."""
    if isinstance(value, dict):
        return {key: filled(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry) for entry in value]
    if isinstance(value, str) and value.startswith("REPLACE with"):
        if "gpg --show-keys" in value:
            return "A" * 40
        if "nvidia-smi -L" in value:  # another one for each card that is asked for
            return "GPU-" + hashlib.sha256(value.encode()).hexdigest()[:8]
        return "/dev/disk/by-id/nvme-0000" + value.split(" the ")[2][:1]
    return value


@pytest.fixture(scope="module")
def missing():
    return refusal()


def test_every_missing_value_is_named_with_its_command(missing):
    text = "\n".join(missing)
    assert len(re.findall(r"gpus\.\d: only you can know this value\. Write .*nvidia-smi -L", text)) == 2
    assert len(re.findall(r"disk_layout_volumes\.\d\.device: only you can know this value\. Write .*ls -l /dev/disk/by-id", text)) == 2
    assert len(re.findall(r"no sha256: nothing is fetched that cannot be verified\. Obtain it: curl -sL \S+ \| grep oid", text)) == 8
    assert len(re.findall(r"docker buildx imagetools inspect ubuntu:24.04", text)) == 1
    assert len(re.findall(r"fingerprint: only you can know this value\. Write .*gpg --show-keys", text)) == 2
    assert len(re.findall(r"ansible_host: only you can know this value", text)) == 1


def test_nothing_else_is_missing(missing):
    assert len(missing) == 2 + 2 + 8 + 1 + 2 + 1, missing


def test_with_these_filled_in_the_inventory_is_sound():
    variables = filled(VARIABLES)
    variables["golden_image_base"] += "@sha256:" + "0" * 64
    for model in variables["model_store_extra_models"]:
        for entry in model["files"]:
            entry["sha256"] = "0" * 64
    assert refusal(variables, {"ansible_host": "192.168.1.2"}) == []


def test_every_variable_is_explained_where_it_stands():
    """A comment in the line or above it, for each variable and for each key of the first service."""
    lines = (INVENTORY / "group_vars" / "all" / "bunker.yml").read_text(encoding="utf-8").splitlines()
    bare = [line for above, line in zip([""] + lines, lines) if re.match(r"^[a-z_]+:", line) and "#" not in line and not above.startswith("#")]
    assert bare == []


def sound():
    """The validated inventory, filled in."""
    variables = filled(VARIABLES)
    variables["golden_image_base"] += "@sha256:" + "0" * 64
    for model in variables["model_store_extra_models"]:
        for entry in model["files"]:
            entry["sha256"] = "0" * 64
    inventory, problems = validated_inventory.validate(dict(variables, ansible_host="192.168.1.2"), drafted_inventory.Plain)
    assert problems == []
    return dict(inventory, golden_image_cuda_major=13)


SMALL = """
small:
  pci: ""
  smi: ""
  mig: ""
  recovery: ""
  fabric: ""
  listing: ""
  version: ""
  toolkit: ""
  meminfo: |
    MemTotal:       16777216 kB
    MemAvailable:   15000000 kB
  space: {/: [24, 20], /nvme: [24, 20], /nvme/models: [24, 20]}
"""


def test_a_host_of_16_gib_is_refused_before_the_first_byte_by_the_sizes_that_the_hub_says():
    (host,) = field_hosts.of_text(SMALL).values()
    host["inventory"] = inventory = sound()
    files = {entry["source"]["url"]: model["name"] for model in inventory["model_store_extra_models"] for entry in model["files"]}
    host["sizes_said"] = {url: 4_683_074_240 if name == "qwen2.5-coder-7b" else 45_600_000_000 for url, name in files.items()}
    errors = [text for kind, text in field_hosts.found(host) if kind.startswith("error ")]
    assert [re.match(r"error \(([a-z_]+)\)", text).group(1) for text in errors] == ["gpu_exists", "room", "model_fits"]
    assert "20.0 GiB free" in errors[1] and "297.3 for model deepseek-v3-0324-q3_k_m (/nvme/models), 4.4 for model qwen2.5-coder-7b" in errors[1]
    assert "model deepseek-v3-0324-q3_k_m: found 297.3 GiB of weights" in errors[2] and "needed at most 16.0 GiB" in errors[2]

"""The data of host_driver for every system, among them Ubuntu 24.04, on which no test runs the role."""
import jinja2
import pytest
import yaml

from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import gpu as host_rules
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

ROLES = collection_roles.ROLES
DATA = yaml.safe_load((ROLES / "host_driver" / "vars" / "main.yml").read_text(encoding="utf-8"))
SYSTEMS = yaml.safe_load((ROLES / "preflight" / "vars" / "main.yml").read_text(encoding="utf-8"))["_preflight_supported"]


def packages(origin, system, branch):
    suffix = jinja2.Template(DATA["_host_driver_suffix"]).render(host_driver_origin=origin, host_driver_branch=branch)
    return [jinja2.Template(name).render(_host_driver_suffix=suffix) for name in DATA["_host_driver_table"][origin][system]]


def test_every_system_that_preflight_lets_through_has_data():
    assert set(DATA["_host_driver_systems"]) == set(SYSTEMS)
    for origin in ("nvidia", "distribution"):
        assert set(DATA["_host_driver_table"][origin]) == set(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_systems_repository_is_named_completely(system):
    entry = DATA["_host_driver_systems"][system]
    assert set(entry) == {"folder", "key", "headers"}
    name, version = system.lower().split()
    assert entry["folder"].startswith(name + version)
    assert entry["key"].endswith(".pub") and entry["headers"].startswith("linux-headers-")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("origin", ["nvidia", "distribution"])
def test_packages_hold_open_modules_cuda_nvml_smi_and_the_daemon(origin, system):
    names = packages(origin, system, 580)
    assert len(names) == len(set(names)) >= 4
    assert any("open" in name for name in names)
    assert not any(name.startswith("nvidia-dkms-580") and not name.endswith("-open") for name in names)
    wanted = [{"libcuda1", "libnvidia-compute-580"}, {"libnvidia-ml1", "libnvidia-compute-580"}, {"nvidia-smi", "nvidia-utils-580"},
              {"nvidia-persistenced", "nvidia-compute-utils-580"}]
    assert all(set(names) & alternatives for alternatives in wanted)


@pytest.mark.parametrize("origin", ["nvidia", "distribution"])
def test_packages_of_ubuntu_carry_the_branch(origin):
    assert all("-570" in name for name in packages(origin, "Ubuntu 24", 570))
    assert not any("580" in name for name in packages(origin, "Ubuntu 24", 570))


def test_nvidias_packages_for_ubuntu_carry_no_branch_from_590_on():
    assert packages("nvidia", "Ubuntu 24", 595) == ["nvidia-dkms-open", "libnvidia-compute", "nvidia-utils", "nvidia-compute-utils"]


def test_where_the_name_carries_no_branch_the_pin_does():
    assert DATA["_host_driver_repositories"][0]["pin"] == "version {{ host_driver_branch }}.*"


# Debian 13's own nvidia-driver; that this is what apt offers is seen by molecule/host_driver.
DEBIANS = "550.163.01"


@pytest.mark.parametrize("capability, cuda, needed", [
    ("12.0", 13, "580 or newer for CUDA 13"),
    ("12.0", 12, "570 or newer for Blackwell"),
    ("8.9", 13, "580 or newer for CUDA 13"),
    ("8.9", 12, None),
])
@pytest.mark.parametrize("installed", [True, False])
def test_debians_driver_is_judged_by_card_and_image(capability, cuda, needed, installed):
    inventory = {"bunker_services": [{"name": "oracle", "device": "gpu", "gpus": ["GPU-1"]}], "golden_image_cuda": True,
                 "golden_image_cuda_major": cuda, "host_driver_branch": 550, "host_driver_upgrade": False}
    host = {"gpus": [{"uuid": "GPU-1", "name": "card", "pci": "0000:01:00.0", "capability": capability}],
            "kernel": {"nvidia": DEBIANS if installed else None, "nvidia_open": installed or None}}
    findings = list(host_rules.driver_branch(inventory, host))
    assert [finding.needed.split(" (")[0] for finding in findings] == ([needed] if needed else [])

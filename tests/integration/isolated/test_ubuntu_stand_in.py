"""What preflight, host_driver and container_engine decide of a host that says it is Ubuntu. It is a STAND-IN: Debian's container with Ubuntu's os-release, its
form of apt's sources, and an index with Ubuntu's names (tests/host/ubuntu). Nothing is installed, and nothing here says that a package of Ubuntu works."""
import json
import re

import pytest
from support.hosts import Host, bare


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    machine = Host("bunker-test-ubuntu", tmp_path_factory.mktemp("ubuntu"), {"gateway_address": "127.0.0.1"})  # it has no address
    machine.reports.mkdir()
    with bare(machine.host):
        machine.run("tests/host/dress_as_ubuntu.yml").assert_ok()
        yield machine


def decided(host):
    return json.loads((host.reports / "decided.json").read_text(encoding="utf-8"))


def test_it_is_taken_for_ubuntu_and_the_driver_is_named_as_ubuntu_does(host):
    run = host.run("tests/host/decide.yml").assert_ok()
    found = decided(host)
    assert found["system"] == ["Ubuntu", "24.04", "noble", "Debian"]
    names = {"nvidia-headless-580-open", "libnvidia-compute-580", "nvidia-utils-580", "nvidia-compute-utils-580", "linux-headers-generic"}
    candidates = dict(line.split() for line in found["candidates"])
    assert candidates == {**dict.fromkeys(names, "580.95.05-0ubuntu0.24.04.2"), "linux-headers-generic": "6.8.0-87.88"}
    installed = {line.split()[1] for line in found["simulated"] if line.startswith("Inst ")}
    assert names | {"nvidia-dkms-580-open", "dkms", "linux-headers-6.8.0-87-generic"} <= installed
    assert run.changed == set()


@pytest.mark.parametrize("branch, absent", [
    (590, {"nvidia-headless-590-open", "libnvidia-compute-590", "nvidia-utils-590", "nvidia-compute-utils-590"}),
    (535, {"nvidia-utils-535", "nvidia-compute-utils-535"})])
def test_a_branch_that_its_archive_has_not_whole_is_refused_by_the_names(host, branch, absent):
    run = host.run("tests/host/decide.yml", extra_vars={"host_driver_branch": branch})
    (said,) = [re.match(r"apt finds no (.*) for Ubuntu 24[.] Nothing was installed[.]", text) for text in run.failures if text.startswith("apt finds no ")]
    assert run.rc != 0 and set(said.group(1).split(", ")) == absent


def test_check_mode_predicts_the_engine_with_ubuntus_names(host):
    run = host.run("tests/host/decide.yml", "--check").assert_ok()
    assert decided(host)["engine"] == ["docker.io", "docker-buildx", "python3-requests"]
    assert "Install the packages" in run.changed
    assert host.execute("command -v docker nvidia-smi")[0] != 0


def test_a_release_that_no_role_knows_is_refused_by_name(host):
    host.run("tests/host/dress_as_ubuntu.yml", extra_vars={"stand_in_release": "22.04"}).assert_ok()
    run = host.run("tests/host/decide.yml")
    said = "bunker-test-ubuntu runs Ubuntu 22; supported are Debian 12, Debian 13, Ubuntu 24, Ubuntu 26"
    assert run.rc != 0 and any(said in text for text in run.failures), run.failures

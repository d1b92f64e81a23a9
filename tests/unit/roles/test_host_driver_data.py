"""The data of host_driver for every system, among them Ubuntu 24.04 and 26.04, on which no test runs the role."""
import sys

import pytest
import rendering
import yaml
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import gpu as host_rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import draft
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

sys.path.insert(0, str(ROOT / "tests" / "captures"))
import driver_packages  # noqa: E402

ROLES = collection_roles.ROLES
DATA = yaml.safe_load((ROLES / "host_driver" / "vars" / "main.yml").read_text(encoding="utf-8"))
CAPTURED = yaml.safe_load((ROOT / "tests" / "captures" / "driver_packages.yml").read_text(encoding="utf-8"))
SYSTEMS = yaml.safe_load((ROLES / "preflight" / "vars" / "main.yml").read_text(encoding="utf-8"))["_preflight_supported"]


DOCUMENTED = CAPTURED["documented"]


def packages(origin, system, branch):
    """What the role installs, by its own expressions."""
    variables = {"host_driver_origin": origin, "host_driver_branch": branch, "_host_driver_system": system, "host_driver_packages": ["auto"]}
    return rendering.render("host_driver", rendering.read("host_driver", "vars/main.yml")["_host_driver_packages"], variables)


def test_every_system_that_preflight_lets_through_has_data():
    assert set(DATA["_host_driver_systems"]) == set(SYSTEMS)
    for table in ("nvidia", "nvidia_from_590", "distribution"):
        assert set(DATA["_host_driver_table"][table]) == set(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_systems_repository_is_named_completely(system):
    entry = DATA["_host_driver_systems"][system]
    assert set(entry) == {"folder", "key", "headers", "oldest"}
    name, version = system.lower().split()
    assert entry["folder"].startswith(name + version) and draft.REPOSITORIES[system] == (entry["folder"], entry["key"])
    assert draft.OLDEST.get(system, 0) == entry["oldest"]
    assert entry["key"].endswith(".pub") and entry["headers"].startswith("linux-headers-")


@pytest.mark.parametrize("system", sorted(CAPTURED["index"]))
def test_debians_own_packages_are_in_its_index_and_hold_what_computing_needs(system):
    """tests/captures/driver_packages.yml has what the release's index held; that the module is the open one, Debian's name says."""
    index, names = CAPTURED["index"][system], packages("distribution", system, 580)
    assert [name for name in names if name not in index] == []
    assert {"nvidia-open-kernel-dkms", "libcuda1", "libnvidia-ml1", "nvidia-smi", "nvidia-persistenced"} <= set(names)
    branch = index["libcuda1"].split(".")[0]
    assert all(index[name].startswith(branch + ".") for name in names)
    assert "linux-headers-amd64" in index and DATA["_host_driver_systems"][system]["headers"] == "linux-headers-amd64"


def test_what_the_role_says_of_debians_branches_is_what_its_index_has():
    found = [CAPTURED["index"][system]["libcuda1"].split(".")[0] for system in ("Debian 12", "Debian 13")]
    text = (ROLES / "host_driver" / "vars" / "main.yml").read_text(encoding="utf-8")
    assert "# %s and %s, from the components contrib and non-free" % tuple(found) in text


@pytest.mark.parametrize("system", sorted(CAPTURED["installs"]))
def test_apt_resolves_what_the_role_installs_on_debian_by_its_real_index(system):
    """tests/captures/driver_packages.py had apt install the role's choice on an empty system, by the release's own index."""
    brought, index = CAPTURED["installs"][system], CAPTURED["index"][system]
    assert set(packages("distribution", system, 580)) | {"dkms", DATA["_host_driver_systems"][system]["headers"]} <= set(brought)
    assert {name: version for name, version in brought.items() if name in index} == {name: index[name] for name in brought if name in index}
    assert any(name.startswith("linux-headers-") and name[14].isdigit() for name in brought)  # the meta package brings real ones
    branch = index["libcuda1"].split(".")[0]
    carried = [name for name in brought if name.startswith(("libcuda", "libnvidia-ml", "libnvidia-ptx", "nvidia-open-kernel", "nvidia-smi", "firmware-nvidia"))]
    assert len(carried) >= 7 and {brought[name].split(".")[0] for name in carried} == {branch}


BRANCHES = [tuple(key.rsplit(" ", maxsplit=1)) for key in sorted(DOCUMENTED)]


def test_branches_580_to_610_are_documented_for_every_system_where_they_are():
    found = {(place.split(" ", 1)[0], place.split(" ", 1)[1], int(branch)) for place, branch in BRANCHES}
    assert {("nvidia", "Ubuntu 24", branch) for branch in (580, 590, 595, 610)} | {("nvidia", "Ubuntu 26", branch) for branch in (595, 610)} <= found
    assert {("nvidia", "Debian 13", branch) for branch in (580, 595, 610)} | {("distribution", "Ubuntu 24", branch) for branch in (580, 595, 610)} <= found
    assert {("distribution", "Ubuntu 26", branch) for branch in (580, 595)} | {("nvidia", "Debian 12", 580)} <= found
    assert not [one for one in found if one[0] == "nvidia" and one[2] < DATA["_host_driver_systems"][one[1]]["oldest"]]


@pytest.mark.parametrize("place, branch", BRANCHES)
def test_the_names_of_a_branch_are_those_that_are_published(place, branch):
    """A name that nobody published is listed under "unread", and nothing else is; what is needed of the driver itself is there too."""
    entry = DOCUMENTED["%s %s" % (place, branch)]
    names = packages(*place.split(" ", 1), int(branch))
    assert [name for name in names if name not in entry["names"]] == [name for name in names if name in entry["unread"]]
    assert set(entry["unread"]) <= set(names) and entry["source"]
    there = set(entry["names"]) | set(entry["unread"]) | {name for one in entry["names"].values() for name in one.get("provides", ())}
    needed = {name for one in entry["names"].values() for name in one.get("depends", ()) if name.startswith(("nvidia-", "libnvidia-"))}
    assert needed <= there
    assert all(one["version"].startswith(branch + ".") for one in entry["names"].values() if "version" in one)


def test_from_590_on_nvidias_packages_for_ubuntu_have_other_names():
    for system in ("Ubuntu 24", "Ubuntu 26"):
        assert packages("nvidia", system, 595) == packages("nvidia", system, 610) == ["nvidia-dkms-open", "libnvidia-compute", "nvidia-persistenced"]
    assert packages("nvidia", "Ubuntu 24", 570) == ["nvidia-dkms-570-open", "libnvidia-compute-570", "nvidia-utils-570", "nvidia-compute-utils-570"]
    assert packages("distribution", "Ubuntu 24", 595)[0] == "nvidia-headless-595-open"


INDEX = """Package: nvidia-dkms-open
Version: 595.71.05-1ubuntu1
Architecture: amd64
Depends: dkms, nvidia-kernel-source-open (= 595.71.05-1ubuntu1), nvidia-firmware:any

Package: nvidia-dkms-open
Version: 610.43.02-1ubuntu1
Architecture: amd64
Provides: nvidia-dkms (= 610.43.02), nvidia-prebuilt-kernel
Pre-Depends: dpkg (>= 1.15)

Package: nvidia-container-toolkit-base
Version: 1.19.1-1
Architecture: amd64

Package: libnvidia-compute
Version: 610.43.02-1ubuntu1
Architecture: i386
"""


def test_an_index_is_read_by_branch_as_the_command_that_refreshes_the_captures_does():
    assert driver_packages.driver_of_index(INDEX) == {
        595: {"nvidia-dkms-open": {"version": "595.71.05-1ubuntu1", "depends": ["dkms", "nvidia-kernel-source-open", "nvidia-firmware"], "provides": []}},
        610: {"nvidia-dkms-open": {"version": "610.43.02-1ubuntu1", "depends": ["dpkg"], "provides": ["nvidia-dkms", "nvidia-prebuilt-kernel"]}}}


@pytest.mark.parametrize("system, origin, branch, named, refused", [
    ("Ubuntu 26", "nvidia", 580, ["auto"], True), ("Ubuntu 26", "nvidia", 595, ["auto"], False), ("Ubuntu 26", "distribution", 580, ["auto"], False),
    ("Ubuntu 26", "nvidia", 580, ["nvidia-open"], False), ("Ubuntu 24", "nvidia", 580, ["auto"], False), ("Debian 13", "nvidia", 550, ["auto"], False)])
def test_a_branch_that_nvidia_never_packaged_for_a_system_is_refused_by_name(system, origin, branch, named, refused):
    variables = {"_host_driver_system": system, "host_driver_origin": origin, "host_driver_branch": branch, "host_driver_packages": named,
                 "_host_driver_work": True}
    refuse = rendering.task("host_driver", "tasks/refuse.yml", "Refuse a branch that NVIDIA never packaged for this system")["ansible.builtin.assert"]
    assert rendering.holds("host_driver", {"when": refuse["that"]}, variables) is not refused
    if refused:
        said = rendering.render("host_driver", refuse["fail_msg"], variables)
        assert "host_driver_branch is 580" in said and "begins with branch 595" in said and "Set host_driver_branch: 595" in said


def test_where_the_name_carries_no_branch_the_pin_does():
    assert DATA["_host_driver_repositories"][0]["pin"] == "version {{ host_driver_branch }}.*"


# Debian 13's own nvidia-driver, the newest that it has; that this is what apt offers is seen by molecule/host_driver.
DEBIANS = CAPTURED["index"]["Debian 13"]["libcuda1"].rpartition("-")[0]


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
    host = {"gpus": [{"uuid": "GPU-1", "name": "card", "pci": "0000:01:00.0", "capability": capability}], "slices": [],
            "kernel": {"nvidia": DEBIANS if installed else None, "nvidia_open": installed or None}}
    findings = list(host_rules.driver_branch(inventory, host))
    assert [finding.needed.split(" (")[0] for finding in findings] == ([needed] if needed else [])


def looked(packages=(), interrupted=(), modules=True, headers=False):
    """What host_driver_info returned, of packages as dpkg-query prints them."""
    return {"library": "", "cdi": [], "persistenced": False, "interrupted": list(interrupted), "held": [], "unheld": [], "dpkg": "",
            "kernel": {"modules": modules, "headers": headers},
            "packages": [dict(zip(("want", "status", "name", "version"), line.split())) for line in packages]}


KERNELS = ["install installed linux-image-6.8.0-45-generic 6.8.0-45.45", "install installed linux-image-6.8.0-50-generic 6.8.0-50.51",
           "install installed linux-image-generic 6.8.0-50.51", "deinstall config-files linux-image-6.8.0-60-generic 6.8.0-60.60",
           "install installed linux-headers-generic 6.8.0-50.51"]


@pytest.mark.parametrize("kernel, rows, headers, refused", [
    ((True, False), KERNELS, ["linux-headers-6.8.0-45-generic", "linux-headers-6.8.0-50-generic", "linux-headers-generic"], False),
    ((True, True), [], [], False), ((False, False), [], ["linux-headers-generic"], False), ((True, False), [], [], True)],
    ids=["a newer kernel waits", "headers of one's own", "a container", "a kernel of one's own"])
def test_the_headers_of_what_look_yml_saw(kernel, rows, headers, refused):
    variables = {"__host_driver_look": looked(rows, (), *kernel), "_host_driver_system": "Ubuntu 24",
                 "bunker_host": {"gpus": [], "kernel": {"release": "6.8.0-45-generic", "nvidia": None, "nvidia_open": None}, "toolkit": None},
                 "bunker_services": [], "host_driver_branch": 580, "host_driver_origin": "nvidia", "host_driver_packages": ["auto"]}
    role = rendering.read("host_driver", "vars/main.yml")
    assert rendering.render("host_driver", role["_host_driver_headers"], variables) == headers
    missing = rendering.render("host_driver", role["_host_driver_missing"], variables)
    assert {name for name in missing if name.startswith("linux-headers")} == {name for name in headers if not rows or name != "linux-headers-generic"}
    assert bool(rendering.render("host_driver", role["_host_driver_headers_chosen"], variables)["refusal"]) is refused


DKMS, CARRIES = "hold installed nvidia-dkms-580-open 580.95.05-1", "install installed linux-headers-6.8.0-50-generic 6.8.0-50.51"


@pytest.mark.parametrize("rows, work, running, to_come", [
    ([DKMS], False, "6.8.0-45-generic", ["linux-headers-6.8.0-50-generic"]), ([DKMS], False, "6.8.0-50-generic", []),
    ([DKMS, CARRIES], False, "6.8.0-45-generic", []), ([DKMS], True, "6.8.0-45-generic", []), ([], False, "6.8.0-45-generic", [])],
    ids=["a newer kernel waits", "it runs already", "its headers are there", "the driver is installed anyway", "nothing is compiled here"])
def test_a_driver_that_serves_gets_the_headers_of_a_newer_kernel_that_waits(rows, work, running, to_come):
    variables = {"__host_driver_look": looked(KERNELS + rows, (), True, True), "_host_driver_system": "Ubuntu 24", "_host_driver_work": work,
                 "bunker_host": {"gpus": [], "kernel": {"release": running, "nvidia": "580.95.05", "nvidia_open": True}, "toolkit": None}}
    install = rendering.task("host_driver", "tasks/apply.yml", "Install the headers of the kernels that may boot next")
    assert rendering.holds("host_driver", install, variables) is bool(to_come)
    assert rendering.render("host_driver", install["ansible.builtin.apt"]["name"], variables) == to_come


@pytest.mark.parametrize("said", [[], ["nvidia-smi is half-configured", "libcuda1 is unpacked"]], ids=["nothing", "killed while it configured"])
@pytest.mark.parametrize("rc", [0, 1])
def test_an_installation_that_was_interrupted_is_finished_first_or_refused_with_the_command(said, rc):
    variables = {"__host_driver_look": looked(KERNELS, said, True, True), "_host_driver_system": "Ubuntu 24",
                 "inventory_hostname": "here", "ansible_check_mode": False, "_host_driver_work": True, "_host_driver_toolkit_work": False,
                 "__host_driver_finished": {"rc": rc, "stderr_lines": ["dpkg: error processing package nvidia-smi (--configure):", " it failed"]}}
    role = rendering.read("host_driver", "vars/main.yml")
    assert rendering.render("host_driver", role["_host_driver_interrupted"], variables) == said
    finish = rendering.task("host_driver", "tasks/apply.yml", "Finish an installation that was interrupted")
    assert rendering.holds("host_driver", finish, variables) is bool(said)
    assert rendering.holds("host_driver", finish, dict(variables, _host_driver_work=False)) is False  # nothing is installed: it is no matter of this role
    refuse = rendering.task("host_driver", "tasks/finish.yml", "Refuse what dpkg cannot finish")
    assert rendering.holds("host_driver", {"when": refuse["ansible.builtin.assert"]["that"]}, variables) is (rc == 0)
    text = rendering.render("host_driver", refuse["ansible.builtin.assert"]["fail_msg"], variables)
    assert ", ".join(said) in text and "dpkg --configure -a; apt-get install --fix-broken" in text and text.endswith("(--configure): it failed")


BUILT = ["version:        580.95.05", "license:        Dual MIT/GPL", "signer:         DKMS module signing key"]


@pytest.mark.parametrize("said, cards, secure, refused", [
    (BUILT, ["12.0"], False, ""), (BUILT, ["12.0"], True, ""), ([], ["12.0"], False, "no module nvidia is built; needed 580.95.05"),
    (["modinfo: ERROR: Module nvidia not found."], ["8.9"], None, "no module nvidia is built"),
    ([BUILT[0].replace("580", "570"), *BUILT[1:]], ["8.9"], False, "the module nvidia is 570.95.05"),
    ([BUILT[0], "license:        NVIDIA"], ["8.9"], False, ""), ([BUILT[0], "license:        NVIDIA"], ["8.9", "12.0"], False, "Blackwell needs"),
    (BUILT[:2], ["12.0"], True, "is not signed")])
def test_no_reboot_is_asked_for_before_the_module_is_built_for_what_boots(said, cards, secure, refused):
    variables = {"__host_driver_look": dict(looked(KERNELS), library="580.95.05"), "_host_driver_system": "Ubuntu 24", "ansible_check_mode": False,
                 "bunker_reboot_needed": True,
                 "bunker_host": {"gpus": [{"uuid": None, "capability": one} for one in cards], "toolkit": None,
                                 "kernel": {"release": "6.8.0-45-generic", "nvidia": None, "nvidia_open": None, "nouveau": False, "secure_boot": secure,
                                            "mok_certificates": ["/var/lib/dkms/mok.pub"]}},
                 "bunker_services": [], "host_driver_branch": 580, "host_driver_origin": "nvidia", "host_driver_packages": ["auto"],
                 "inventory_hostname": "here",
                 "__host_driver_built": {"lines": ["kernel 6.8.0-50-generic", *said, "key /var/lib/dkms/mok.pub enrolled"]}}
    see = rendering.task("host_driver", "tasks/reboot.yml", "See whether the module is built for what may boot next")
    asked = {name: rendering.render("host_driver", given, variables) for name, given in see["protocol_omni.bunker.next_boot_info"].items()}
    assert asked == {"kernels": ["6.8.0-50-generic"], "certificates": ["/var/lib/dkms/mok.pub"]}
    refuse = rendering.task("host_driver", "tasks/reboot.yml", "Refuse a reboot after which the host would be without its cards")
    assert rendering.holds("host_driver", refuse, variables)
    assert rendering.holds("host_driver", {"when": refuse["ansible.builtin.assert"]["that"]}, variables) is (refused == "")
    assert refused in rendering.render("host_driver", refuse["ansible.builtin.assert"]["fail_msg"], variables)
    names = [entry["name"] for entry in rendering.read("host_driver", "tasks/reboot.yml")]
    stop, reboot = "Stop before the reboot that the inventory does not allow", "Reboot where the inventory allows it"
    assert names.index(refuse["name"]) < names.index(stop) < names.index(reboot)
    assert rendering.holds("host_driver", refuse, dict(variables, bunker_reboot_needed=False)) is False


def test_the_role_looks_as_its_claims_do_and_does_not_go_on_without_dpkg():
    variables = {"host_driver_packages": ["nvidia-open"], "preflight_hardware_root": "/opt/card"}
    look, claimed = (rendering.render("host_driver", given["protocol_omni.bunker.host_driver_info"], variables) for given in (
        rendering.task("host_driver", "tasks/look.yml", "See what is installed"),
        rendering.task("host_driver", "tasks/verify.yml", "Look at the driver")["vars"]["_look"]))
    assert look == dict(claimed, strict=True) and claimed["hardware_root"] == "/opt/card"

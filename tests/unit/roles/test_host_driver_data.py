"""The data of host_driver for every system, among them Ubuntu 24.04, on which no test runs the role."""
import jinja2
import pytest
import rendering
import yaml
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import gpu as host_rules
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

ROLES = collection_roles.ROLES
DATA = yaml.safe_load((ROLES / "host_driver" / "vars" / "main.yml").read_text(encoding="utf-8"))
CAPTURED = yaml.safe_load((ROOT / "tests" / "captures" / "driver_packages.yml").read_text(encoding="utf-8"))
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


@pytest.mark.parametrize("old, new", CAPTURED["documented"]["NVIDIA for Ubuntu"]["renamed"].items())
def test_nvidias_packages_for_ubuntu_are_named_as_its_guide_says(old, new):
    assert old in packages("nvidia", "Ubuntu 24", 580) and new not in packages("nvidia", "Ubuntu 24", 580)
    assert new in packages("nvidia", "Ubuntu 24", 590) and old not in packages("nvidia", "Ubuntu 24", 590)
    assert old.replace("580", "570") in packages("nvidia", "Ubuntu 24", 570)


def test_the_names_that_no_source_confirms_are_listed_as_such():
    """No index of NVIDIA or Ubuntu was read: what is neither in an index nor in the guide stands under "unread", and nothing else does."""
    unread = {key: names for key, names in CAPTURED["documented"]["unread"].items() if key != "why"}
    confirmed = set(CAPTURED["documented"]["NVIDIA for Ubuntu"]["renamed"])
    found = {}
    for origin in ("nvidia", "distribution"):
        for system in SYSTEMS:
            known = set(CAPTURED["index"].get(system, ())) if origin == "distribution" else confirmed
            left = [name for name in packages(origin, system, 580) if name not in known]
            if left:
                found["%s %s" % (origin, system)] = left
    assert found == unread


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


LOOKED = ["library /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1", "cdi ", "persistenced "]
KERNELS = ["install installed linux-image-6.8.0-45-generic 6.8.0-45.45", "install installed linux-image-6.8.0-50-generic 6.8.0-50.51",
           "install installed linux-image-generic 6.8.0-50.51", "deinstall config-files linux-image-6.8.0-60-generic 6.8.0-60.60",
           "install installed linux-headers-generic 6.8.0-50.51"]


@pytest.mark.parametrize("kernel, rows, headers, refused", [
    ("kernel modules ", KERNELS, ["linux-headers-6.8.0-45-generic", "linux-headers-6.8.0-50-generic", "linux-headers-generic"], False),
    ("kernel modules headers", [], [], False), ("kernel  ", [], ["linux-headers-generic"], False), ("kernel modules ", [], [], True)],
    ids=["a newer kernel waits", "headers of one's own", "a container", "a kernel of one's own"])
def test_the_headers_of_what_look_yml_saw(kernel, rows, headers, refused):
    variables = {"__host_driver_look": {"stdout_lines": [*LOOKED, kernel, "dpkg ", *rows]}, "_host_driver_system": "Ubuntu 24",
                 "bunker_host": {"gpus": [], "kernel": {"release": "6.8.0-45-generic", "nvidia": None, "nvidia_open": None}, "toolkit": None},
                 "bunker_services": [], "host_driver_branch": 580, "host_driver_origin": "nvidia", "host_driver_packages": ["auto"]}
    role = rendering.read("host_driver", "vars/main.yml")
    assert rendering.render("host_driver", role["_host_driver_headers"], variables) == headers
    missing = rendering.render("host_driver", role["_host_driver_missing"], variables)
    assert {name for name in missing if name.startswith("linux-headers")} == {name for name in headers if not rows or name != "linux-headers-generic"}
    assert bool(rendering.render("host_driver", role["_host_driver_headers_chosen"], variables)["refusal"]) is refused


@pytest.mark.parametrize("notes, rows, said", [
    ("dpkg ", KERNELS, []),
    ("dpkg ", ["install half-configured nvidia-smi 580.95.05-1", "install unpacked libcuda1 580.95.05-1", "install installed nvidia-persistenced 580.95.05-1"],
     ["nvidia-smi is half-configured", "libcuda1 is unpacked"]),
    ("dpkg interrupted", ["install half-installed nvidia-kernel-open-dkms 580.95.05-1"],
     ["nvidia-kernel-open-dkms is half-installed", "dpkg has unfinished notes (/var/lib/dpkg/updates)"])],
    ids=["nothing", "killed while it configured", "killed while it unpacked"])
@pytest.mark.parametrize("rc", [0, 1])
def test_an_installation_that_was_interrupted_is_finished_first_or_refused_with_the_command(notes, rows, said, rc):
    variables = {"__host_driver_look": {"stdout_lines": [*LOOKED, "kernel modules headers", notes, *rows]}, "_host_driver_system": "Ubuntu 24",
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
    look = ["library /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05", "cdi ", "persistenced ", "kernel modules ", "dpkg ", *KERNELS]
    variables = {"__host_driver_look": {"stdout_lines": look}, "_host_driver_system": "Ubuntu 24", "ansible_check_mode": False, "bunker_reboot_needed": True,
                 "bunker_host": {"gpus": [{"uuid": None, "capability": one} for one in cards], "toolkit": None,
                                 "kernel": {"release": "6.8.0-45-generic", "nvidia": None, "nvidia_open": None, "nouveau": False, "secure_boot": secure,
                                            "mok_certificates": ["/var/lib/dkms/mok.pub"]}},
                 "bunker_services": [], "host_driver_branch": 580, "host_driver_origin": "nvidia", "host_driver_packages": ["auto"], "inventory_hostname": "here",
                 "__host_driver_built": {"stdout_lines": ["kernel 6.8.0-50-generic", *said, "key /var/lib/dkms/mok.pub enrolled"]}}
    see = rendering.task("host_driver", "tasks/reboot.yml", "See whether the module is built for what may boot next")
    command = rendering.render("host_driver", see["ansible.builtin.shell"]["cmd"], variables)
    assert "for release in 6.8.0-50-generic; do" in command and "for key in /var/lib/dkms/mok.pub; do" in command
    refuse = rendering.task("host_driver", "tasks/reboot.yml", "Refuse a reboot after which the host would be without its cards")
    assert rendering.holds("host_driver", refuse, variables)
    assert rendering.holds("host_driver", {"when": refuse["ansible.builtin.assert"]["that"]}, variables) is (refused == "")
    assert refused in rendering.render("host_driver", refuse["ansible.builtin.assert"]["fail_msg"], variables)
    names = [entry["name"] for entry in rendering.read("host_driver", "tasks/reboot.yml")]
    assert names.index(refuse["name"]) < names.index("Stop before the reboot that the inventory does not allow") < names.index("Reboot where the inventory allows it")
    assert rendering.holds("host_driver", refuse, dict(variables, bunker_reboot_needed=False)) is False

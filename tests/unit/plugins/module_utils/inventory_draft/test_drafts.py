"""Hosts before anything is installed on them: each gets an inventory that validation and preflight take, or a refusal that says why.

No value that is expected here comes from the draft: which model fits is computed by hand beside it, addresses are those of the fixture.
"""
import ipaddress

import pytest
import yaml
from bare_hosts import CARD_24, DRIVEN, EMPTY_1, EMPTY_2, HOSTS, SYSTEM_DISK, host, hosts, survey, without_driver
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import access, disks, draft, models, subnets
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import candidates, drafted_inventory

NOTHING = {"format_disks": [], "allow_reboot": False, "upgrade_driver": False, "gateway_address": ""}
EMPTY = {"no driver": [EMPTY_1, EMPTY_2], "two unequal": [EMPTY_1, EMPTY_2], "eight equal": [EMPTY_1, EMPTY_2], "one card": [EMPTY_1], "MIG": [EMPTY_1],
         "AMD": [EMPTY_1], "16 GiB RAM": [EMPTY_1], "busy subnets": [EMPTY_1]}
FINGERPRINT = "A" * 40


def resolved(catalogue):
    """The catalogue as a hub that answers makes it: each file has a hash, and its share of the rounded size."""
    for candidate in catalogue:
        for entry in candidate["files"] if not candidate.get("shipped") else []:
            entry.update(sha256="0" * 64, size=int(candidate["gigabytes"] * 10 ** 9 / len(candidate["files"])))
    return catalogue


def drafted(name, catalogue=None, **answers):
    """(parts, refusals, problems of validation, findings of preflight) of a host, all of whose empty disks may be formatted."""
    found = HOSTS[name]
    given = dict(NOTHING, format_disks=[disk["device"] for disk in EMPTY.get(name, [])], **answers)
    volumes, _wrong = disks.chosen(given["format_disks"], found["disks"])
    origins = {"base": "debian:trixie-slim@sha256:" + "0" * 64, "keys": {
        key: {"address": address, "fingerprint": FINGERPRINT, "confirmed": True} for _variable, key, address in draft.keys_of(found)}}
    parts, refusals = draft.draft(found, given, draft.pick(found, catalogue or resolved(candidates.load()), volumes), origins)
    if refusals:
        return parts, refusals, [], []

    def read(asked):
        """As host_info would answer: folders lie on the root, disks have their size, no model is there."""
        sizes = {disk["device"]: disk["size"] for disk in found["disks"]}
        return {"places": dict.fromkeys(asked["paths"], "/"), "devices": {path: sizes[path] for path in asked["devices"]}, "models": {}}
    return (parts, [], *drafted_inventory.judged(parts, found["host"], "192.168.1.20", read))


def services(name, **answers):
    return {service["name"]: service for service in drafted_inventory.variables(drafted(name, **answers)[0])["bunker_services"]}


# rules of preflight that have something to remark, all of them warnings
REMARKS = {"no driver": ["gpu_exists"], "no disk to spare": ["gpu_exists"], "one card": [], "two unequal": [], "eight equal": [], "MIG": [], "AMD": [],
           "laptop": [], "16 GiB RAM": [], "busy subnets": [], "Ubuntu 26.04, no driver": ["gpu_exists"]}


@pytest.mark.parametrize(("name", "rules"), REMARKS.items())
def test_a_host_gets_an_inventory_that_validation_and_preflight_take(name, rules):
    _parts, refusals, problems, findings = drafted(name)
    assert (refusals, problems) == ([], [])
    assert [(finding.severity, finding.rule) for finding in findings] == [("warning", rule) for rule in rules]


@pytest.mark.parametrize(("name", "gpus", "oracle", "executor"), [
    # 96 + 32 GiB hold 122 GB with 7 GiB free on each; of 319 GB the rest, 197 GB, fits into 75 % of 384 GiB (309 GB)
    ("no driver", ["PCI-0000:01:00.0-2bb1", "PCI-0000:41:00.0-2b85"], "deepseek-v3-0324-q3_k_m", "qwen2.5-coder-7b"),
    ("two unequal", ["GPU-96", "GPU-32"], "deepseek-v3-0324-q3_k_m", "qwen2.5-coder-7b"),
    # 24 - 7 GiB are 18.25 GB: 19.9 GB do not lie on it, 9.0 GB do
    ("one card", ["GPU-24"], "qwen2.5-coder-14b", "qwen2.5-coder-7b"),
    ("no disk to spare", ["PCI-0000:01:00.0-2684"], "qwen2.5-coder-14b", "qwen2.5-coder-7b"),
    # 141 - 7 GiB are 143.9 GB a card: 319 GB and a tenth, 351, lie on three
    ("eight equal", ["GPU-H0", "GPU-H1", "GPU-H2"], "deepseek-v3-0324-q3_k_m", "qwen2.5-coder-7b"),
    # the larger slice of 47 GiB holds 42.9 GB: 42.5 and a tenth do not lie on it, 19.9 do
    ("MIG", ["MIG-2"], "qwen2.5-coder-32b", "qwen2.5-coder-7b"),
    ("AMD", None, None, "qwen2.5-coder-7b"),
    # 25 GB/s over 4.7 GB are 5.3 tokens a second
    ("laptop", None, None, "qwen2.5-coder-7b"),
    ("16 GiB RAM", None, None, "qwen2.5-coder-7b"),
])
def test_the_model_that_fits_is_chosen_and_the_fewest_cards_that_hold_it(name, gpus, oracle, executor):
    found = services(name)
    assert found["executor"]["model"] == executor and found["executor"]["device"] == "cpu"
    assert found.get("oracle", {}).get("model") == oracle and found.get("oracle", {}).get("gpus") == gpus


def test_a_slow_memory_gets_a_smaller_model():
    slow = dict(HOSTS["laptop"], host=dict(HOSTS["laptop"]["host"], memory={"total": 15 << 30, "available": 9 << 30, "bandwidth": 10 * 10 ** 9}))
    # 10 GB/s: 2.1 tokens a second with 4.7 GB, 5 with 2.0 GB
    assert models.choose(candidates.load(), "executor", [], slow["host"], 0, None)["name"] == "qwen2.5-coder-3b"


@pytest.mark.parametrize(("name", "value", "rule"), [
    ("2 GiB RAM", "memory 0.1 GiB", "smallest model of the catalogue fits"), ("no subnet left", "routes and Docker networks", "two /24 of private addresses")])
def test_a_host_that_cannot_be_helped_is_refused(name, value, rule):
    parts, refusals, _problems, _findings = drafted(name)
    assert parts == [] and [(value in one.value, rule in one.rule) for one in refusals] == [(True, True)]


def test_preflight_refuses_a_host_without_room():
    findings = drafted("no disk to spare and a full root")[3]
    assert ("error", "room", "file system /") in [(finding.severity, finding.rule, finding.what) for finding in findings]


@pytest.mark.parametrize(("system", "said"), [({"name": "Fedora 41"}, "system Fedora 41"), ({"architecture": "aarch64"}, "processor aarch64"),
                                              ({"service_mgr": "openrc"}, "init openrc")])
def test_a_system_that_no_role_knows_is_refused(system, said):
    assert [problem.value for problem in draft.unsupported(survey({}, system=system)["system"])] == [said]
    assert list(draft.unsupported(survey({})["system"])) == []


# --- what a person decides

def test_what_is_asked_is_what_only_a_person_can_decide():
    assert [question["name"] for question in draft.questions(HOSTS["no driver"])] == ["format_disks", "allow_reboot"]
    assert draft.questions(HOSTS["no driver"])[0]["choices"] == [EMPTY_2["device"], EMPTY_1["device"]]
    assert [question["name"] for question in draft.questions(HOSTS["one card"])] == ["format_disks"]
    assert draft.questions(HOSTS["laptop"]) == []


def test_a_key_is_shown_with_its_address_for_a_person_to_compare():
    keys = [{"address": "https://x/key", "fingerprint": FINGERPRINT, "confirmed": False}, {"address": "https://y", "fingerprint": None, "confirmed": False}]
    question = draft.questions(HOSTS["one card"], keys)[-1]
    assert (question["name"], question["kind"], question["choices"]) == ("trust_keys", "key", [FINGERPRINT])
    assert "https://x/key holds the key " + FINGERPRINT in question["text"] and "docs.nvidia.com" in question["text"]
    assert len(draft.questions(HOSTS["one card"], keys)) == 2


def test_nothing_is_formatted_unless_somebody_says_so():
    found = HOSTS["no driver"]
    parts, refusals = draft.draft(found, NOTHING, draft.pick(found, candidates.load(), []), {})
    assert refusals == [] and "disk_layout_volumes" not in drafted_inventory.variables(parts)
    assert drafted_inventory.variables(parts)["host_driver_reboot"] is False


def test_the_larger_disk_takes_the_models():
    assert drafted_inventory.variables(drafted("no driver")[0])["disk_layout_volumes"] == [
        {"device": EMPTY_1["device"], "mount": "/srv/bunker"}, {"device": EMPTY_2["device"], "mount": "/srv/bunker/models"}]


@pytest.mark.parametrize(("path", "rule"), [
    (SYSTEM_DISK["device"], "only an empty disk is formatted, and this one is not (a partition table (gpt) at byte 512; partitions sda1, sda2)"),
    ("/dev/sdz", "it is a disk of the host")])
def test_a_disk_that_is_not_empty_or_not_there_is_refused(path, rule):
    found, problems = disks.chosen([path], HOSTS["no driver"]["disks"])
    assert found == [] and [problem.rule for problem in problems] == [rule] and EMPTY_1["device"] in problems[0].remedy


def test_a_reboot_that_is_allowed_is_written():
    assert drafted_inventory.variables(drafted("no driver", allow_reboot=True)[0])["host_driver_reboot"] is True


def test_a_system_whose_repository_begins_later_gets_its_first_branch():
    found = drafted_inventory.variables(drafted("Ubuntu 26.04, no driver")[0])
    assert found["host_driver_branch"] == 595
    assert [address for _variable, key, address in draft.keys_of(HOSTS["Ubuntu 26.04, no driver"]) if key == "driver"] == [
        "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2604/x86_64/60DF8A40.pub"]
    assert drafted_inventory.variables(drafted("no driver")[0])["host_driver_branch"] == 580


def test_a_system_whose_own_engine_is_too_old_gets_dockers(monkeypatch):
    """site.yml refuses the distribution's there: what init writes has to be what it takes."""
    packages = yaml.safe_load((ROOT / "roles/container_engine/vars/main.yml").read_text(encoding="utf-8"))["_container_engine_packages"]
    assert set(draft.WITHOUT_ENGINE) == set(draft.SYSTEMS) - set(packages["distribution"]) == {"Debian 12"} and set(packages["docker"]) == set(draft.SYSTEMS)
    assert "container_engine_origin" not in drafted_inventory.variables(drafted("one card")[0])
    monkeypatch.setitem(HOSTS, "Debian 12", dict(HOSTS["one card"], system=dict(HOSTS["one card"]["system"], name="Debian 12")))
    parts, refusals, problems, _findings = drafted("Debian 12")
    assert (refusals, problems) == ([], []) and drafted_inventory.variables(parts)["container_engine_origin"] == "docker"


def test_an_image_without_cards_has_no_cuda_and_its_name_says_so():
    found = drafted_inventory.variables(drafted("AMD")[0])
    assert (found["golden_image_cuda"], found["golden_image_alias"]) == (False, "cpu") and "host_driver_branch" not in found
    assert "golden_image_cuda" not in drafted_inventory.variables(drafted("one card")[0])
    assert drafted_inventory.variables(drafted("eight equal")[0])["golden_image_cuda_architectures"] == ["90"]


@pytest.mark.parametrize(("base", "found"), [
    ("mirror.example/debian@sha256:" + "b" * 64, {"golden_image_base": "mirror.example/debian@sha256:" + "b" * 64}),
    ("/srv/base.tar@sha256:" + "c" * 64, {"golden_image_base_archive": "/srv/base.tar", "golden_image_base_archive_sha256": "c" * 64})])
def test_a_base_that_a_person_names_is_taken_and_no_other(base, found):
    parts, refusals, problems, _findings = drafted("AMD", base=base)
    written = drafted_inventory.variables(parts)
    assert (refusals, problems) == ([], []) and {key: value for key, value in written.items() if key.startswith("golden_image_base")} == found


def test_authorities_of_a_proxy_are_written_where_there_are_some():
    parts, _refusals, problems, _findings = drafted("AMD", ca_bundle="/etc/ssl/ours.pem")
    assert problems == [] and drafted_inventory.variables(parts)["bunker_ca_bundle"] == "/etc/ssl/ours.pem"
    assert "bunker_ca_bundle" not in drafted_inventory.variables(drafted("AMD")[0])


def test_a_model_that_a_person_names_is_taken_whether_another_fits_or_not():
    catalogue = candidates.load()
    picked, _left = draft.pick(HOSTS["one card"], catalogue, [], {"executor": "smollm2-135m-instruct-q4_1", "oracle": "qwen2.5-coder-3b"})
    assert [(service, candidate["name"]) for service, candidate, _hands in picked] == [
        ("oracle", "qwen2.5-coder-3b"), ("executor", "smollm2-135m-instruct-q4_1")]
    with pytest.raises(models.NotThere) as refused:
        draft.pick(HOSTS["one card"], catalogue, [], {"executor": "gpt-4"})
    assert refused.value.problem.value == "--executor gpt-4" and "smollm2-135m-instruct-q4_1" in refused.value.problem.rule
    with pytest.raises(models.NotThere) as refused:
        draft.pick(HOSTS["AMD"], catalogue, [], {"oracle": "qwen2.5-coder-3b"})
    assert refused.value.problem.value == "--oracle qwen2.5-coder-3b" and "there is none on this host" in refused.value.problem.rule


def test_the_way_without_hub_and_registry_is_said_and_leads_somewhere():
    """The model that it names is in the catalogue, and needs no hub: its file has a hash."""
    lines = list(draft.without_origins(["inventory.golden_image_base", "inventory.model_store_extra_models.a.files.b.sha256"]))
    name = lines[0].partition("--executor ")[2].split()[0]
    assert [len(entry["sha256"]) for one in candidates.load() if one["name"] == name for entry in one["files"]] == [64]
    assert "--base" in lines[1] and list(draft.without_origins(["inventory.gateway_address"])) == []


@pytest.mark.parametrize(("load", "said"), [(17.2, True), (4.1, True), (4.0, False), (None, False)])
def test_a_host_that_was_busy_while_its_memory_was_measured_is_named(load, said):
    """It has 8 threads."""
    found = dict(HOSTS["laptop"], load=load)
    parts, _refusals = draft.draft(found, NOTHING, draft.pick(found, resolved(candidates.load()), []), {})
    assert ("The host was busy" in " ".join(parts[0].entries[0].comment)) is said


def test_a_card_that_is_left_says_why():
    title_and_entries = drafted("laptop")[0][0]
    assert "compute capability 6.1; CUDA 13 compiles for 7.5 and newer" in " ".join(title_and_entries.entries[0].comment)
    assert "AMD card 744c at 0000:03:00.0" in " ".join(drafted("AMD")[0][0].entries[0].comment)


def test_the_gateway_on_an_address_is_encrypted():
    _parts, _refusals, problems, _findings = drafted("one card", gateway_address="192.168.1.20")
    assert problems == []
    assert drafted_inventory.variables(drafted("one card")[0])["gateway_address"] == "127.0.0.1"


# --- cards that are small, unknown, or somebody else's

def a_card(gib, **values):
    return dict(CARD_24, **dict({"uuid": "GPU-X", "name": "NVIDIA card", "memory": gib * hosts.GIB, "pci_device": "1f08", "capability": "7.5"}, **values))


def of_host(**values):
    """(oracle or None, lines of the services) of a host with 64 GiB of RAM at 80 GB/s, of which a model of 19.9 GB may be read four times a second."""
    found = survey(host(memory={"total": 64 * hosts.GIB, "available": 60 * hosts.GIB, "bandwidth": 80 * 10 ** 9}, **values))
    parts, refusals = draft.draft(found, NOTHING, draft.pick(found, resolved(candidates.load()), []), {})
    assert refusals == []
    services = drafted_inventory.variables(parts)["bunker_services"]
    return next((one for one in services if one["name"] == "oracle"), None), " ".join(parts[0].entries[0].comment)


@pytest.mark.parametrize(("gib", "model"), [(8, "qwen2.5-coder-3b"), (6, "qwen2.5-coder-3b"), (4, "qwen2.5-coder-3b"), (12, "qwen2.5-coder-7b")])
def test_a_small_card_gets_a_model_that_lies_on_it_whole(gib, model):
    oracle, said = of_host(gpus=[a_card(gib)], **DRIVEN)
    assert oracle["model"] == model and "all of it on the cards" in said


@pytest.mark.parametrize(("gib", "warn", "act"), [(8, 1.0, 0.5), (4, 0.5, 0.25), (24, None, None)])
def test_the_watch_of_a_small_card_does_not_warn_for_ever(monkeypatch, gib, warn, act):
    """Of 8 GiB never 7 are free beside a model: an eighth of the card is asked for, and half of that before a rung is taken."""
    monkeypatch.setitem(HOSTS, "small", survey(host([a_card(gib)], **DRIVEN)))
    parts, _refusals, problems, findings = drafted("small")
    found = drafted_inventory.variables(parts)
    assert (found.get("vram_watch_warn"), found.get("vram_watch_act"), problems, findings) == (warn, act, [], [])


def test_a_card_that_no_model_fits_on_is_left():
    oracle, said = of_host(gpus=[a_card(2)], **DRIVEN)
    assert oracle is None and "Not used: NVIDIA card: no model of the catalogue fits on it" in said


def test_a_card_whose_memory_nobody_knows_gets_the_smallest_model_and_no_speed():
    oracle, said = of_host(gpus=[without_driver(a_card(8, pci_device="2882", capability="8.9"))])
    assert oracle["model"] == "qwen2.5-coder-3b"  # the smallest of the catalogue's for an Oracle
    assert "nobody knows yet how much of it lies on the cards; speed unknown" in said


def test_a_card_that_the_driver_does_not_drive_is_left():
    passed = dict(without_driver(CARD_24), pci="0000:02:00.0", kernel_driver="vfio-pci")
    oracle, said = of_host(gpus=[CARD_24, passed], **DRIVEN)
    assert oracle["gpus"] == ["GPU-24"] and "Not used: GeForce RTX 4090 at 0000:02:00.0: vfio-pci has it, for a virtual machine" in said
    dead = dict(passed, kernel_driver="nvidia")
    oracle, said = of_host(gpus=[CARD_24, dead], **DRIVEN)
    assert oracle["gpus"] == ["GPU-24"] and "at 0000:02:00.0: the driver shows other cards and not this one; see: dmesg" in said
    oracle, said = of_host(gpus=[passed])
    assert oracle is None and "vfio-pci" in said


@pytest.mark.parametrize("second", [dict(CARD_24, pci_device="2204", capability="8.6", family="Ampere"), dict(CARD_24, pci_device="1d12", capability="6.1")])
def test_cards_that_the_draft_leaves_are_not_preflights_business_before_a_driver(monkeypatch, second):
    """The RTX 5090 holds the model alone: an Ampere card, or one that CUDA 13 does not compile for, needs no machine code."""
    cards = [without_driver(hosts.CARD_32), without_driver(dict(second, pci="0000:02:00.0"))]
    monkeypatch.setitem(HOSTS, "beside", survey(host(cards, memory={"total": 64 * hosts.GIB, "available": 60 * hosts.GIB, "bandwidth": 80 * 10 ** 9})))
    parts, refusals, problems, findings = drafted("beside")
    assert drafted_inventory.variables(parts)["bunker_services"][0]["gpus"] == ["PCI-0000:41:00.0-2b85"]
    assert (refusals, problems) == ([], []) and [finding.rule for finding in findings] == ["gpu_exists"]


def test_a_model_that_lies_on_a_card_without_a_driver_needs_no_ram(monkeypatch):
    """32 - 7 GiB hold 19.9 GB and a tenth; 16 GiB of RAM do not."""
    small = {"total": 16 * hosts.GIB, "available": 14 * hosts.GIB, "bandwidth": 40 * 10 ** 9}
    monkeypatch.setitem(HOSTS, "little RAM", survey(host([without_driver(hosts.CARD_32)], memory=small)))
    parts, _refusals, problems, findings = drafted("little RAM")
    assert drafted_inventory.variables(parts)["bunker_services"][0]["model"] == "qwen2.5-coder-32b"
    assert problems == [] and [finding.rule for finding in findings] == ["gpu_exists"]


# --- what nobody could tell

def test_what_no_origin_told_is_refused_by_name_with_its_command():
    found = HOSTS["no driver"]
    parts, _refusals = draft.draft(found, NOTHING, draft.pick(found, candidates.load(), []), {})
    problems, _findings = drafted_inventory.judged(parts, found["host"], "192.168.1.20")
    assert {problem.rule for problem in problems} == {"nobody could tell this value yet"}
    said = {problem.value.removeprefix("inventory."): problem.remedy for problem in problems}
    assert len(said) == 1 + 2 + 8  # base, keys, files
    assert said["golden_image_base"] == "Obtain it: docker buildx imagetools inspect debian:trixie-slim"
    assert said["host_driver_repository_fingerprint"].startswith("Obtain it: curl -fsSL https://developer.download.nvidia.com/compute/cuda/repos/debian13/")
    assert said["model_store_extra_models.qwen2.5-coder-7b.files.Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf.sha256"].endswith(
        "/raw/main/Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf | grep oid")


def test_a_key_that_nobody_compared_stays_open_beside_its_fingerprint():
    found = HOSTS["no driver"]
    origins = {"keys": {"driver": {"address": "https://x/key", "fingerprint": FINGERPRINT, "confirmed": False}}}
    parts, _refusals = draft.draft(found, NOTHING, draft.pick(found, candidates.load(), []), origins)
    entry = next(entry for part in parts for entry in part.entries if entry.name == "host_driver_repository_fingerprint")
    assert entry.value == "REPLACE: curl -fsSL https://x/key | gpg --show-keys"
    assert "--trust-key " + FINGERPRINT in " ".join(entry.comment)


# --- networks

def test_subnets_are_the_collections_own_or_free_ones():
    own = subnets.free(HOSTS["one card"]["host"])
    assert [network["subnet"] for network in own] == ["172.30.0.0/16", "172.31.0.0/16"]
    # 172.16/12, 192.168/16, 10.0/9, 10.128/10 and 10.192/16 are taken: what is left begins at 10.193
    assert [network["subnet"] for network in subnets.free(HOSTS["busy subnets"]["host"])] == ["10.193.0.0/16", "10.194.0.0/16"]


def test_services_stand_in_the_subnets():
    found = services("busy subnets")
    assert [place["address"] for place in found["oracle"]["networks"]] == ["10.193.0.10", "10.194.0.10"]
    assert ipaddress.ip_address(found["executor"]["networks"][0]["address"]) in ipaddress.ip_network("10.193.0.0/16")


# --- what is expected of a model

def test_the_speed_is_the_bandwidths():
    facts = models.Facts(10 ** 10, 10 ** 10, None, 0)
    card = type("Card", (), {"memory": 17 << 30, "bandwidth": 10 ** 12})
    assert models.limit(facts, [], 10 ** 11) == pytest.approx(10)
    assert models.limit(facts, [card], 10 ** 11) == pytest.approx(100)
    # half of it on the card: 5 ms there and 50 ms from RAM
    half = type("Card", (), {"memory": (7 << 30) + 10 ** 10, "bandwidth": 10 ** 12})
    assert models.limit(models.Facts(2 * 10 ** 10, 10 ** 10, None, 0), [half], 10 ** 11) == pytest.approx(1 / 0.055)
    assert models.limit(facts, [], None) is None
    assert models.limit(facts, [type("Card", (), {"memory": 17 << 30, "bandwidth": None})], 10 ** 11) is None


# --- hosts that cannot be read

@pytest.mark.parametrize(("words", "rule", "remedy"), [
    ("Failed to connect to the host via ssh: admin@192.0.2.7: Permission denied (publickey,password).", "it lets you in over SSH with a key",
     "ssh-copy-id admin@192.0.2.7"),
    ("Missing sudo password", "you may become root there, as disks and drivers are root's to look at", "--ask-become-pass"),
    ("sudo: a password is required", "you may become root there, as disks and drivers are root's to look at", "./bunker init root@192.0.2.7"),
    ("/bin/sh: 1: sudo: not found", "you may become root there, and it has no sudo", "./bunker init root@192.0.2.7"),
    ("Host key verification failed.", "you have accepted its host key, and it is still the same", "there): ssh admin@192.0.2.7"),
    ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "its host key is the one that you know", "Compare its fingerprint"),
    ("ssh: connect to host 192.0.2.7 port 22: Connection timed out", "it answers on its SSH port", "--port PORT"),
    ("ssh: Could not resolve hostname omni: Name or service not known", "its name leads to an address", "Correct it"),
    ("/bin/sh: 1: /usr/bin/python3: not found", "it has Python 3.9 or newer", "apt-get install python3"),
    ("Sorry, user admin is not allowed to execute '/bin/sh -c id' as root on omni.", "you may become root there, as disks and drivers are root's to look at",
     "./bunker init root@192.0.2.7"),
    ("Sorry, user admin may not run sudo on omni.", "you may become root there, as disks and drivers are root's to look at", "--ask-become-pass"),
    ("Timeout (12s) waiting for privilege escalation prompt: ", "you may become root there, as disks and drivers are root's to look at", "--ask-become-pass"),
    ("kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.7 port 22", "it answers on its SSH port", "--port PORT"),
    ("Received disconnect from 192.0.2.7 port 22:2: Too many authentication failures", "it lets you in over SSH with a key", "--private-key FILE"),
    ("Load key \"/home/a/.ssh/k\": bad permissions", "it lets you in over SSH with a key", "--private-key FILE"),
    ("OSError: [Errno 28] No space left on device: '/root/.ansible/tmp/x'", "it has room for what Ansible copies there while it looks", "df -h"),
    ("something else", "it can be read over SSH as root", "ssh admin@192.0.2.7"),
])
def test_a_host_that_cannot_be_read_is_refused_with_the_remedy(words, rule, remedy):
    found = access.refusal(words, "admin@192.0.2.7")
    assert found.rule == rule and remedy in found.remedy and words.strip()[-20:] in found.value

"""The action that writes an inventory, with a stand-in for the host and stand-ins on loopback for registry and hub."""
import json
import pathlib
import struct
import subprocess
import sys
import types

import pytest
import yaml
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.action import inventory_draft
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import models
from ansible_collections.protocol_omni.bunker.plugins.module_utils.origins import fetch
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import inventory_files, resolved_origins

UNITS = ROOT / "tests" / "unit" / "plugins" / "module_utils"
sys.path[:0] = [str(UNITS / "inventory_draft"), str(UNITS / "origins")]
from bare_hosts import EMPTY_1, HOSTS, SYSTEM_DISK  # noqa: E402
from stand_in import COMMIT, INDEX_DIGEST, hub, registry, serving  # noqa: E402


class OnAHost(inventory_draft.ActionModule):
    """The host is one of the fixtures, or raises what Ansible raises where there is none."""

    def __init__(self, arguments, name="one card", error=None, check=False):
        task = types.SimpleNamespace(async_val=0, check_mode=check, action="inventory_draft", args=arguments)
        super().__init__(task, types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/a")), None, None, None)
        self.found, self.error, self.asked = HOSTS[name], error, []

    def _execute_module(self, module_name=None, module_args=None, **_others):
        self.asked.append((module_name.rpartition(".")[2], module_args))
        if isinstance(self.error, Exception):
            raise self.error
        if self.error:
            return self.error
        disks = self.found["disks"]
        sizes = {disk["device"]: disk["size"] for disk in disks}
        return {
            "setup": lambda: {"ansible_facts": {"ansible_distribution": "Debian", "ansible_distribution_major_version": "13",
                                                "ansible_architecture": "x86_64", "ansible_service_mgr": "systemd",
                                                "ansible_all_ipv4_addresses": self.found["addresses"]}},
            "host_info": lambda: {"host": dict(self.found["host"], places=dict.fromkeys(module_args.get("paths", []), "/"), models={},
                                               devices={path: sizes[path] for path in module_args.get("devices", [])})},
            "disk_info": lambda: {"disks": [{"name": disk["real"][5:], "device": disk["device"]} for disk in disks] + [{"name": "sdx", "device": None}]},
            "volume_info": lambda: {"volumes": [next(disk for disk in disks if disk["device"] == wanted["device"]) for wanted in module_args["volumes"]]},
        }[module_name.rpartition(".")[2]]()


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(inventory_draft.display, "display", found.append)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return found


def words(folder, **values):
    answers = {"format_disks": [EMPTY_1["device"]], **values.pop("answers", {})}
    return {"target": "root@192.0.2.7", "name": "two", "folder": str(folder), "connection": {"ansible_host": "192.0.2.7", "ansible_user": "root"},
            "answers": answers, "offline": True, **values}


def run(arguments, **host):
    action = OnAHost(arguments, **host)
    return action.run(task_vars={"inventory_hostname": "two"}), action


def bunker(folder):
    return (pathlib.Path(folder) / "group_vars" / "all" / "bunker.yml").read_text(encoding="utf-8")


def test_without_answers_it_reads_and_asks():
    result, action = run({"target": "root@192.0.2.7", "offline": True})
    assert [name for name, _words in action.asked] == ["setup", "host_info", "disk_info", "volume_info"]
    assert action.asked[1][1] == {"bandwidth": True}
    assert [entry["device"] for entry in action.asked[3][1]["volumes"]] == [SYSTEM_DISK["device"], EMPTY_1["device"]]
    assert result["changed"] is False and [question["name"] for question in result["questions"]] == ["format_disks"]
    assert result["survey"]["addresses"] == ["127.0.0.1", "192.168.1.20"] and result["survey"]["system"]["name"] == "Debian 13"


def test_keys_are_asked_about_where_a_driver_will_be_installed(monkeypatch):
    monkeypatch.setattr(resolved_origins.keys, "fingerprint", lambda _fetcher, address: "F of " + address.rpartition("/")[2])
    result, _action = run({"target": "root@192.0.2.7"}, name="no driver")
    assert [question["choices"] for question in result["questions"] if question["kind"] == "key"] == [["F of 8793F200.pub"], ["F of gpgkey"]]
    assert [question["kind"] for question in run({"target": "root@192.0.2.7"}, name="AMD")[0]["questions"]] == ["disks"]
    assert [question["kind"] for question in run({"target": "root@192.0.2.7", "offline": True}, name="no driver")[0]["questions"]] == ["disks", "yes"]


def test_with_answers_it_writes_an_inventory_that_says_what_is_open(tmp_path, shown):
    result, action = run(words(tmp_path, survey=HOSTS["no driver"]), name="no driver")
    assert result["changed"] is True and {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"hosts.yml", "bunker.yml"}
    assert yaml.safe_load((tmp_path / "hosts.yml").read_text(encoding="utf-8")) == {"all": {"hosts": {"two": {
        "ansible_host": "192.0.2.7", "ansible_user": "root", "ansible_python_interpreter": "/usr/bin/python3"}}}}
    oracle = yaml.safe_load(bunker(tmp_path))["bunker_services"][0]
    assert oracle["gpus"] == ("{{ ['PCI-0000:01:00.0-2bb1', 'PCI-0000:41:00.0-2b85'] | protocol_omni.bunker.card_uuids(bunker_host | default({})) }}")
    assert [name for name, _words in action.asked] == ["host_info"]  # the survey is not made again, the draft's folders are looked at
    assert any("Still to be filled in" in text and "golden_image_base" in text for text in shown)
    assert max(map(len, bunker(tmp_path).splitlines())) <= 250  # addresses of files are not cut


def variables(folder, *extra):
    """What ansible makes of the inventory's gpus, or the refusal of validate_inventory."""
    return subprocess.run(["ansible", "two", "-i", str(folder), "-c", "local", *extra], cwd=ROOT, capture_output=True, text=True, check=False)


def test_validation_refuses_what_is_open_by_name_and_takes_cards_by_slot(tmp_path):
    run(words(tmp_path, survey=HOSTS["no driver"]), name="no driver")
    said = variables(tmp_path, "-m", "protocol_omni.bunker.validate_inventory")
    text = said.stdout + said.stderr
    assert said.returncode and "inventory.golden_image_base: nobody could tell this value yet. Obtain it: docker buildx imagetools inspect" in text
    assert "gpu PCI-" not in text
    cards = [{"uuid": "GPU-A", "pci": "0000:01:00.0", "pci_device": "2bb1"}, {"uuid": "GPU-B", "pci": "0000:42:00.0", "pci_device": "2b85"}]
    said = variables(tmp_path, "-m", "ansible.builtin.debug", "-a", "msg={{ bunker_services.0.gpus | to_json }}",
                     "-e", json.dumps({"bunker_host": {"gpus": cards}}))
    assert '[\\"GPU-A\\", \\"GPU-B\\"]' in said.stdout or '["GPU-A", "GPU-B"]' in said.stdout, said.stdout + said.stderr


def test_words_that_ansible_has_marked_are_written_as_words():
    """ansible-core 2.19 hands an action texts of a class of its own."""
    marked = type("Marked", (str,), {})
    text = inventory_files.texts(marked("two"), {"ansible_host": marked("192.0.2.7")}, [])["hosts.yml"]
    assert yaml.safe_load(text)["all"]["hosts"]["two"]["ansible_host"] == "192.0.2.7"


# --- what a person edited

def test_a_second_run_changes_nothing(tmp_path):
    run(words(tmp_path))
    before = bunker(tmp_path)
    result, _action = run(words(tmp_path))
    assert result["changed"] is False and bunker(tmp_path) == before


def test_another_measurement_of_the_same_host_changes_nothing(tmp_path):
    run(words(tmp_path, survey=HOSTS["one card"]))
    before = bunker(tmp_path)
    host = dict(HOSTS["one card"]["host"], memory=dict(HOSTS["one card"]["host"]["memory"], bandwidth=301 * 10 ** 9))
    result, _action = run(words(tmp_path, survey=dict(HOSTS["one card"], host=host)))
    assert result["changed"] is False and bunker(tmp_path) == before and "300 GB/s" in before


def test_what_a_person_edited_is_never_written_over(tmp_path, shown):
    run(words(tmp_path))
    path = tmp_path / "group_vars" / "all" / "bunker.yml"
    path.write_text(bunker(tmp_path).replace("context: 16384", "context: 8192"), encoding="utf-8")
    edited = bunker(tmp_path)
    for update in (False, True):
        with pytest.raises(AnsibleActionFail, match=r"bunker.yml: a person has edited it.*Take over from the diff"):
            run(words(tmp_path, update=update))
        assert bunker(tmp_path) == edited
    assert any("-    context: 8192" in text and "+    context: 16384" in text for text in shown)


def test_a_file_of_somebody_else_is_never_written_over(tmp_path):
    (tmp_path / "hosts.yml").write_text("all:\n", encoding="utf-8")
    with pytest.raises(AnsibleActionFail, match="a person has edited it, or wrote it"):
        run(words(tmp_path, update=True))
    assert not (tmp_path / "group_vars").exists()


def test_another_draft_wants_update_and_then_shows_the_difference(tmp_path, shown):
    run(words(tmp_path))
    with pytest.raises(AnsibleActionFail, match=r"init would write another one now.*--update"):
        run(words(tmp_path, answers={"gateway_address": "192.168.1.20"}))
    result, _action = run(words(tmp_path, answers={"gateway_address": "192.168.1.20"}, update=True))
    assert result["changed"] is True and yaml.safe_load(bunker(tmp_path))["gateway_address"] == "192.168.1.20"
    assert any("+gateway_address: 192.168.1.20" in text for text in shown)


def test_the_next_command_reaches_the_host_as_this_one_did(tmp_path, shown):
    run(words(tmp_path / "inventory" / "two", options="-K --private-key k"))
    # By ./bunker, which brought the Ansible that wrote this: whoever called it has none on the PATH.
    assert shown[-1].endswith("Next: ./bunker deploy two -K --private-key k --check --diff, then without --check --diff")


def test_check_mode_writes_nothing(tmp_path):
    result, _action = run(words(tmp_path / "new"), check=True)
    assert result["changed"] is True and not (tmp_path / "new").exists()


def test_a_date_is_no_edit_and_a_digit_is_one():
    text = inventory_files.texts("a", {}, [])["hosts.yml"].replace("/usr/bin/python3", "/usr/bin/python3 # 2026-11-30")
    marked = inventory_files.HEAD % inventory_files.mark("x: 2026-11-30\n") + "x: 2026-11-30\n"
    assert inventory_files.is_ours(marked) and inventory_files.is_ours(marked.replace("2026-11-30", "2027-01-02"))
    assert not inventory_files.is_ours(marked.replace("x:", "y:")) and not inventory_files.is_ours(text)


# --- hosts that cannot be read

@pytest.mark.parametrize(("error", "said"), [
    (AnsibleConnectionFailure("Failed to connect to the host via ssh: Permission denied (publickey)."), "ssh-copy-id root@192.0.2.7"),
    ({"failed": True, "msg": "MODULE FAILURE", "module_stderr": "sudo: a password is required\n"}, "--ask-become-pass"),
    ({"unreachable": True, "msg": "ssh: connect to host 192.0.2.7 port 22: Connection refused"}, "it answers on its SSH port"),
])
def test_a_host_that_cannot_be_read_is_refused_with_the_remedy(tmp_path, error, said):
    with pytest.raises(AnsibleActionFail, match=said):
        run({"target": "root@192.0.2.7"}, error=error)


def test_one_lost_disk_does_not_keep_the_host_from_its_inventory(tmp_path):
    class WithALostDisk(OnAHost):
        def _execute_module(self, module_name=None, module_args=None, **others):
            if module_name.endswith("volume_info") and EMPTY_1["device"] in [wanted["device"] for wanted in module_args["volumes"]]:
                return {"failed": True, "msg": "A volume cannot be read: [Errno 5] Input/output error: '/dev/nvme0n1'. See: dmesg"}
            return super()._execute_module(module_name, module_args, **others)

    def there(arguments):
        return WithALostDisk(arguments).run(task_vars={"inventory_hostname": "two"})
    survey = there({"target": "root@192.0.2.7", "offline": True})["survey"]
    assert [disk["device"] for disk in survey["disks"]] == [SYSTEM_DISK["device"], EMPTY_1["device"]]
    with pytest.raises(AnsibleActionFail, match="cannot be read: .*Input/output error"):
        there(words(tmp_path, survey=survey))
    assert there(words(tmp_path, survey=survey, answers={"format_disks": []}))["changed"] is True


def test_a_folder_that_cannot_be_written_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "two" / "hosts.yml").mkdir(parents=True)
    for folder in (tmp_path / "file", tmp_path / "two"):
        with pytest.raises(AnsibleActionFail, match=r"(?s)No inventory was written.*cannot be written or read"):
            run(words(folder))


def test_the_other_names_of_a_disk_are_in_the_survey(tmp_path):
    class WithLinks(OnAHost):
        def _execute_module(self, module_name=None, module_args=None, **others):
            found = super()._execute_module(module_name, module_args, **others)
            for disk in found.get("disks", []):
                disk["links"] = ["/dev/disk/by-id/wwn-" + disk["name"]]
            return found
    survey = WithLinks({"target": "h", "offline": True}).run(task_vars={"inventory_hostname": "two"})["survey"]
    assert [disk["links"] for disk in survey["disks"]] == [["/dev/disk/by-id/wwn-" + disk["real"][5:]] for disk in (SYSTEM_DISK, EMPTY_1)]


def test_a_fingerprint_that_no_key_has_is_said(tmp_path, shown, monkeypatch):
    monkeypatch.setattr(resolved_origins.keys, "fingerprint", lambda _fetcher, _address: "A" * 40)
    monkeypatch.setattr(resolved_origins.Resolver, "base", lambda _self: (None, ""))
    monkeypatch.setattr(resolved_origins.Resolver, "model", lambda _self, candidate: (candidate, None, ""))
    result, _action = run(words(tmp_path, survey=HOSTS["no driver"], offline=False, answers={"trust_keys": ["A" * 40, "B" * 40]}), name="no driver")
    assert result["origins"] == ["--trust-key %s: no key of this host's repositories has it. See the fingerprints beside the values." % ("B" * 40)]
    assert any("B" * 40 in text for text in shown)


def test_a_disk_with_something_on_it_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(AnsibleActionFail, match="only an empty disk is formatted"):
        run(words(tmp_path, answers={"format_disks": [SYSTEM_DISK["device"]]}))
    assert list(tmp_path.iterdir()) == []


# --- registry and hub

def a_model(layers, width):
    """A GGUF of a dense model: F32 matrices of width x width, one a layer."""
    def text(value):
        return struct.pack("<Q", len(value)) + value

    def number(key, value):
        return text(key) + struct.pack("<II", 4, value)
    pairs = [text(b"general.architecture") + struct.pack("<I", 8) + text(b"qwen2"), number(b"qwen2.block_count", layers),
             number(b"qwen2.context_length", 32768), number(b"qwen2.embedding_length", width),
             number(b"qwen2.attention.head_count", 2), number(b"qwen2.attention.head_count_kv", 1)]
    tensors = [text(b"blk.%d.ffn_up.weight" % layer) + struct.pack("<IQQIQ", 2, width, width, 0, layer * width * width * 4) for layer in range(layers)]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs + tensors)
    return head + bytes(-len(head) % 32) + bytes(layers * width * width * 4)


MODEL = {"name": "m", "architecture": "qwen2", "gigabytes": 1, "active": 1, "context": 32768, "roles": ["executor"],
         "hub": {"repository": "owner/model-GGUF", "files": ["m.gguf"]},
         "files": [{"name": "m.gguf", "sha256": "REPLACE: curl", "size": 0, "source": {"url": "https://hub/m.gguf"}}]}


def test_hashes_sizes_and_what_the_header_says_come_from_the_hub():
    content = a_model(4, 64)
    with serving(hub({"m.gguf": content})) as server:
        resolver = resolved_origins.Resolver({"hub": "http://" + server.address, "trust_keys": []}, fetch.Fetcher(timeout=5), today="2026-11-30")
        found, facts, note = resolver.model(MODEL)
    entry, = found["files"]
    assert entry["size"] == len(content) and len(entry["sha256"]) == 64 and "/resolve/%s/m.gguf" % COMMIT in entry["source"]["url"]
    assert facts.size == len(content) and facts.per_token == 4 * 64 * 64 * 4
    # of each token 4 layers, each with a key and a value of 32 halves
    assert models.cache_bytes(facts, 16384) == 16384 * 4 * (32 + 32) * 2
    assert "2026-11-30" in note and MODEL["files"][0]["size"] == 0 and resolver.said == []


def test_a_hub_without_the_file_leaves_it_open_and_says_why():
    with serving(hub({})) as server:
        resolver = resolved_origins.Resolver({"hub": "http://" + server.address, "trust_keys": []}, fetch.Fetcher(timeout=5))
        found, facts, note = resolver.model(MODEL)
    assert found["files"][0]["sha256"] == "REPLACE: curl" and (facts, note) == (None, "") and "there is no m.gguf at commit" in resolver.said[0]


def test_a_hash_of_a_file_that_is_another_one_by_now_stays_open():
    content = a_model(1, 64)
    routes = hub({"m.gguf": content})
    routes["/storage/m.gguf"] = hub({"m.gguf": content + b"more"})["/storage/m.gguf"]
    with serving(routes) as server:
        resolver = resolved_origins.Resolver({"hub": "http://" + server.address, "trust_keys": []}, fetch.Fetcher(timeout=5))
        found, facts, note = resolver.model(MODEL)
    assert found["files"][0]["sha256"] == "REPLACE: curl" and (facts, note) == (None, "") and "do not use the hash" in resolver.said[0]


def test_the_base_is_pinned_by_the_registrys_digest():
    with serving(registry()) as server:
        name = "%s/library/debian:trixie-slim" % server.address
        resolver = resolved_origins.Resolver({"base": name, "registry_scheme": "http", "trust_keys": []}, fetch.Fetcher(timeout=5), today="2026-11-30")
        value, note = resolver.base()
    assert value == "%s@%s" % (name, INDEX_DIGEST) and "2026-11-30" in note


def test_a_key_is_trusted_when_a_person_named_its_fingerprint():
    armored = (ROOT / "tests" / "fixtures" / "openpgp" / "one-key.asc").read_bytes()
    one = "9D47686239BDB869EE696B5EAB0E866074AD5674"
    with serving({"/k": [(200, {}, armored)]}) as server:
        address = "http://%s/k" % server.address
        for trusted, expected in (([], False), ([one], True), (["0" * 40], False)):
            assert resolved_origins.Resolver({"trust_keys": trusted}, fetch.Fetcher(timeout=5)).key(address) == {
                "address": address, "fingerprint": one, "confirmed": expected}

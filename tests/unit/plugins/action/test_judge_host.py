"""The action that judges a host takes cards that are named by slot and model for those that the driver shows there."""
import sys
import types

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.action import judge_host
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import draft
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import candidates, drafted_inventory

sys.path.insert(0, str(ROOT / "tests" / "unit" / "plugins" / "module_utils" / "inventory_draft"))
from bare_hosts import HOSTS  # noqa: E402


def judged(host):
    """Rules of what is found of the draft that was made before there was a driver, once the host is this one; and what the host was asked."""
    bare = HOSTS["no driver"]
    catalogue = candidates.load()
    for candidate in catalogue:
        for entry in candidate["files"]:
            entry.update(sha256="0" * 64, size=int(candidate["gigabytes"] * 10 ** 9 / len(candidate["files"])))
    answers = {"format_disks": [], "allow_reboot": False, "upgrade_driver": False, "gateway_address": ""}
    origins = {"base": "debian@sha256:" + "0" * 64, "keys": {key: {"address": "", "fingerprint": "A" * 40, "confirmed": True} for key in ("driver", "toolkit")}}
    parts, _problems = draft.draft(bare, answers, draft.pick(bare, catalogue, []), origins)
    task = types.SimpleNamespace(async_val=0, check_mode=False, action="judge_host", args={})
    action = judge_host.ActionModule(task, types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/a")), None, None, drafted_inventory.Plain)
    asked = []

    def answer(module_args=None, **_others):
        asked.append(module_args)
        return {"host": dict(host, places=dict.fromkeys(module_args["paths"], "/"))}
    action._execute_module = answer
    return [finding["rule"] for finding in action.run(task_vars=drafted_inventory.variables(parts))["findings"]], asked[0]


def test_cards_by_slot_are_those_that_the_driver_shows_there():
    assert judged(HOSTS["two unequal"]["host"])[0] == []


def test_the_record_of_networks_is_looked_for_where_the_role_writes_it():
    written = yaml.safe_load((ROOT / "roles/networks/vars/main.yml").read_text(encoding="utf-8"))["_networks_record_path"]
    assert judged(HOSTS["no driver"]["host"])[1]["networks_record"] == written.replace("{{ bunker_config_path }}", "/etc/protocol_omni")


def test_before_the_driver_nothing_is_known_of_them():
    assert judged(HOSTS["no driver"]["host"])[0] == ["gpu_exists"]


def test_a_card_that_is_not_there_is_refused():
    with pytest.raises(AnsibleActionFail, match="service oracle: found PCI-0000:41:00.0-2b85"):
        judged(dict(HOSTS["two unequal"]["host"], gpus=HOSTS["two unequal"]["host"]["gpus"][1:]))


def test_the_authorities_of_the_inventory_go_with_the_question(tmp_path):
    (tmp_path / "ca.pem").write_text("PEM")
    assert judge_host.ActionModule._certificates({"bunker_ca_bundle": str(tmp_path / "ca.pem")}) == "PEM"
    (tmp_path / "latin.pem").write_bytes(b"# caf\xe9\nPEM")
    assert judge_host.ActionModule._certificates({"bunker_ca_bundle": str(tmp_path / "latin.pem")}).endswith("\nPEM")
    assert judge_host.ActionModule._certificates({"bunker_ca_bundle": ""}) == ""
    with pytest.raises(AnsibleActionFail, match="bunker_ca_bundle .*absent.pem cannot be read"):
        judge_host.ActionModule._certificates({"bunker_ca_bundle": str(tmp_path / "absent.pem")})

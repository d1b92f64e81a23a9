"""The list of a host's state against what the roles write: each path below these folders is in it, and it has none that nobody writes."""
import re

import pytest
import rendering
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import host_state

FOLDERS = "/etc/protocol_omni", "/var/lib/protocol_omni", "/var/lib/protocol-omni-gateway", "/etc/ansible/facts.d"
NAMES = re.compile(r"\{\{\s*(\w+)\s*\}\}")
JOINED = re.compile(r"\b(\w+) ~ '(/[^']*)'")
PATH = re.compile(r"(?:%s)(?:/[\w.*-]+)+/?" % "|".join(map(re.escape, FOLDERS)))
# Where a path is put together by a program or a loop; each was read by hand. The site's test sees what really lies there.
FROM_LOOPS = {
    "/etc/protocol_omni/gateway/*": ("roles/gateway/vars/main.yml", "/{{ 'given/certificate.pem' if gateway_tls == 'files' else 'self_signed.pem' }}"),
    "/etc/protocol_omni/gateway/*.lua": ("roles/gateway/tasks/configure.yml", "map('regex_replace', '^', _gateway_folder ~ '/')"),
    "/etc/protocol_omni/gateway/self_signed.key": ("roles/gateway/tasks/secrets.yml", "'self_signed.key', 'self_signed.pem'"),
    "/etc/protocol_omni/gateway/self_signed.pem": ("roles/gateway/tasks/secrets.yml", "'self_signed.key', 'self_signed.pem'"),
    "/etc/protocol_omni/gateway/self_signed.for-*": ("roles/gateway/vars/main.yml", "_gateway_mark: self_signed.for-{{"),
    "/etc/protocol_omni/gateway/given/*": ("plugins/module_utils/gateway_routes.py", "copies"),
    **dict.fromkeys(["/etc/protocol_omni/gateway/operator.next", "/etc/protocol_omni/gateway/operator.previous"], (
        "plugins/module_utils/key_rotation.py", '"operator." + name) for name in ("key", "next", "previous")')),
    **dict.fromkeys(["/etc/protocol_omni/gateway/next.key", "/etc/protocol_omni/gateway/next.pem"], (
        "plugins/module_utils/key_rotation.py", '"next." + name) for name in ("key", "pem")')),
    **dict.fromkeys(["/etc/protocol_omni/gateway/previous.pem", "/etc/protocol_omni/gateway/trust.pem"], (
        "plugins/module_utils/key_rotation.py", 'for name in ("previous.pem", "trust.pem")')),
    "/etc/protocol_omni/services/*.json": ("roles/inference_service/vars/main.yml", "/services/{{ _inference_service_name }}.json"),
    "/etc/protocol_omni/seal/*": ("roles/networks/tasks/seal.yml", "_networks_seal_folder"),
    "/etc/protocol_omni/pool/authority/*": ("plugins/module_utils/pool/certificates.py", 'key = _path(self._folder, "ca.key")'),
    "/var/lib/protocol_omni/vram_watch/runs/*": ("roles/vram_watch/files/act.py", "runs_path"),
}


def expanded(text, variables):
    """A text of a role with its variables in it; what cannot be told without a host is ``*``."""
    for _number in range(6):
        before = text
        text = JOINED.sub(lambda found: "%s%s" % (variables[found[1]], found[2]) if isinstance(variables.get(found[1]), str) else found[0], text)
        text = NAMES.sub(lambda found: variables[found[1]] if isinstance(variables.get(found[1]), str) and "{%" not in variables[found[1]] else found[0], text)
        if text == before:
            break
    return re.sub(r"\{\{.*?\}\}", "*", text)


def written(role):
    """Paths below the folders that a role's tasks, variables, templates and programs name; folders that only hold others end with a slash."""
    shared = {"bunker_config_path": "/etc/protocol_omni"}
    variables = {**rendering.read(role, "vars/main.yml"), **shared} if (ROOT / "roles" / role / "vars/main.yml").exists() else shared
    found = set()
    for kind in ("tasks", "vars", "templates", "files"):
        for path in sorted((ROOT / "roles" / role / kind).glob("*")):
            if path.name != "claims.yml" and path.suffix in (".yml", ".j2", ".py", ".lua"):
                found |= set(PATH.findall(expanded(path.read_text(encoding="utf-8"), variables)))
    return {re.sub(r"\*+", "*", name).rstrip(".") for name in found}


ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def all_written():
    return {path: role for role in ROLES for path in written(role)}


def test_each_path_that_the_roles_write_is_in_the_list():
    listed = host_state.the_list()
    entries = {entry["path"] for kind in listed for entry in listed[kind]}
    holds_others = {parent for entry in entries for parent in (entry.rsplit("/", depth)[0] for depth in range(1, entry.count("/")))}
    unknown = {path: role for path, role in all_written().items()
               if not host_state.kind_of(path, listed) and path.rstrip("/") not in holds_others and path not in FROM_LOOPS}
    assert unknown == {}


def test_a_path_that_the_list_lacks_would_be_noticed():
    found = all_written()
    assert {"/etc/protocol_omni/gateway/operator.key", "/etc/protocol_omni/networks.json", "/var/lib/protocol_omni/engine-move.json",
            "/etc/protocol_omni/services/*.proven", "/etc/ansible/facts.d/protocol_omni.fact"} <= set(found)
    for kind in ("carried", "stays"):
        less = dict(host_state.the_list())
        for entry in less[kind]:
            without = dict(less, **{kind: [other for other in less[kind] if other is not entry]})
            assert host_state.kind_of(entry["path"], without) != kind or entry["path"].count("*") > 1, entry


@pytest.mark.parametrize("kind", ["carried", "stays", "derived"])
def test_the_list_has_no_path_that_nobody_writes(kind):
    found = set(all_written())
    dead = [entry["path"] for entry in host_state.the_list()[kind]
            if not any(host_state.matches(entry["path"], path.rstrip("/")) for path in found) and not entry["path"].startswith(tuple(FROM_LOOPS))]
    assert dead == []


@pytest.mark.parametrize("path", sorted(FROM_LOOPS))
def test_what_was_read_by_hand_is_still_there(path):
    file, words = FROM_LOOPS[path]
    assert words in (ROOT / file).read_text(encoding="utf-8")


def test_each_entry_says_whose_it_is_and_why():
    listed = host_state.the_list()
    assert {entry["role"] for kind in listed for entry in listed[kind]} <= set(ROLES)
    assert all(entry["what"] for entry in listed["carried"]) and all(entry["why"] for entry in listed["stays"])
    assert set(listed) == {"carried", "stays", "derived"}

"""Which folders playbooks/teardown.yml takes, by its own expressions."""
import subprocess

import pytest
import rendering
from ansible.parsing.dataloader import DataLoader
from support import ROOT

(PLAY,) = DataLoader().load_from_file(str(ROOT / "playbooks" / "teardown.yml"), trusted_as_template=True)


def folders(bundle, cache):
    """What is removed.

    :param bundle: whether ./install of a bundle has put Ansible into /opt/protocol_omni.
    :param cache: teardown_cache.
    """
    (task,) = [entry for entry in PLAY["tasks"] if entry["name"] == "Remove the folders"]
    variables = {"bunker_config_path": "/etc/protocol_omni", "bunker_cache_path": "/var/cache/protocol_omni", "teardown_cache": cache,
                 "__teardown_bundle": {"stat": {"exists": bundle}}}
    return rendering.render("preflight", task["loop"], variables, task.get("vars"))


@pytest.mark.parametrize("bundle", [False, True])
def test_the_ansible_that_a_bundle_has_installed_stays(bundle):
    """On a host without a network the play itself runs by it, and nothing could bring it back but the bundle."""
    assert ("/opt/protocol_omni" in folders(bundle, False)) is not bundle
    assert "/opt/protocol_omni/vram_watch" in folders(True, False)


@pytest.mark.parametrize("cache", [False, True])
def test_what_was_made_on_the_host_goes_and_the_cache_on_request_alone(cache):
    found = folders(False, cache)
    assert {"/etc/protocol_omni", "/var/lib/protocol_omni", "/var/log/protocol_omni", "/usr/local/lib/protocol_omni",
            "/etc/ansible/facts.d/protocol_omni.fact", "/etc/ansible/facts.d/protocol_omni_throughput.fact"} <= set(found)
    assert ("/var/cache/protocol_omni" in found) is cache


@pytest.mark.parametrize("holds, stays", [((), False), (("venv",), True)], ids=["nothing else", "the Ansible of a bundle"])
def test_a_watcher_that_leaves_takes_the_folder_around_it_where_nothing_else_is_in_it(tmp_path, holds, stays):
    task = rendering.task("vram_watch", "tasks/remove.yml", "Remove the folder around it where nothing else is in it")
    around = tmp_path / "protocol_omni"
    around.mkdir()
    for name in holds:
        (around / name).mkdir()
    variables = {"_vram_watch_folder": str(around / "vram_watch"), "__vram_watch_unit_file": {"stat": {"exists": True}}}
    words = rendering.render("vram_watch", task["ansible.builtin.command"]["argv"], variables)
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", **task["environment"]})
    variables["__vram_watch_around"] = {"rc": done.returncode, "stderr": done.stderr}
    assert around.exists() is stays and words[1] == str(around)
    assert rendering.holds("vram_watch", {"when": task["changed_when"]}, variables) is not stays
    assert not rendering.holds("vram_watch", {"when": task["failed_when"]}, variables)
    refused = dict(variables, __vram_watch_around={"rc": 1, "stderr": "rmdir: failed to remove: Permission denied"})
    assert rendering.holds("vram_watch", {"when": task["failed_when"]}, refused)

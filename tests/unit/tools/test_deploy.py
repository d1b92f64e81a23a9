"""./bunker deploy: what of its command line reaches ansible-playbook."""
import importlib.util

import pytest
from support import ROOT

SPEC = importlib.util.spec_from_file_location("bunker_deploy", ROOT / "tools" / "deploy.py")
deploy = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(deploy)


def test_a_host_is_a_folder_of_the_inventory_and_the_rest_is_ansibles():
    words, environment = deploy.command(["demo", "--check", "--plain", "--tags", "networks"], {"HOME": "/root"})
    assert words == ["ansible-playbook", "-i", "inventory/demo", "site.yml", "--check", "--tags", "networks"]
    assert environment == {"HOME": "/root", "ANSIBLE_STDOUT_CALLBACK": "protocol_omni.bunker.screen", "BUNKER_PLAIN": "true"}


def test_without_plain_the_screen_decides_by_its_terminal():
    assert "BUNKER_PLAIN" not in deploy.command(["demo"], {})[1]


def test_a_screen_of_ones_own_stays():
    assert deploy.command(["demo"], {"ANSIBLE_STDOUT_CALLBACK": "default"})[1]["ANSIBLE_STDOUT_CALLBACK"] == "default"


def test_an_inventory_may_lie_elsewhere(tmp_path):
    (tmp_path / "hosts.yml").touch()
    assert deploy.command([str(tmp_path / "hosts.yml")], {})[0][2] == str(tmp_path / "hosts.yml")


@pytest.mark.parametrize(("words", "said"), [
    ([], "no host is named"), (["--check", "demo"], "--check stands where the host has to"), (["nowhere"], "there is no inventory/nowhere"),
    ([""], "there is no"), (["../x"], "there is no inventory/../x")])
def test_what_is_no_host_is_refused_with_those_that_are_known(words, said):
    with pytest.raises(SystemExit) as refused:
        deploy.command(words, {})
    assert said in str(refused.value) and "demo, omni_prime" in str(refused.value)

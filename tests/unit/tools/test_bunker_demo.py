"""./bunker demo and its neighbours: which plays they run, and with what, where --quick was asked for. Programs that they call are stand-ins that write down."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import jinja2
import pytest
import yaml
from support import ROOT

QUICK = "-e @tests/host/vars/quick.yml"
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$BUNKER_CACHE/called"
case "$0 $*" in
*" exec "*"image inspect omni/llama-server:sm120-cuda13") [ -e "$BUNKER_CACHE/whole" ] ;;
*create.yml) [ ! -e "$BUNKER_CACHE/no-host" ] ;;
*"docker info") [ ! -e "$BUNKER_CACHE/no-engine" ] ;;
esac
"""


@pytest.fixture(name="bunker")
def _bunker(tmp_path):
    """A function that runs ./bunker in a folder of its own: (exit code, what was called, line by line, what it said)."""
    root, programs, cache = tmp_path / "root", tmp_path / "bin", tmp_path / "cache"
    for name in ("bunker", "tools/deploy.py", "tools/checkout_lock.py", "inventory/demo/hosts.yml", *("requirements/%s.txt" % one for one in (
            "run", "bench", "docs"))):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    cache.mkdir()
    (root / "tools" / "docs.py").write_text("import sys\nprint('docs of', sys.argv[1:])\n", encoding="utf-8")
    for name in ("run", "bench", "docs"):
        digest = hashlib.sha256((root / "requirements" / (name + ".txt")).read_bytes()).hexdigest()
        (root / ".venv" / ("%s-%s" % (name, digest[:16]))).touch()
    programs.mkdir()
    for folder, names in ((programs, ("docker", "dockerd", "debootstrap")), (root / ".venv" / "bin", ("ansible-playbook",))):
        for name in names:
            (folder / name).write_text(STAND_IN, encoding="utf-8")
            (folder / name).chmod(0o755)

    def run(*words, whole=False):
        (cache / "called").unlink(missing_ok=True)
        (cache / "whole").unlink(missing_ok=True)
        if whole:
            (cache / "whole").touch()
        said = subprocess.run([root / "bunker", *words], capture_output=True, text=True, check=False, timeout=60,
                              env={**os.environ, "BUNKER_CACHE": str(cache), "PATH": "%s:%s" % (programs, os.environ["PATH"])})
        called = pathlib.Path(cache / "called").read_text(encoding="utf-8").splitlines() if (cache / "called").exists() else []
        return said.returncode, called, said.stdout + said.stderr
    return run


def plays(called):
    return [line for line in called if line.startswith("ansible-playbook")]


def test_quick_deploys_with_its_variables_and_says_how_to_go_on(bunker):
    code, called, said = bunker("demo", "--quick", "-v")
    assert code == 0
    assert plays(called) == ["ansible-playbook -i inventory/demo tests/host/create.yml", "ansible-playbook -i inventory/demo site.yml %s -v" % QUICK]
    assert "omni/llama-server-without-cuda" in said and "The whole, with CUDA and its claims: ./bunker demo." in said


def test_without_quick_nothing_is_given_besides_the_inventory(bunker):
    code, called, said = bunker("demo", "--check")
    assert (code, plays(called)[-1]) == (0, "ansible-playbook -i inventory/demo site.yml --check")
    assert "without-cuda" not in said


def test_what_is_only_predicted_leaves_the_host_what_it_is(bunker):
    code, called, said = bunker("demo", "--quick", "--check")
    assert code == 0 and QUICK in plays(called)[-1] and "deployed in" not in said
    assert QUICK not in plays(bunker("status")[1])[-1]
    bunker("demo", "--quick")
    for word in ("-C", "--check", "--syntax-check", "--list-hosts", "--list-tags", "--list-tasks"):
        assert QUICK not in plays(bunker("demo", word)[1])[-1] and QUICK in plays(bunker("status")[1])[-1]


def test_to_deploy_the_demo_host_once_more_keeps_its_image(bunker):
    assert plays(bunker("deploy", "demo")[1]) == ["ansible-playbook -i inventory/demo site.yml"]
    bunker("demo", "--quick")
    assert plays(bunker("deploy", "demo", "--check")[1]) == ["ansible-playbook -i inventory/demo site.yml %s --check" % QUICK]


@pytest.mark.parametrize("words", [("--plain", "demo"), ("inventory/demo",), ("--plain", "inventory/demo/")])
def test_to_deploy_the_demo_host_once_more_keeps_its_image_however_it_is_named(bunker, words):
    bunker("demo", "--quick")
    assert QUICK in plays(bunker("deploy", *words)[1])[-1]


def test_what_somebody_says_counts_more_than_what_the_quick_host_is_given(bunker):
    said = ("-e", "golden_image_name=mine", "--limit", "demo")
    bunker("demo", "--quick")
    for words in (("deploy", "demo"), ("demo", "--quick"), ("status",)):
        assert plays(bunker(*words, *said)[1])[-1].endswith("%s %s" % (QUICK, " ".join(said)))


def test_another_host_is_given_nothing_of_the_demo_hosts(bunker):
    bunker("demo", "--quick")
    code, called, said = bunker("deploy", "other", "-e", "demo")
    assert code != 0 and plays(called) == [] and "there is no inventory/other" in said


def test_the_site_of_the_documentation_is_built_where_it_is_asked_for(bunker):
    assert bunker("docs", "/tmp/a b")[::2] == (0, "docs of ['/tmp/a b']\n")


@pytest.mark.parametrize("command", ["status", "bench", "bundle", "sbom", "reproduce"])
def test_what_asks_the_quick_host_knows_that_it_is_one_until_the_whole_is_deployed(bunker, command):
    bunker("demo", "--quick")
    assert QUICK in plays(bunker(command)[1])[-1]
    bunker("demo")
    assert QUICK not in plays(bunker(command)[1])[-1]


def test_an_upgrade_of_the_quick_host_knows_that_it_is_one(bunker, tmp_path):
    (tmp_path / "root" / "tools" / "upgrade.py").write_text("import sys\nprint('upgrade of', *sys.argv[1:])\n", encoding="utf-8")
    bunker("demo", "--quick")
    assert bunker("upgrade", "demo", "--to", "v2")[2].endswith("upgrade of demo %s --to v2\n" % QUICK)
    assert bunker("upgrade", "omni", "--back")[2].endswith("upgrade of omni --back\n")


def test_the_layers_are_those_of_the_image_that_is_there(bunker):
    def layers():
        return [line.rpartition(" ")[2] for line in bunker("layers")[1]]
    bunker("demo", "--quick")
    assert layers() == ["omni/llama-server-without-cuda:cpu"] * 2
    bunker("down")
    assert layers() == ["omni/llama-server:sm120-cuda13"] * 2


def test_a_host_that_down_could_not_remove_stays_what_it_is(bunker, tmp_path):
    bunker("demo", "--quick")
    (tmp_path / "cache" / "no-engine").touch()
    assert not any("destroy.yml" in line for line in plays(bunker("down")[1]))
    (tmp_path / "cache" / "no-engine").unlink()
    assert QUICK in plays(bunker("deploy", "demo")[1])[-1]
    assert any("destroy.yml" in line for line in plays(bunker("down")[1]))
    assert QUICK not in plays(bunker("deploy", "demo")[1])[-1]


def test_a_host_that_has_the_whole_keeps_it(bunker):
    code, called, said = bunker("demo", "--quick", whole=True)
    assert code == 0 and QUICK not in plays(called)[-1] and "the whole is deployed" in said
    assert QUICK not in plays(bunker("status")[1])[-1]


def test_a_host_that_could_not_be_started_stays_what_it_is(bunker, tmp_path):
    no_host = tmp_path / "cache" / "no-host"
    no_host.touch()
    assert bunker("demo", "--quick")[0] != 0
    no_host.unlink()
    assert QUICK not in plays(bunker("status")[1])[-1]


def test_a_host_that_had_to_be_started_first_is_asked_for_its_image_then(bunker):
    _code, called, _said = bunker("demo", "--quick", whole=True)
    looks = [place for place, line in enumerate(called) if "image inspect" in line]
    assert looks and called.index("ansible-playbook -i inventory/demo tests/host/create.yml") < looks[0]


@pytest.mark.parametrize(("state", "verb"), [("", ["run"]), ("running", []), ("exited", ["start"]), ("created", ["start"]), ("dead", ["start"])])
def test_a_host_that_stands_still_is_started_and_not_made_anew(state, verb):
    """docker run would refuse its name; restarted, such a host is as a machine after a reboot."""
    (play,) = yaml.safe_load((ROOT / "tests/host/create.yml").read_text(encoding="utf-8"))
    chosen = []
    for task in play["tasks"]:
        words = str(task.get("ansible.builtin.command", {}).get("argv", ""))
        found = re.search(r"'docker', '(run|start)'", words)
        if found and jinja2.Environment().compile_expression(task["when"])(__host={"stdout": state}):
            chosen.append(found[1])
    assert chosen == verb


def test_the_images_name_says_that_it_has_no_cuda_and_it_has_none():
    quick = yaml.safe_load((ROOT / "tests/host/vars/quick.yml").read_text(encoding="utf-8"))
    assert quick["golden_image_cuda"] is False and "without-cuda" in quick["golden_image_name"] and "cuda" not in quick["golden_image_alias"]
    known = yaml.safe_load((ROOT / "roles/golden_image/meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    assert set(quick) <= set(known)

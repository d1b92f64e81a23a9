"""Two commands with one checkout at the same time: deployments share it, an upgrade has it alone, and who is refused hears by whom."""
import importlib.util
import os
import subprocess
import sys

import pytest
from support import ROOT
from test_upgrade import checkout_of_two_releases, run, upgrade

SPEC = importlib.util.spec_from_file_location("checkout_lock_alone", ROOT / "tools" / "checkout_lock.py")
checkout_lock = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(checkout_lock)
# Takes the lock as a command does, says so, becomes another program, and waits for its end.
HOLDER = ("import os, sys; sys.path.insert(0, %r); import checkout_lock; checkout_lock.take(%r, %r, alone=%r); print('taken', flush=True); "
          "os.execvp('cat', ['cat'])")


@pytest.fixture(name="checkout")
def _checkout(tmp_path, monkeypatch):
    return checkout_of_two_releases(tmp_path, monkeypatch)


@pytest.fixture(name="holder")
def _holder(checkout):
    """Starts a command that holds the lock until the end of the test."""
    running = []

    def hold(who, alone):
        process = subprocess.Popen([sys.executable, "-c", HOLDER % (str(ROOT / "tools"), str(checkout), who, alone)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout.readline() == "taken\n"
        return process
    yield hold
    for process in running:
        process.communicate("", timeout=10)


@pytest.mark.parametrize("alone, who", [(False, "./bunker deploy omni"), (True, "./bunker upgrade omni")])
def test_an_upgrade_beside_another_command_is_refused_by_its_name_before_anything_is_asked(checkout, holder, alone, who):
    process = holder(who, alone)
    with pytest.raises(SystemExit) as refused:
        run(checkout, "omni", "--to", "v2")
    assert "in use by %s (process %d, since " % (who, process.pid) in str(refused.value) and "nothing was changed" in str(refused.value)
    assert not (checkout / "called").exists() and upgrade.present(checkout) == "v1"
    process.communicate("", timeout=10)
    assert run(checkout, "omni", "--to", "v2")[0] == 0


def test_deployments_go_beside_each_other_and_not_beside_an_upgrade(checkout, holder):
    first = holder("./bunker deploy one", False)
    os.close(checkout_lock.take(checkout, "./bunker deploy two", alone=False))
    first.communicate("", timeout=10)
    holder("./bunker upgrade omni", True)
    with pytest.raises(SystemExit, match="./bunker deploy two: this checkout is in use by ./bunker upgrade omni"):
        checkout_lock.take(checkout, "./bunker deploy two", alone=False)


def test_what_an_upgrade_deploys_is_not_refused_by_it(checkout, monkeypatch):
    _status, _said, called = run(checkout, "omni", "--to", "v2")
    assert [(line.split()[0], line.endswith(" held")) for line in called] == [("ansible-playbook", False), ("bunker", True)]
    monkeypatch.setenv("BUNKER_CHECKOUT_HELD", "yes")
    assert checkout_lock.take(checkout, "./bunker deploy omni", alone=False) is None


def test_a_folder_that_git_does_not_know_has_no_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert checkout_lock.take(tmp_path, "./bunker deploy omni", alone=False) is None

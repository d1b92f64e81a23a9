"""./bunker upgrade where something is in its way: foreign repositories, names that mean two things, interruptions, damaged notes."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support import ROOT
from test_upgrade import checkout_of_two_releases, git, run, upgrade


@pytest.fixture(name="checkout")
def _checkout(tmp_path, monkeypatch):
    return checkout_of_two_releases(tmp_path, monkeypatch)


def refused(root, *words):
    """What it refuses by; nothing was called and nothing checked out."""
    before = upgrade.present(root)
    with pytest.raises(SystemExit) as found:
        run(root, *words)
    assert not (root / "called").exists() and upgrade.present(root) == before
    return str(found.value)


def test_a_tarball_inside_somebody_elses_repository_is_no_checkout(checkout):
    """A collection that is installed below a playbook repository: git would check out that one."""
    inner = checkout / "collections" / "bunker"
    (inner / "inventory" / "omni").mkdir(parents=True)
    with pytest.raises(SystemExit, match="is checked out by git"):
        upgrade.main(["omni", "--to", "v2"], inner, print)
    assert upgrade.present(checkout) == "v1"


def test_without_git_the_steps_by_hand_are_told(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout.parent / "bin"))
    assert "is checked out by git" in refused_without_git(checkout)


def refused_without_git(root):
    with pytest.raises(SystemExit) as found:
        upgrade.main(["omni", "--to", "v2"], root, print)
    return str(found.value)


def test_a_name_of_a_branch_and_of_a_tag_is_the_one_that_git_checks_out(checkout):
    git(checkout, "branch", "both", "v1")
    git(checkout, "tag", "both", "v2")
    run(checkout, "omni", "--to", "both")
    note = json.loads(next(checkout.glob("reports/upgrades/omni/*/upgrade.json")).read_text(encoding="utf-8"))
    assert note["commit"] == upgrade.git(checkout, "rev-parse", "HEAD")[1]


def test_back_is_the_commit_that_ran_also_where_its_branch_went_on(checkout):
    git(checkout, "checkout", "-q", "-b", "mine", "v1")
    ran = upgrade.git(checkout, "rev-parse", "HEAD")[1]
    run(checkout, "omni", "--to", "v2")
    git(checkout, "branch", "-f", "mine", "v2")
    run(checkout, "omni", "--back", "--although-claims-fail")
    assert upgrade.git(checkout, "rev-parse", "HEAD")[1] == ran


def test_back_from_a_detached_commit_is_that_commit(checkout):
    git(checkout, "commit", "-q", "--allow-empty", "-m", "between")
    ran = upgrade.git(checkout, "rev-parse", "HEAD")[1]
    run(checkout, "omni", "--to", "v2")
    run(checkout, "omni", "--back", "--although-claims-fail")
    assert upgrade.git(checkout, "rev-parse", "HEAD")[1] == ran


def test_a_second_try_at_the_same_release_does_not_hide_what_ran_before(checkout):
    (checkout / "STATUS-bunker").write_text("2", encoding="utf-8")
    run(checkout, "omni", "--to", "v2")
    run(checkout, "omni", "--to", "v2", "--although-claims-fail")
    run(checkout, "omni", "--back", "--although-claims-fail")
    assert upgrade.present(checkout) == "v1"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"from": 3}', '{"from": "--force"}', "\udcff"])
def test_a_note_that_is_damaged_is_refused_with_its_name(checkout, text):
    folder = checkout / "reports" / "upgrades" / "omni" / "20260101T000000.000000Z"
    folder.mkdir(parents=True)
    (folder / "upgrade.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    said = refused(checkout, "omni", "--back")
    assert "upgrade.json" in said or "--to --force" in said


def test_an_interruption_while_the_release_is_checked_out_is_gone_back_from(checkout, monkeypatch):
    real = upgrade.git

    def interrupted(root, *words):
        said = real(root, *words)
        if words[0] == "checkout":
            raise KeyboardInterrupt
        return said
    monkeypatch.setattr(upgrade, "git", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(checkout, "omni", "--to", "v2")
    monkeypatch.setattr(upgrade, "git", real)
    assert upgrade.present(checkout) == "v2"
    run(checkout, "omni", "--back", "--although-claims-fail")
    assert upgrade.present(checkout) == "v1"


def test_a_checkout_that_fails_leaves_no_note(checkout):
    (checkout / ".git" / "info" / "exclude").write_text("gets\n", encoding="utf-8")
    git(checkout, "checkout", "-q", "-b", "further", "v2")
    (checkout / "gets").write_text("theirs", encoding="utf-8")
    git(checkout, "add", "-f", "gets")
    git(checkout, "commit", "-qm", "gets")
    git(checkout, "checkout", "-q", "v1")
    (checkout / "gets").write_text("mine", encoding="utf-8")  # git ignores it here, and would write over it
    status, said, called = run(checkout, "omni", "--to", "further")
    assert status and "could not be checked out, so nothing was changed" in said and len(called) == 1
    assert (checkout / "gets").read_text(encoding="utf-8") == "mine" and not list(checkout.glob("reports/upgrades/omni/*/upgrade.json"))


def test_an_inventory_that_git_does_not_know_here_and_the_other_release_has_is_not_written_over(checkout):
    git(checkout, "checkout", "-q", "-b", "theirs", "v2")
    git(checkout, "add", "-f", "inventory/omni/hosts.yml")
    git(checkout, "commit", "-qm", "theirs")
    git(checkout, "checkout", "-q", "v1")
    (checkout / "inventory" / "omni").mkdir(parents=True, exist_ok=True)
    (checkout / "inventory" / "omni" / "hosts.yml").write_text("mine", encoding="utf-8")
    assert "inventory/omni/hosts.yml: the other release has another text of it" in refused(checkout, "omni", "--to", "theirs")
    assert (checkout / "inventory" / "omni" / "hosts.yml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["h\u00f6st.yml", "a b.yml", 'a"b.yml'])
def test_an_inventory_whose_names_git_quotes_is_not_lost(checkout, name):
    (checkout / "inventory" / "omni" / name).write_text("mine", encoding="utf-8")
    git(checkout, "add", "-f", "inventory/omni/" + name)
    git(checkout, "commit", "-qm", "mine")
    assert name in refused(checkout, "omni", "--to", "v2")


def test_an_inventory_whose_name_begins_like_the_demo_is_not_lost(checkout):
    (checkout / "inventory" / "demo2").mkdir()
    (checkout / "inventory" / "demo2" / "hosts.yml").touch()
    git(checkout, "add", "-f", "inventory/demo2")
    git(checkout, "commit", "-qm", "mine")
    assert "inventory/demo2/hosts.yml" in refused(checkout, "demo2", "--to", "v2")


def test_an_inventory_outside_the_checkout_is_upgraded(checkout, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "hosts.yml").touch()
    status, _said, called = run(checkout, str(tmp_path / "elsewhere"), "--to", "v2")
    assert status == 0 and len(called) == 2


def test_of_two_inventories_of_one_name_each_goes_back_by_its_own_note(checkout, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "hosts.yml").touch()
    run(checkout, str(tmp_path / "a" / "hosts.yml"), "--to", "v2")
    with pytest.raises(SystemExit, match="none is written down"):
        run(checkout, str(tmp_path / "b" / "hosts.yml"), "--back", "--although-claims-fail")


@pytest.mark.parametrize("words", [["-C"], ["-vC"], ["--chec"], ["-tgateway"], ["-bDt", "gateway"], ["--tag", "x"], ["--skip-t=x"], ["--start-at-task", "x"],
                                   ["--step"], ["--syntax-check"], ["--list-hosts"], ["--list-tasks"], ["--list-tags"]])
def test_what_makes_it_a_part_is_refused_however_it_is_written(checkout, words):
    assert words[0].partition("=")[0] + ": an upgrade is the whole of it" in refused(checkout, "omni", "--to", "v2", *words)


@pytest.mark.parametrize("words", [["--connection", "local"], ["-vv"], ["-e", "t=C"], ["-kK"], ["--limit", "omni"], ["--timeout", "9"]])
def test_what_leaves_it_whole_is_handed_on(checkout, words):
    status, _said, called = run(checkout, "omni", "--to", "v2", *words)
    assert status == 0 and all(" ".join(words) in line for line in called)


def test_without_one_claim_that_was_proven_nothing_is_changed(checkout):
    (checkout.parent / "bin" / "ansible-playbook").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")  # as where no host matched
    status, said, _called = run(checkout, "omni", "--to", "v2")
    assert status and "nothing was changed" in said and upgrade.present(checkout) == "v1"


def test_a_host_that_was_not_reached_stops_it_also_where_another_fails_and_may(checkout):
    git(checkout, "checkout", "-q", "v2")
    (checkout / "STATUS-ansible-playbook").write_text("4", encoding="utf-8")
    status, said, _called = run(checkout, "omni", "--to", "v1", "--although-claims-fail")
    assert status == 4 and "nothing was changed" in said and upgrade.present(checkout) == "v2"


def test_a_changelog_that_is_no_yaml_stops_nothing(checkout):
    assert upgrade.breaking(checkout, "v1", "v2") == [("0.2.0", "door - needs a key.")]
    git(checkout, "checkout", "-q", "-b", "odd", "v1")
    for text in ("releases: [", "releases: 3", "releases: {0.9.0: {changes: {breaking_changes: }}}", "[]"):
        (checkout / "changelogs" / "changelog.yaml").write_text(text, encoding="utf-8")
        git(checkout, "commit", "-qam", text)
        assert upgrade.breaking(checkout, "v1", "odd") == [] and upgrade.breaking(checkout, "odd", "v2")[-1] == ("0.2.0", "door - needs a key.")


def test_a_deployment_that_is_interrupted_ends_by_itself_and_the_way_back_is_told(checkout):
    (checkout / "slow").write_text("""#!/bin/sh
trap 'sleep 1; echo ended > ended; exit 130' INT
echo deploying > begun
n=0; while [ $n -lt 200 ]; do sleep 0.1; n=$((n+1)); done
""", encoding="utf-8")
    git(checkout, "checkout", "-q", "-b", "slowly", "v2")
    (checkout / "bunker").write_text((checkout / "slow").read_text(encoding="utf-8"), encoding="utf-8")
    git(checkout, "commit", "-qam", "slow")
    git(checkout, "checkout", "-q", "v1")
    program = "import importlib.util,sys\ns=importlib.util.spec_from_file_location('u',%r)\nu=importlib.util.module_from_spec(s)\ns.loader.exec_module(u)\n" \
              "sys.exit(u.main(['omni','--to','slowly'],%r))" % (str(ROOT / "tools/upgrade.py"), str(checkout))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
        end = time.monotonic() + 120
        while not (checkout / "begun").exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert (checkout / "begun").exists()
        os.killpg(running.pid, signal.SIGINT)  # what a terminal does for Ctrl-C
        out, errors = running.communicate(timeout=120)
    assert (checkout / "ended").exists() and "Traceback" not in errors and running.returncode == 130
    assert "back to what ran before: ./bunker upgrade omni --back" in out

"""./bunker upgrade on a repository of two releases; stand-ins for ansible-playbook and ./bunker deploy write reports, and what they were called by."""
import importlib.util
import json
import os
import pathlib
import subprocess

import pytest
from support import ROOT

SPEC = importlib.util.spec_from_file_location("bunker_upgrade", ROOT / "tools" / "upgrade.py")
upgrade = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(upgrade)

# Says which release it belongs to by the file RELEASE of the checkout; the claims that it writes are in CLAIMS of that release.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $(cat RELEASE) $*${BUNKER_CHECKOUT_HELD:+ held}" >> called
for word; do case $word in bunker_report_path=*) folder=${word#*=} ;; esac; done
mkdir -p "$folder"
cp CLAIMS "$folder/omni.json"
echo "$(basename "$0") ${BUNKER_PLAIN:-}" >>SCREENS
exit "$(cat "STATUS-$(basename "$0")" 2>/dev/null || echo 0)"
"""
CHANGELOG = "releases:\n  0.1.0: {changes: {breaking_changes: [old - gone.]}}\n"


def report(**statuses):
    claims = [{"id": name.replace("__", "."), "status": status, "expected": "so", "observed": "thus"} for name, status in statuses.items()]
    return {"host": "omni", "claims": claims, "image": {"id": "sha256:old"},
            "services": {"oracle": {"model": "m", "placement": "CPU only", "generation_speed": 10.0}}}


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", *words],
                   check=True, capture_output=True)


@pytest.fixture(name="checkout")
def _checkout(tmp_path, monkeypatch):
    return checkout_of_two_releases(tmp_path, monkeypatch)


def checkout_of_two_releases(tmp_path, monkeypatch):
    """A checkout at its release v1; v2 has a claim more, one that fails, and a faster Oracle on another image."""
    root, programs = tmp_path / "checkout", tmp_path / "bin"
    for folder in (root / "inventory" / "omni", root / "changelogs", root / "tools", programs):
        folder.mkdir(parents=True)
    for file in (root / "bunker", programs / "ansible-playbook"):
        file.write_text(STAND_IN, encoding="utf-8")
        file.chmod(0o755)
    (root / ".gitignore").write_text("reports/\ncalled\nSCREENS\nSTATUS-*\ninventory/omni/\n", encoding="utf-8")
    (root / "inventory" / "omni" / "hosts.yml").touch()
    (root / "tools" / "upgrade.py").touch()
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    later = report(a__holds="holds", a__breaks="fails", a__new="holds")
    later.update(services={"oracle": {"model": "m", "placement": "CPU only", "generation_speed": 12.0}}, image={"id": "sha256:new"})
    for name, claims, changes in (("v1", report(a__holds="holds", a__breaks="holds", a__gone="holds"), CHANGELOG),
                                  ("v2", later, CHANGELOG + "  0.2.0: {changes: {breaking_changes: [door - needs a key.]}}\n")):
        (root / "RELEASE").write_text(name, encoding="utf-8")
        (root / "CLAIMS").write_text(json.dumps(claims), encoding="utf-8")
        (root / "changelogs" / "changelog.yaml").write_text(changes, encoding="utf-8")
        git(root, "add", "-A")
        git(root, "commit", "-qm", name)
        git(root, "tag", name)
    git(root, "checkout", "-q", "v1")
    monkeypatch.setenv("PATH", "%s:%s" % (programs, os.environ["PATH"]))
    return root


def run(root, *words):
    """(exit status, what it said, what was called)."""
    said = []
    status = upgrade.main(list(words), root, said.append)
    called = (root / "called").read_text(encoding="utf-8").splitlines() if (root / "called").exists() else []
    return status, "".join(said), called


def test_claims_are_proven_by_the_old_release_and_then_deployed_by_the_new_one(checkout):
    status, said, called = run(checkout, "omni", "--to", "v2", "--ask-become-pass")
    assert status == 0
    assert [line.partition(" -e ")[0] for line in called] == [
        "ansible-playbook v1 -i inventory/omni playbooks/verify.yml --ask-become-pass", "bunker v2 deploy omni --ask-become-pass"]
    told = said.partition("what differs")[2].splitlines()[1:]
    assert [line.removeprefix("bunker:   omni: ") for line in told] == [
        "a.breaks: fails, before: holds. Expected so; observed thus", "not a claim, before: holds (1): a.gone", "holds, before: not a claim (1): a.new",
        "image: sha256:new, before sha256:old", "oracle: generation 12.0 tok/s, before 10.0 (+20 %)",
        "bunker: back to what ran before: ./bunker upgrade omni --back"]
    assert "breaking in 0.2.0: door - needs a key." in said and "old - gone" not in said


@pytest.mark.parametrize("words, told", [([], ""), (["--plain"], "true")], ids=["a screen", "lines"])
def test_plain_is_for_the_screen_of_both_plays_and_no_option_of_ansible_playbook(checkout, words, told):
    called = run(checkout, "omni", "--to", "v2", *words)[2]
    assert not [line for line in called if "--plain" in line]
    assert [line.split(" ") for line in (checkout / "SCREENS").read_text(encoding="utf-8").splitlines()] == [["ansible-playbook", told], ["bunker", told]]


def test_back_again_is_what_ran_before(checkout):
    run(checkout, "omni", "--to", "v2")
    (checkout / "called").unlink()
    status, said, called = run(checkout, "omni", "--back", "--although-claims-fail")
    assert status == 0 and [line.split(" -", maxsplit=1)[0] for line in called] == ["ansible-playbook v2", "bunker v1 deploy omni"]
    assert "a.breaks" in said and (checkout / "RELEASE").read_text(encoding="utf-8") == "v1"
    assert "omni: holds, before: fails (1): a.breaks" in said


def test_a_branch_that_was_checked_out_is_gone_back_to_as_a_branch(checkout):
    git(checkout, "checkout", "-q", "main")
    run(checkout, "omni", "--to", "v1", "--although-claims-fail")
    run(checkout, "omni", "--back")
    assert upgrade.present(checkout) == "main"


def test_what_fails_before_is_not_upgraded_over(checkout):
    git(checkout, "checkout", "-q", "v2")
    with pytest.raises(SystemExit) as refused:
        run(checkout, "omni", "--to", "v1")
    assert "omni: a.breaks" in str(refused.value) and "--although-claims-fail" in str(refused.value)
    assert upgrade.present(checkout) == "v2" and len((checkout / "called").read_text(encoding="utf-8").splitlines()) == 1


def test_where_nothing_could_be_proven_nothing_is_changed(checkout):
    (checkout / "STATUS-ansible-playbook").write_text("4", encoding="utf-8")
    status, said, called = run(checkout, "omni", "--to", "v2")
    assert status == 4 and "nothing was changed" in said and len(called) == 1 and upgrade.present(checkout) == "v1"


def test_a_deployment_that_fails_is_told_with_the_way_back(checkout):
    (checkout / "STATUS-bunker").write_text("2", encoding="utf-8")
    status, said, _called = run(checkout, "omni", "--to", "v2")
    assert status == 2 and said.endswith("./bunker upgrade omni --back --although-claims-fail\n")


def test_a_release_without_this_command_is_left_by_hand(checkout):
    git(checkout, "checkout", "-q", "-b", "older", "v1")
    git(checkout, "rm", "-q", "tools/upgrade.py")
    git(checkout, "commit", "-qm", "older")
    git(checkout, "checkout", "-q", "v1")
    assert "back to what ran before: git checkout v1 && ./bunker deploy omni" in run(checkout, "omni", "--to", "older")[1]


@pytest.mark.parametrize(("prepare", "words", "said"), [
    (lambda root: None, ["omni", "--to", "v9"], "--to v9: it is a tag, a branch or a commit of this checkout. Fetch it: git fetch --tags; known tags: "),
    (lambda root: None, ["omni", "--to", "--upload-pack=x"], "expected one argument"),
    (lambda root: (root / "CLAIMS").write_text("x", encoding="utf-8"), ["omni", "--to", "v2"], "changes in CLAIMS"),
    (lambda root: None, ["nowhere", "--to", "v2"], "host nowhere"),
    (lambda root: None, ["omni", "--back"], "none is written down"),
    (lambda root: None, ["omni", "--to", "v2", "--tags", "gateway"], "--tags: an upgrade is the whole of it"),
    (lambda root: None, ["omni", "--to", "v2", "--check"], "--check: an upgrade is the whole of it"),
    (lambda root: None, ["--to", "v2"], "the host is missing"), (lambda root: None, ["omni"], "one of the arguments"),
])
def test_what_cannot_be_meant_is_refused_before_anything_runs(checkout, capsys, prepare, words, said):
    prepare(checkout)
    with pytest.raises(SystemExit) as refused:
        run(checkout, *words)
    assert said in str(refused.value) + capsys.readouterr().err and not (checkout / "called").exists()


def test_an_inventory_that_the_other_release_does_not_have_is_not_lost(checkout):
    git(checkout, "add", "-f", "inventory/omni/hosts.yml")
    git(checkout, "commit", "-qm", "mine")
    with pytest.raises(SystemExit, match="inventory/omni/hosts.yml: the other release has another text of it, or none"):
        run(checkout, "omni", "--to", "v2")
    assert not (checkout / "called").exists() and (checkout / "inventory/omni/hosts.yml").exists()


def test_a_folder_without_git_is_told_the_steps_by_hand(tmp_path):
    (tmp_path / "inventory" / "omni").mkdir(parents=True)
    with pytest.raises(SystemExit, match="is checked out by git"):
        upgrade.main(["omni", "--to", "v2"], tmp_path, print)


# --- what differs

def test_of_two_equal_reports_nothing_differs():
    assert upgrade.differences(report(a="holds"), report(a="holds")) == upgrade.differences({"claims": []}, {"claims": []}) == ["nothing differs"]


def test_what_failed_before_and_what_only_points_elsewhere():
    before, after = report(a="fails", b="holds"), report(a="fails", b="fails")
    after["claims"][1]["see"] = "a"
    assert [line.partition(".")[0] for line in upgrade.differences(before, after)[:2]] == ["b: fails, before: holds", "failed before and fails: a"]


def test_a_service_that_is_not_seen_any_more_is_named():
    after = dict(report(), services={})
    assert "oracle: not seen, before m, CPU only" in upgrade.differences(report(), after)


def test_two_reports_are_compared_by_their_files(tmp_path, capsys):
    for name, status in (("before", "holds"), ("after", "fails")):
        (tmp_path / (name + ".json")).write_text(json.dumps(report(a=status)), encoding="utf-8")
    said = []
    assert upgrade.main(["--compare", str(tmp_path / "before.json"), str(tmp_path / "after.json")], tmp_path, said.append) == 0
    assert "omni: a: fails, before: holds" in said[0] and capsys.readouterr().out == ""
    pathlib.Path(tmp_path / "after.json").write_text("{", encoding="utf-8")
    with pytest.raises(SystemExit, match="after.json: it is a report"):
        upgrade.compare(tmp_path / "before.json", tmp_path / "after.json")

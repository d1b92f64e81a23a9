"""Takes a running host to another release of this collection and says what differs: ./bunker upgrade HOST --to RELEASE, and ./bunker upgrade HOST --back."""
import argparse
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "tools"))

import checkout_lock  # noqa: E402

USAGE = """./bunker upgrade HOST (--to RELEASE | --back) [--although-claims-fail] [--plain] [OPTIONS of ansible-playbook]
       ./bunker upgrade --compare BEFORE AFTER

Proves the claims by the release that is checked out, checks out the other one, deploys by it (site.yml, which proves the claims again), and says what
differs. HOST is a folder of inventory/. It changes the checkout that it is called in, and nothing where that has changes of its own."""
ABSENT = "not a claim"
SPEEDS = ("generation_speed", "prompt_speed")
CHANGES = ("breaking_changes", "removed_features")
# Options of ansible-playbook by which a play does a part of its work or none; it takes each long one by its beginning, and short ones in one word.
IN_PART = ("--check", "--tags", "--skip-tags", "--start-at-task", "--step", "--syntax-check", "--list-hosts", "--list-tasks", "--list-tags")
SHORT_IN_PART = re.compile(r"-[vDbkKJ]*[Ct]")
FAILED_HOSTS = 2  # ansible-playbook's exit status where a task failed, and no host was out of reach


class Refused(SystemExit):
    """What ends it before anything changes: a sentence with value, rule and remedy."""

    def __init__(self, value, rule, remedy):
        super().__init__("bunker: %s: %s. %s" % (value, rule, remedy))


def git(root, *words):
    """(exit status, what git says) of a command in the checkout."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, errors="surrogateescape", check=False)
    except OSError as error:
        return 127, "git: %s" % error
    return done.returncode, (done.stdout if done.returncode == 0 else done.stderr).strip()


def resolved(root, release):
    """The commit of a release; a word that names none is refused. A name of a branch and of a tag is the branch, as git checkout has it."""
    status, top = git(root, "rev-parse", "--show-toplevel")
    # Unpacked below another repository it would be that one which is checked out.
    if status or os.path.realpath(top) != os.path.realpath(root) or git(root, "rev-parse", "--verify", "--quiet", "HEAD")[0]:
        raise Refused("%s (%s)" % (root, top if status else "git has the folder %s" % top), "a release is checked out by git",
                      "Without git: docs/operations.md, Upgrade, names the steps by hand")
    for name in ("refs/heads/" + release, release):
        status, commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
        if status == 0:
            break
    else:
        raise Refused("--to %s" % release, "it is a tag, a branch or a commit of this checkout", "Fetch it: git fetch --tags; known tags: %s" % (
            ", ".join(git(root, "tag", "--sort=-creatordate")[1].split()[:10]) or "none"))
    return commit


def present(root):
    """What is checked out: the branch, else the tag, else the commit."""
    status, name = git(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    if status:
        status, name = git(root, "describe", "--tags", "--exact-match")
    return name if status == 0 else git(root, "rev-parse", "HEAD")[1]


def judge(root, inventory, commit):
    """Refuses what another checkout would lose or fail at.

    :param inventory: path of the inventory, relative to the checkout.
    :param commit: of the release that is to be checked out.
    """
    status, dirty = git(root, "status", "--porcelain", "--untracked-files=no")
    if status or dirty:
        raise Refused("changes in %s" % ", ".join(line.split(maxsplit=1)[1] for line in dirty.splitlines()[:5]), "they would come along or be in the way",
                      "Commit them, or keep them elsewhere: git stash")
    if os.path.realpath(root) not in map(str, pathlib.Path(os.path.realpath(root / inventory)).parents):
        return  # git has no say over it
    # Also of what git does not know here: it would write over a file that it ignores.
    status, found = git(root, "diff", "--name-only", "-z", "HEAD", commit, "--", inventory)
    lost = [found] if status else [name for name in found.split("\0") if name]
    if lost and pathlib.PurePosixPath(inventory).parts[:2] != ("inventory", "demo"):
        raise Refused("inventory %s: %s" % (inventory, ", ".join(lost[:5])), "the other release has another text of it, or none, and the host would get that",
                      "Bring your inventory into that release first (git merge), or keep it in a folder that git does not know")


def breaking(root, before, after):
    """Lines of the changelog that a person has to know: of releases that the one before does not have.

    :returns: list of (release, sentence).
    """
    def releases(commit):
        status, text = git(root, "show", commit + ":changelogs/changelog.yaml")
        try:
            return _part(yaml.safe_load(text) if status == 0 else {}, "releases")
        except yaml.YAMLError:
            return {}
    known, found = releases(before), releases(after)
    return [(name, sentence) for name in found for key in CHANGES for sentence in _part(_part(found, name), "changes").get(key) or []
            if sentence not in (_part(_part(known, name), "changes").get(key) or [])]


def _part(value, key):
    """A dict in a dict, an empty one where either is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def reports(folder):
    """Host to its report, of the JSON files of a folder, or of a file."""
    folder = pathlib.Path(folder)
    files = [folder] if folder.is_file() else sorted(path for path in folder.glob("*.json"))
    found = {}
    for file in files:
        try:
            read = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Refused(str(file), "it is a report of playbooks/verify.yml as JSON", "It cannot be read: %s" % error) from error
        if isinstance(read, dict) and isinstance(read.get("claims"), list):
            found[str(read.get("host") or file.stem)] = read
    return found


def failing(report):
    """Claims of a report that fail, by themselves."""
    return [claim["id"] for claim in report["claims"] if claim["status"] == "fails" and not claim.get("see")]


def _speeds(before, after):
    for name in sorted(set(before) & set(after)):
        for key in SPEEDS:
            old, new = before[name].get(key), after[name].get(key)
            if old and new and old != new:
                yield "%s: %s %s tok/s, before %s (%+.0f %%)" % (name, key.partition("_")[0], new, old, 100 * (new - old) / old)


def differences(before, after):
    """Lines that say what differs between two reports of a host; what fails now stands first.

    :param before: report, or None where there is none.
    """
    before = before or {"claims": []}
    old, new = ({claim["id"]: claim for claim in report["claims"]} for report in (before, after))
    moved = {}
    for name in [*new, *(name for name in old if name not in new)]:
        pair = tuple(claims[name]["status"] if name in claims else ABSENT for claims in (old, new))
        if pair[0] != pair[1]:
            moved.setdefault(pair, []).append(name)
    found = []
    for pair in sorted(moved, key=lambda one: (one[1] != "fails", one[0] != "fails", one)):
        for name in moved[pair] if pair[1] == "fails" else []:
            claim = new[name]
            found.append("%s: fails, before: %s. Expected %s; observed %s" % (name, pair[0], claim.get("expected"), claim.get("observed")))
        if pair[1] != "fails":
            found.append("%s, before: %s (%d): %s" % (pair[1], pair[0], len(moved[pair]), ", ".join(moved[pair])))
    still = [name for name in failing(after) if name in old and old[name]["status"] == "fails"]
    found += ["failed before and fails: %s" % ", ".join(still)] if still else []
    images = [(report.get("image") or {}).get("id") for report in (before, after)]
    if images[0] != images[1]:
        found.append("image: %s, before %s" % tuple(str(image or "none")[:19] for image in images[::-1]))
    services = [report.get("services") or {} for report in (before, after)]
    for name in sorted(set(services[0]) | set(services[1])):
        told = [(side[name].get("model"), side[name].get("placement")) if name in side else ("not seen", None) for side in services]
        if told[0] != told[1]:
            found.append("%s: %s, before %s" % (name, *(", ".join(str(part) for part in side if part) for side in told[::-1])))
    return found + list(_speeds(*services)) or ["nothing differs"]


def compare(before, after):
    """Lines for all hosts of two folders of reports."""
    found, old = [], reports(before)
    for host, report in sorted(reports(after).items()):
        found += ["%s: %s" % (host, line) for line in differences(old.get(host), report)]
    return found or ["There is no report in %s: the deployment did not come to its claims." % after]


def latest(folder, inventory):
    """What the last upgrade of an inventory wrote down; refused where there was none."""
    for file in sorted(folder.glob("*/upgrade.json"), reverse=True):
        try:
            note = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            note = error
        if not isinstance(note, dict) or not isinstance(note.get("from"), str):
            raise Refused("--back: %s" % file, "it says what ran before the last upgrade, and cannot be read",
                          "Name the release: --to RELEASE%s" % (" (%s)" % note if isinstance(note, Exception) else ""))
        again = note.get("commit") is not None and note.get("from_commit") == note["commit"]  # a second try at what was checked out already
        if note.get("inventory", inventory) == inventory and not again:
            return note
    raise Refused("--back", "it goes to what ran before the last ./bunker upgrade, and none is written down in %s" % folder,
                  "Name the release: --to RELEASE")


def _ran_before(root, note, say):
    """The release to go back to: the name that was checked out while it is what ran, else the commit."""
    ran = note.get("from_commit")
    if isinstance(ran, str) and (git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", note["from"] + "^{commit}")[0] or
                                 resolved(root, note["from"]) != ran):
        say("%s is another commit now, so it goes back to the one that ran: %s" % (note["from"], ran))
        return ran
    return note["from"]


def _write_down(folder, **note):
    """Before the checkout: what is interrupted in between has a way back."""
    (folder / "upgrade.part").write_text(json.dumps(note) + "\n", encoding="utf-8")
    os.replace(folder / "upgrade.part", folder / "upgrade.json")


def called(words, root, **surroundings):
    """The exit status of a program. Ctrl-C is the program's to answer, which the terminal tells too: a play has a last word, and a lock to give back."""
    # A handler that does nothing, also while the program is being started: the program itself begins with the signal's own action.
    former = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with subprocess.Popen(words, cwd=root, env=dict(os.environ, **surroundings)) as running:
            status = running.wait()
    finally:
        signal.signal(signal.SIGINT, former)
    return status if status >= 0 else 128 - status


def in_part(words):
    """Those of the words by which a play would do a part of its work, sorted."""
    names = {word.partition("=")[0] if word.startswith("--") else word for word in words}
    return sorted(name for name in names if SHORT_IN_PART.match(name) or len(name) > 3 and any(full.startswith(name) for full in IN_PART))


def parsed(words):
    """(arguments, words of ansible-playbook)."""
    parser = argparse.ArgumentParser(usage=USAGE, add_help=False, allow_abbrev=False)
    parser.add_argument("host", nargs="?")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--to")
    way.add_argument("--back", action="store_true")
    way.add_argument("--compare", nargs=2, metavar=("BEFORE", "AFTER"))
    parser.add_argument("--although-claims-fail", action="store_true")
    parser.add_argument("--plain", action="store_true")
    found, rest = parser.parse_known_args(words)
    wrong = in_part(rest)
    if wrong:
        raise Refused(", ".join(wrong), "an upgrade is the whole of it",
                      "To look first, check the release out and run ./bunker deploy HOST --check --diff")
    if found.compare is None and (not found.host or found.host.startswith("-")):
        parser.error("the host is missing")
    return found, rest


def upgrade(root, arguments, rest, say):
    """Runs it: the exit status.

    :param root: the checkout.
    :param say: takes a line for a person.
    """
    name = pathlib.PurePosixPath(arguments.host).name
    inventory = arguments.host.rstrip("/") if "/" in arguments.host else "inventory/%s" % name
    if not (root / inventory).exists():
        raise Refused("host %s" % arguments.host, "it is a folder of inventory/, or the path of an inventory", "A new one is written by ./bunker init")
    kept = root / "reports" / "upgrades" / name
    release = _ran_before(root, latest(kept, inventory), say) if arguments.back else arguments.to
    commit, before = resolved(root, release), present(root)
    judge(root, inventory, commit)
    folder = kept / datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    folder.mkdir(parents=True)
    say("the claims of %s by %s, before anything changes" % (name, before))
    screen = {"ANSIBLE_STDOUT_CALLBACK": os.environ.get("ANSIBLE_STDOUT_CALLBACK") or "protocol_omni.bunker.screen"}
    screen.update({"BUNKER_PLAIN": "true"} if arguments.plain else {})
    status = called(["ansible-playbook", "-i", inventory, "playbooks/verify.yml", *rest, "-e", "bunker_report_path=%s" % (folder / "before")], root, **screen)
    wrong = {host: failing(report) for host, report in reports(folder / "before").items()}
    if not wrong or status not in (0, FAILED_HOSTS) or status and not any(wrong.values()):
        say("the claims could not be proven (exit status %d), so nothing was changed" % status)
        return status or 1
    if any(wrong.values()) and not arguments.although_claims_fail:
        raise Refused("; ".join("%s: %s" % (host, ", ".join(names)) for host, names in wrong.items() if names),
                      "what fails before an upgrade is not mended by it", "Mend it, or add --although-claims-fail. Nothing was changed")
    for version, sentence in breaking(root, "HEAD", commit):
        say("breaking in %s: %s" % (version, sentence))
    _write_down(folder, **{"from": before, "from_commit": git(root, "rev-parse", "HEAD")[1], "to": release, "commit": commit, "inventory": inventory})
    status, said = git(root, "checkout", "--quiet", "--no-overwrite-ignore", release, "--")
    if status:
        (folder / "upgrade.json").unlink()
        say("the release %s could not be checked out, so nothing was changed: %s" % (release, said))
        return status
    say("%s by %s" % (name, release))
    status = called(["./bunker", "deploy", arguments.host, *rest, "-e", "bunker_report_path=%s" % (folder / "after")], root,
                    **{checkout_lock.HELD: "yes"}, **screen)
    say("what differs, by the reports in %s:" % folder.relative_to(root))
    for line in compare(folder / "before", folder / "after") if (folder / "after").is_dir() else [
            "The deployment did not come to its claims (exit status %d); what it says above is the cause." % status]:
        say("  " + line)
    say("back to what ran before: git checkout %s && ./bunker deploy %s" % (before, arguments.host) if not (root / "tools" / "upgrade.py").is_file()
        else "back to what ran before: ./bunker upgrade %s --back" % arguments.host + ("" if status == 0 else " --although-claims-fail"))
    return status


def main(words, root=HERE, write=sys.stdout.write):
    """The exit status of a command line."""
    arguments, rest = parsed(words)
    if arguments.compare:
        write("".join(line + "\n" for line in compare(*arguments.compare)))
        return 0

    def say(line):
        write("bunker: %s\n" % line)
        sys.stdout.flush()
    held = checkout_lock.take(root, "./bunker upgrade %s" % arguments.host, alone=True)
    try:
        return upgrade(pathlib.Path(root), arguments, rest, say)
    finally:
        if held is not None:
            os.close(held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

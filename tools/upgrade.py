"""Takes a running host to another release of this collection and says what differs: ./bunker upgrade HOST --to RELEASE, and ./bunker upgrade HOST --back."""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parents[1]
USAGE = """./bunker upgrade HOST (--to RELEASE | --back) [--although-claims-fail] [OPTIONS of ansible-playbook]
       ./bunker upgrade --compare BEFORE AFTER

Proves the claims by the release that is checked out, checks out the other one, deploys by it (site.yml, which proves the claims again), and says what
differs. HOST is a folder of inventory/. It changes the checkout that it is called in, and nothing where that has changes of its own."""
ABSENT = "not a claim"
SPEEDS = ("generation_speed", "prompt_speed")
CHANGES = ("breaking_changes", "removed_features")


class Refused(SystemExit):
    """What ends it before anything changes: a sentence with value, rule and remedy."""

    def __init__(self, value, rule, remedy):
        super().__init__("bunker: %s: %s. %s" % (value, rule, remedy))


def git(root, *words):
    """(exit status, what git says) of a command in the checkout."""
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout if done.returncode == 0 else done.stderr).strip()


def resolved(root, release):
    """The commit of a release; a word that names none is refused."""
    if git(root, "rev-parse", "HEAD")[0]:
        raise Refused(str(root), "a release is checked out by git", "Without git: docs/operations.md, Upgrade, names the steps by hand")
    status, commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", release + "^{commit}")
    if status:
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
    mine = git(root, "ls-files", "--", inventory)[1].splitlines()
    lost = [name for name in mine if git(root, "diff", "--quiet", "HEAD", commit, "--", name)[0]]
    if lost and not inventory.startswith("inventory/demo"):
        raise Refused("inventory %s: %s" % (inventory, ", ".join(lost[:5])), "the other release has another text of it, or none, and the host would get that",
                      "Bring your inventory into that release first (git merge), or keep it in a folder that git does not know")


def breaking(root, before, after):
    """Lines of the changelog that a person has to know: of releases that the one before does not have.

    :returns: list of (release, sentence).
    """
    def releases(commit):
        status, text = git(root, "show", commit + ":changelogs/changelog.yaml")
        return (yaml.safe_load(text) or {}).get("releases") or {} if status == 0 else {}
    known, found = releases(before), releases(after)
    return [(name, sentence) for name, release in found.items() for key in CHANGES
            for sentence in (release.get("changes") or {}).get(key) or [] if sentence not in ((known.get(name) or {}).get("changes") or {}).get(key, [])]


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


def latest(folder):
    """What the last upgrade of a host wrote down; refused where there was none."""
    files = sorted(folder.glob("*/upgrade.json"))
    if not files:
        raise Refused("--back", "it goes to what ran before the last ./bunker upgrade, and none is written down in %s" % folder,
                      "Name the release: --to RELEASE")
    return json.loads(files[-1].read_text(encoding="utf-8"))


def parsed(words):
    """(arguments, words of ansible-playbook)."""
    parser = argparse.ArgumentParser(usage=USAGE, add_help=False, allow_abbrev=False)
    parser.add_argument("host", nargs="?")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--to")
    way.add_argument("--back", action="store_true")
    way.add_argument("--compare", nargs=2, metavar=("BEFORE", "AFTER"))
    parser.add_argument("--although-claims-fail", action="store_true")
    found, rest = parser.parse_known_args(words)
    wrong = {"--check", "-C", "--tags", "-t", "--skip-tags"} & {word.partition("=")[0] for word in rest}
    if wrong:
        raise Refused(", ".join(sorted(wrong)), "an upgrade is the whole of it",
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
    release = latest(kept)["from"] if arguments.back else arguments.to
    commit, before = resolved(root, release), present(root)
    judge(root, inventory, commit)
    folder = kept / datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    folder.mkdir(parents=True)
    say("the claims of %s by %s, before anything changes" % (name, before))
    surroundings = dict(os.environ, ANSIBLE_STDOUT_CALLBACK=os.environ.get("ANSIBLE_STDOUT_CALLBACK") or "protocol_omni.bunker.screen")
    status = subprocess.run(["ansible-playbook", "-i", inventory, "playbooks/verify.yml", *rest, "-e", "bunker_report_path=%s" % (folder / "before")],
                            cwd=root, env=surroundings, check=False).returncode
    wrong = {host: failing(report) for host, report in reports(folder / "before").items()}
    if status and not any(wrong.values()):
        say("the claims could not be proven (exit status %d), so nothing was changed" % status)
        return status
    if any(wrong.values()) and not arguments.although_claims_fail:
        raise Refused("; ".join("%s: %s" % (host, ", ".join(names)) for host, names in wrong.items() if names),
                      "what fails before an upgrade is not mended by it", "Mend it, or add --although-claims-fail. Nothing was changed")
    for version, sentence in breaking(root, "HEAD", commit):
        say("breaking in %s: %s" % (version, sentence))
    status, said = git(root, "checkout", "--quiet", release, "--")
    if status:
        say("the release %s could not be checked out, so nothing was changed: %s" % (release, said))
        return status
    (folder / "upgrade.json").write_text(json.dumps({"from": before, "to": release, "commit": commit}) + "\n", encoding="utf-8")
    say("%s by %s" % (name, release))
    status = subprocess.run(["./bunker", "deploy", arguments.host, *rest, "-e", "bunker_report_path=%s" % (folder / "after")], cwd=root, check=False).returncode
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
    return upgrade(pathlib.Path(root), arguments, rest, say)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

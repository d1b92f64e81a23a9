"""Blocks of code in Markdown, and whether what their shell lines call exists: commands, playbooks, options, variables, units and files.

A block whose lines are not of this repository is marked by a line before it: ``<!-- not checked: WHY -->``. Nothing is run.
"""
import argparse
import dataclasses
import functools
import re
import shlex

import yaml
from support import ROOT

# Programs that a reader has from elsewhere, by where from. What is not here, and not of this repository, is a problem.
OUTSIDE = {
    "coreutils": "cat head install kill ls mkdir mv rm sha256sum tail timeout", "findutils": "find", "docker": "docker",
    "systemd": "systemctl journalctl", "procps": "ps",
    "NVIDIA's driver": "nvidia-smi", "nftables": "nft", "curl": "curl", "openssh-client": "ssh scp", "git": "git", "pip": "pip",
    "pipx": "pipx", "uv": "uv", "apt": "apt-get", "ansible-core": "ansible-galaxy", "ansible-builder": "ansible-builder",
    "Kubernetes": "kubectl", "the shell": "cd"}
PROGRAMS = {name for names in OUTSIDE.values() for name in names.split()}
# Programs that this collection brings to where they are called, by the file that they come from.
BROUGHT = {"bunker-status": "roles/vram_watch/files/status.py", "bunker-usage": "roles/gateway/files/usage.py", "./install": "playbooks/files/bundle-install"}
TOOLS = {"init": "tools/init.py", "records": "tools/records.py", "update-pins": "tools/update_pins.py", "docs": "tools/docs.py",
         "usage": "roles/gateway/files/usage.py", "layers": "tools/image_parts.py", "model": "tools/model.py", "upgrade": "tools/upgrade.py"}
PLAYS = ("demo", "deploy", "upgrade", "init", "status", "bench", "bundle", "sbom", "reproduce")  # whose further words are ansible-playbook's
PYTEST = {"-k", "-n", "-s", "-m", "-x"}
PLACEHOLDER = re.compile(r"…|\b[A-Z][A-Z_-]{2,}\b|\$")
OWN_PATH = re.compile(r"^(tests|docs|roles|playbooks|plugins|tools|inventory|requirements|meta)/")
HOST_PATH = re.compile(r"^/(etc|var/lib|var/log|run)/protocol[_-]omni")
SEPARATORS = {";", "&&", "||", "|", "&", "(", ")"}


@dataclasses.dataclass
class Block:
    """A block of a page: line (int, of its beginning), text (str, without its indentation), mark (str, why it is not checked; "" where it is)."""
    line: int
    text: str
    mark: str

    def kind(self):
        """``yaml``, ``drawing`` or ``shell``."""
        if re.search("[│┌└▶]", self.text):
            return "drawing"
        if re.match(r"- |[a-z_]+:(\s|$)", self.text):
            return "yaml"
        return "shell"


def blocks(text):
    """Every block of a page, indented by four spaces or fenced."""
    found, lines, place = [], text.split("\n"), 0
    while place < len(lines):
        above = [line for line in lines[:place] if line.strip()][-1:] or [""]
        mark = re.match(r"<!-- not checked: (.+) -->$", above[0])
        start, inside = place, []
        if lines[place].startswith("```"):
            place += 1
            while place < len(lines) and not lines[place].startswith("```"):
                inside.append(lines[place])
                place += 1
            place += 1
        elif lines[place].startswith("    ") and (place == 0 or not lines[place - 1].strip() or mark):
            while place < len(lines) and (lines[place].startswith("    ") or not lines[place].strip()):
                inside.append(lines[place][4:])
                place += 1
        else:
            place += 1
        if inside:
            found.append(Block(start + 1, "\n".join(inside).rstrip(), mark.group(1) if mark else ""))
    return found


def inline(text):
    """Commands of this repository that stand within a line, as code."""
    prose = "\n".join(line for line in text.split("\n") if not line.startswith("    "))
    return re.findall(r"`((?:[A-Z_]+=\S+ )*(?:\./bunker|ansible-playbook) [^`]+)`", prose)


def commands(text):
    """Simple commands of a piece of shell: lists of words, in their order; those within $(…) too."""
    text = re.sub(r"\\\n", " ", text)
    for line in text.split("\n"):
        lexer = shlex.shlex(re.sub(r"(^|\s)#.*$", "", line), posix=True, punctuation_chars=";|&()<>")
        lexer.whitespace_split, lexer.commenters = True, ""
        words = []
        for word in [*lexer, ";"]:
            if word in SEPARATORS:
                if words:
                    yield from _of_one(words)
                words = []
            else:
                words.append(word)


def _of_one(words):
    for word in words:
        for inner in re.findall(r"\$\(([^()]+)\)", word):
            yield from commands(inner)
    while words and words[0] in ("do", "then", "else", "sudo", "time"):
        words = words[1:]
    if not words or words[0] in ("done", "fi", "for", "if", "while"):
        return
    kept = []
    for place, word in enumerate(words):
        if re.fullmatch("[<>]+", word) or place and re.fullmatch("[<>]+", words[place - 1]):
            continue
        kept.append(word)
    if kept[0] == "timeout":
        kept = kept[2:]
    if kept[:2] == ["docker", "exec"]:
        yield kept[:3]
        yield from _of_one(kept[3:])
    elif kept[:2] in (["sh", "-c"], ["bash", "-c"]):
        yield from commands(kept[2])
    else:
        yield kept


@functools.cache
def told():
    """All that roles, playbooks and what belongs to the demo's host say, in one text: where names of files, variables and units are looked for."""
    paths = [path for pattern in ("roles/**/*", "playbooks/**/*", "tests/host/**/*", "plugins/**/*.py") for path in ROOT.glob(pattern)]
    texts = ("", ".yml", ".py", ".j2", ".lua", ".conf", ".service")
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.is_file() and path.suffix in texts)


@functools.cache
def script():
    return (ROOT / "bunker").read_text(encoding="utf-8")


@functools.cache
def verbs():
    """Commands of ./bunker."""
    return {verb for line in re.findall(r"(?m)^([a-z-]+(?: \| [a-z-]+)*)\)", script()) for verb in line.split(" | ")} | {"help"}


@functools.cache
def _playbook_parser():
    from ansible.cli.playbook import PlaybookCLI
    command = PlaybookCLI(["ansible-playbook", "x"])
    command.init_parser()
    command.parser.exit_on_error = False

    def refuse(message):
        raise ValueError(message)
    command.parser.error = refuse
    return command.parser


def problems(words):
    """What is wrong with one command: sentences. Nothing for one whose words are all known."""
    words = list(words)
    while words and re.match(r"^[A-Za-z_]+=", words[0]):
        name = words.pop(0).split("=")[0]
        if name.startswith("BUNKER_") and name not in script() + told() + "".join(
                path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py") if "unit" not in path.parts):
            yield "nobody reads %s" % name
    if not words:
        return
    command, further = re.sub(r"^[~.]?/.*/bin/", "", words[0]), words[1:]  # of a virtual environment
    if command == "./bunker":
        yield from _of_bunker(further)
    elif command == "ansible-playbook":
        yield from _of_playbook(further)
    elif command in ("ansible", "ansible-doc"):
        yield from _of_names(further)
    elif command in ("python", "python3"):
        yield from _of_python(further)
    elif command in BROUGHT:
        yield from _options(further, [BROUGHT[command]])
    elif OWN_PATH.match(command):
        if not (ROOT / command).is_file() or not (ROOT / command).stat().st_mode & 0o100:
            yield "%s is no program of this repository" % command
    elif command not in PROGRAMS:
        yield "%s is no command that is known (tests/support/shell_blocks.py)" % command
    yield from _paths(further)
    if command in ("systemctl", "journalctl"):
        yield from _units(further)


def _of_bunker(words):
    if not words or words[0] not in verbs():
        yield "./bunker has no command %s" % (words[0] if words else "")
        return
    verb, further = words[0], words[1:]
    if verb in PLAYS:
        mine = set(re.findall(r"--[a-z-]+", _texts(["bunker", "tools/deploy.py"] + ([TOOLS[verb]] if verb in TOOLS else []))))
        theirs = [word for word in further if word not in mine and not (verb in TOOLS and word[:1] != "-")]
        yield from _parsed(theirs if verb == "deploy" else ["x"] + theirs)[1]
    elif verb == "test":
        known = PYTEST | set(re.findall(r"--[a-z-]+", _texts(["bunker", *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/support/*.py"))])))
        yield from ("./bunker test has no option %s" % word for word in further if word.startswith("-") and word not in known)
    else:
        yield from _options(further, [TOOLS[verb]] if verb in TOOLS else [])


def _parsed(words):
    try:
        return _playbook_parser().parse_args(words or ["x"]), []
    except (ValueError, SystemExit, argparse.ArgumentError) as error:
        return None, ["ansible-playbook does not take it: %s" % error]


def _of_playbook(words):
    parsed, wrong = _parsed(words)
    yield from wrong
    for name in parsed.args if parsed else []:
        path = name.replace("protocol_omni.bunker.", "playbooks/") + ".yml" if name.startswith("protocol_omni.bunker.") else name
        if not PLACEHOLDER.search(path) and not (ROOT / path).is_file():
            yield "there is no playbook %s" % name
    for given in (parsed.extra_vars or []) if parsed else []:
        name = re.match(r"([A-Za-z_]\w*)=", given)
        if name and not re.search(r"\b%s\b" % name.group(1), told()):
            yield "no playbook and no role knows the variable %s" % name.group(1)


def _of_names(words):
    for word in words:
        if word.startswith("protocol_omni.bunker.") and not (ROOT / "plugins" / "modules" / (word.rpartition(".")[2] + ".py")).exists():
            yield "there is no module %s" % word
    if "role" in words and not (ROOT / "roles" / words[-1]).is_dir():
        yield "there is no role %s" % words[-1]


def _of_python(words):
    if words[:1] == ["-m"]:
        own = "plugins/module_utils/%s.py" % words[1].replace(".", "/")
        if words[1] not in ("venv", "pip", "mkdocs") and not (ROOT / own).exists():
            yield "there is no program %s" % words[1]
        yield from _options(words[2:], [own] if (ROOT / own).is_file() else [])
        return
    here = [ROOT / words[0]] if OWN_PATH.match(words[0]) else list(ROOT.glob("tests/**/" + words[0]))
    if not here or not here[0].is_file():
        yield "there is no program %s" % words[0]
    else:
        yield from _options(words[1:], [here[0].relative_to(ROOT).as_posix()])


def _texts(names):
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def _options(words, names):
    """Options that stand in none of the files of a program, nor of the modules beside it."""
    beside = [path.relative_to(ROOT).as_posix() for name in names for path in (ROOT / name).parent.glob("*.py")]
    for word in words:
        option = word.split("=")[0]
        if re.match(r"--[a-z]", option) and not re.search(r"[\"'\[ ]%s\b" % option, _texts([*names, *beside])):
            yield "%s has no option %s" % (names[0] if names else "the command", option)


def _paths(words):
    for word in words:
        if OWN_PATH.match(word) and not PLACEHOLDER.search(word) and not (ROOT / word).exists():
            yield "there is no file %s" % word
        if HOST_PATH.match(word) and not PLACEHOLDER.search(word) and word.rstrip("/").rpartition("/")[2] not in told():
            yield "no role knows a file %s" % word


def _units(words):
    for word in words:
        unit = re.match(r"protocol-omni-([A-Za-z*-]+)", word)
        if unit and unit.group(1) not in ("SERVICE", "*") and "protocol-omni-%s.service" % unit.group(1) not in told():
            yield "no role has a unit %s" % word


@functools.cache
def variables():
    """Names that the specs of roles and the entries of an inventory know, at any depth."""
    found = set()
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        found |= set(re.findall(r"(?m)^\s+([a-z_0-9]+):", path.read_text(encoding="utf-8")))
    return found


def unknown_keys(text):
    """Outermost names of a piece of an inventory that no role knows; raises yaml.YAMLError where it is none."""
    data = yaml.safe_load(text)
    return [key for entry in (data if isinstance(data, list) else [data]) for key in entry if key not in variables()]

"""No key, password or token stands in the tree, and a task that touches one shows nothing of it: by no_log, or by the reason of tests/lint/secrets.yml."""
import re
import subprocess

import pytest
import yaml
from support import ROOT

KNOWN = yaml.safe_load((ROOT / "tests" / "lint" / "secrets.yml").read_text(encoding="utf-8"))
# What a task's source says where it handles what nobody may read: files of keys, their variables, addresses of an index, which may carry a password.
TOUCHES = re.compile(r"operator_key|key_file|tls_key|certificate_key|(?<!item)\.key\b|password|passphrase|vault|secret|package_index|index_url", re.IGNORECASE)
CONTAINERS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
# What would carry a file's text to the controller, and so into a result, a register or a diff.
CARRIES = re.compile(r"ansible\.builtin\.(slurp|fetch)|lookup\('(ansible\.builtin\.)?file'|\bcat ")

SHAPES = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/=]{20}",
    "a token of a hub or a forge": r"\b(?:hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{40,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,})",
    "a key of a cloud": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a key of a provider of models": r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{24,}",
    "a password in an address": r"[a-z][a-z0-9+.-]*://[^/\s:@'\"<>{}%]+:[^/\s:@'\"<>{}%]{3,}@[a-z0-9]",
    "a key in a header": r"(?i)\b(?:authorization: *(?:bearer|basic) |x-api-key: *)[A-Za-z0-9+/_-]{16,}",
    "an archive of ansible-vault": r"\$ANSIBLE_VAULT;\d",
}


class Loader(yaml.SafeLoader):
    """Takes tags of Ansible for what they hold."""


Loader.add_multi_constructor("!", lambda _loader, _suffix, node: node.value if isinstance(node.value, str) else None)


def tasks(entries):
    """Every task of a file's plays, tasks and blocks."""
    for entry in entries:
        inner = [part for part in CONTAINERS if isinstance(entry.get(part), list)]
        for part in inner:
            yield from tasks(entry[part])
        if not inner:
            yield entry


def touching(text):
    """Tasks of a YAML text that handle a secret: list of (name, its source, whether it has no_log)."""
    found = yaml.load(text, Loader)  # a subclass of SafeLoader
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    sources = [(task.get("name", ""), yaml.safe_dump({key: value for key, value in task.items() if key != "name"}, width=10000), task)
               for task in tasks(entries)]
    return [(name, source, bool(task.get("no_log"))) for name, source, task in sources if TOUCHES.search(source)]


def files():
    return [path for pattern in ("roles/*/tasks/*.yml", "roles/*/handlers/*.yml", "playbooks/**/*.yml") for path in sorted(ROOT.glob(pattern))]


ALL = {str(path.relative_to(ROOT)): touching(path.read_text(encoding="utf-8")) for path in files()}


def test_a_task_that_touches_a_key_is_found_wherever_it_stands():
    plain = "- name: a\n  ansible.builtin.copy: {src: '{{ item.key_file }}', dest: /x}\n"
    nested = ("- hosts: all\n  tasks:\n    - block:\n        - name: b\n          command: id\n      rescue:\n        - name: c\n"
              "          no_log: true\n          %s\n")
    assert [(name, hidden) for name, _source, hidden in touching(plain)] == [("a", False)]
    assert [(name, hidden) for name, _source, hidden in touching(nested % "command: 'echo {{ vault_password }}'")] == [("c", True)]
    assert touching("- name: d\n  debug: {msg: '{{ item.key }} {{ x | to_json(sort_keys=true) }}'}\n") == []


@pytest.mark.parametrize("path", sorted(path for path, found in ALL.items() if found))
def test_a_task_that_touches_a_key_hides_it_or_says_why_there_is_nothing_to_hide(path):
    shown = {name for name, _source, hidden in ALL[path] if not hidden}
    told = KNOWN["tasks"].get(path, {})
    assert shown == set(told), "no_log: true, or its reason in tests/lint/secrets.yml; a reason without such a task goes"
    assert all(len(why) > 20 for why in told.values())


def test_no_reason_is_left_of_a_file_that_touches_none():
    assert set(KNOWN["tasks"]) <= {path for path, found in ALL.items() if found}


@pytest.mark.parametrize("path", sorted(path for path, found in ALL.items() if found))
def test_no_key_is_carried_to_the_controller(path):
    assert [name for name, source, hidden in ALL[path] if CARRIES.search(source) and not hidden] == []


@pytest.mark.parametrize("path", sorted(path for path, found in ALL.items() if found))
def test_no_key_is_shown_by_a_diff(path):
    """A file's text is in the diff of what copies or writes it, no_log or not a value of its own."""
    writes = [(name, source) for name, source, hidden in ALL[path] if re.search(r"ansible\.builtin\.(copy|template):", source) and not hidden]
    assert [name for name, source in writes if "diff: false" not in source and "key_file" in source] == []


def found_in(text):
    """What of the shapes of secrets a text has: set of (shape, the text)."""
    return {(shape, match.group()) for shape, pattern in SHAPES.items() for match in re.finditer(pattern, text)}


# Made here, so that this file has none itself.
@pytest.mark.parametrize("shape, text", [
    ("a private key", "-----BEGIN EC PRIVATE " + "KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04f\n"),
    ("a token of a hub or a forge", "token = hf" + "_" + "aB3" * 12), ("a key of a cloud", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("a key of a provider of models", "key: sk-" + "ant-" + "a1B2" * 8), ("a password in an address", "https://reader:" + "hunter2@mirror.example.org/simple"),
    ("a key in a header", "-H 'Authorization: Bearer " + "0123456789abcdef0123'"),
    ("an archive of ansible-vault", "$ANSIBLE" + "_VAULT;1.1;AES256")])
def test_each_shape_is_seen(shape, text):
    assert shape in {name for name, _text in found_in(text)}


def test_no_secret_stands_in_the_tree():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = {}
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            for shape, text in found_in(path.read_bytes().decode("utf-8", "replace")):
                found.setdefault(name, set()).add((shape, text[:60]))
    left = {name: seen for name, seen in found.items() if name not in KNOWN["files"]}
    assert left == {}, "take it out and have it replaced where it holds; what is no secret gets its reason in tests/lint/secrets.yml"
    assert set(KNOWN["files"]) == set(found), "a reason without such a text goes"

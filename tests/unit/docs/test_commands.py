"""Every block of README and docs: what its shell lines call exists, what it says of an inventory is known, or it is marked why nobody looks."""
import re
import subprocess

import pytest
from support import ROOT, shell_blocks

PATTERNS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "tests/gpu/README.md", "tests/gpu/site/README.md")
PAGES = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
BLOCKS = [pytest.param(block, id="%s:%d" % (path.relative_to(ROOT), block.line))
          for path in PAGES for block in shell_blocks.blocks(path.read_text(encoding="utf-8"))]


def wrong(block):
    """What is wrong with a block: sentences."""
    if block.mark:
        return [] if len(block.mark) > 15 else ["the mark does not say why it is not checked"]
    if block.kind() == "drawing":
        return []
    if block.kind() == "yaml":
        return ["no role knows %s" % key for key in shell_blocks.unknown_keys(block.text)]
    said = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    if said.returncode:
        return [said.stderr]
    found = list(shell_blocks.commands(block.text))
    return [problem for words in expanded(found) for problem in shell_blocks.problems(words)] if found else ["no command was read"]


@pytest.mark.parametrize("block", BLOCKS)
def test_what_a_block_calls_exists(block):
    assert wrong(block) == []


def test_a_block_that_is_wrong_is_found():
    pages = ("    ./bunker frob\n", "    if true\n", "    frob: 1\n", "<!-- not checked: so -->\n    frob\n")
    assert [len(wrong(block)) for page in pages for block in shell_blocks.blocks(page)] == [1, 1, 1, 1]


def expanded(commands):
    """Commands with the variables that earlier ones of the block have set to more than a value."""
    known = {}
    for words in commands:
        if len(words) == 1 and "=" in words[0]:
            name, _is, value = words[0].partition("=")
            known["$" + name] = value.split()
        yield [*known.get(words[0], [words[0]]), *words[1:]]


@pytest.mark.parametrize(("page", "command"), [
    pytest.param(path.name, command, id="%s %d" % (path.name, number))
    for path in PAGES for number, command in enumerate(shell_blocks.inline(path.read_text(encoding="utf-8")))])
def test_a_command_within_a_line_exists(page, command):
    assert [problem for words in shell_blocks.commands(command) for problem in shell_blocks.problems(words)] == [], page


@pytest.mark.parametrize(("line", "said"), [
    ("./bunker frobnicate", "no command frobnicate"), ("./bunker deploy demo --frob", "--frob"), ("./bunker records --frob", "--frob"),
    ("./bunker test --frob", "--frob"), ("./bunker usage --frob", "--frob"), ("ansible-playbook -i inventory/nowhere site.yml", "inventory/nowhere"),
    ("ansible-playbook -i I playbooks/gone.yml", "playbooks/gone.yml"), ("ansible-playbook -i I site.yml --frob", "--frob"),
    ("ansible-playbook -i I site.yml -e frob_nicated=1", "frob_nicated"), ("ansible-playbook -i I protocol_omni.bunker.gone", "gone"),
    ("frobnicate --all", "frobnicate"), ("ls && frobnicate", "frobnicate"), ("key=$(frobnicate x)", "frobnicate"), ('curl "$(frobnicate x)"', "frobnicate"),
    ("docker exec bunker-demo frobnicate", "frobnicate"), ("docker exec bunker-demo sh -c 'cd /; frobnicate'", "frobnicate"),
    ("for a in b; do frobnicate $a; done", "frobnicate"), ("sudo frobnicate", "frobnicate"), ("BUNKER_FROB=1 ./bunker test", "BUNKER_FROB"),
    ("cat tests/gone.py", "tests/gone.py"), ("cat /etc/protocol_omni/gateway/frob.key", "frob.key"),
    ("systemctl status protocol-omni-frob", "protocol-omni-frob"),
    ("journalctl -u protocol-omni-frob", "protocol-omni-frob"), ("bunker-usage --frob", "--frob"), ("python3 tests/gone.py", "tests/gone.py"),
    ("python3 tests/gpu/moe_model.py --frob 1 x", "--frob"), ("python3 -m frob x", "frob"), ("ansible localhost -m protocol_omni.bunker.frob", "frob"),
    ("ansible-doc -t role -r roles frob", "frob"), ("tests/gpu/gone.sh x", "tests/gpu/gone.sh")])
def test_what_does_not_exist_is_found(line, said):
    found = [problem for words in shell_blocks.commands(line) for problem in shell_blocks.problems(words)]
    assert len(found) >= 1 and any(said in problem for problem in found)


def test_blocks_are_found_with_their_marks():
    page = "a\n\n    one\n    two\n\n    three\n\ntext\n\n<!-- not checked: a reason of some length -->\n    four\n\n```sh\nfive\n```\n"
    assert [(block.line, block.text, block.mark) for block in shell_blocks.blocks(page)] == [
        (3, "one\ntwo\n\nthree", ""), (11, "four", "a reason of some length"), (13, "five", "")]


def test_a_variable_that_no_role_knows_is_found():
    assert shell_blocks.unknown_keys("bunker_services: []\nfrob: 1\n") == ["frob"]


def test_no_message_tells_of_a_play_without_its_inventory():
    """In a checkout ansible.cfg would take the demo's, whatever host the message was about."""
    found = [path.relative_to(ROOT).as_posix() for pattern in ("roles/**/*.yml", "playbooks/**/*.yml", "plugins/**/*.py") for path in ROOT.glob(pattern)
             if re.search(r"ansible-playbook\s+(playbooks/|site\.yml|protocol_omni)", path.read_text(encoding="utf-8"))]
    assert found == []

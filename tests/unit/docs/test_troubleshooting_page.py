"""docs/troubleshooting.md quotes messages as they stand in the code: a line that begins with ">", in which … stands for what differs from host to host."""
import ast
import functools
import re

import pytest
from support import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall("(?m)^> (.+)$", PAGE)
SPAN = 900  # characters within which the pieces of one message stand in a file that is no Python


@functools.cache
def said():
    """Texts that the code can say: strings of Python, each; other files whole. White space is one space, as a folded scalar of YAML has it."""
    found = []
    for path in [*ROOT.glob("plugins/**/*.py"), *ROOT.glob("tools/*.py"), *ROOT.glob("roles/*/files/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    for pattern in ("roles/**/*.yml", "roles/**/*.j2", "roles/**/*.lua", "roles/golden_image/files/*", "playbooks/**/*.yml", "bunker"):
        found += [path.read_text(encoding="utf-8") for path in ROOT.glob(pattern) if path.is_file()]
    return [re.sub(r"\s+", " ", text) for text in found]


def stands(message, texts):
    """Whether the pieces of a message between its … stand in one text, in their order and near to each other."""
    pieces = [re.escape(piece.strip()) for piece in message.split("…") if piece.strip()]
    pattern = re.compile((r".{0,%d}?" % SPAN).join(pieces))
    return any(pattern.search(text) for text in texts)


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_stands_in_the_code(message):
    assert max(len(piece.strip()) for piece in message.split("…")) >= 12, "too short to be found by"
    assert stands(message, said())


def test_a_message_that_nobody_says_is_found_out():
    texts = ["the volume %s is gone. Mount it."]
    assert stands("the volume … is gone.", texts) and not stands("the volume … is lost.", texts) and not stands("is gone. … the volume", texts)


def test_each_symptom_has_a_message_or_says_what_is_seen_and_then_what_to_do():
    sections = re.split("(?m)^### ", PAGE)[1:]
    assert len(sections) >= 20
    for section in sections:
        assert re.search("(?m)^(> |You see: )", section), section.partition("\n")[0]
        assert re.search(r"(?m)^[A-Z0-9`].{30,}", section.partition("\n")[2].replace("You see", "")), section.partition("\n")[0]

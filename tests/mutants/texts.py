"""Small changes of what is no Python: Lua, templates and tasks of roles. By patterns, line for line; comments, names and texts of Lua are left alone.

A change of a template or a task may be none that can be seen (a line of YAML that says the default); who survives is for a reader.
"""
import re
import typing

NUMBER = ("constant", r"(?<![\w.\"'%#$-])\d+(?![\w.%:])", lambda found: str(int(found) + 1))
TRUTH = ("constant", r"\b(?:true|false)\b", lambda found: {"true": "false", "false": "true"}[found])
LOGIC = ("and, or", r"(?<= )(?:and|or)(?= )", lambda found: {"and": "or", "or": "and"}[found])
NOT = ("not", r"\bnot (?!in\b|defined\b|exists\b|\w+ (?:in|is)\b)", lambda _found: "")


def _swap(first, second):
    return lambda found: second if found == first else first


OF = {
    ".lua": [NUMBER, TRUTH, LOGIC, ("not", r"\bnot (?=[\w(])", lambda _found: ""), ("comparison", r"==|~=", _swap("==", "~=")),
             ("comparison", r"(?<= )<=?(?= )", _swap("<", "<=")), ("comparison", r"(?<= )>=?(?= )", _swap(">", ">=")),
             ("arithmetic", r"(?<= )[+-](?= \w)", _swap("+", "-"))],
    ".j2": [NUMBER, TRUTH, LOGIC, NOT, ("switch", r"\b(?:on|off)(?=;)", _swap("on", "off")), ("switch", r"(?<==)(?:yes|no)$", _swap("yes", "no")),
            ("condition", r"(?<=\{% if )(?!not ).*?(?= %\})", lambda found: "not (%s)" % found),
            ("line", r"^(?!\s*(?:\{%|\{#|#|[\]})])).*\S.*$", lambda _found: "")],
    ".yml": [NUMBER, TRUTH, LOGIC, NOT, ("comparison", r"==|!=", _swap("==", "!=")),
             ("condition", r"(?<= when: )(?![\"'\[{]|not |$).+$", lambda found: "not (%s)" % found),
             ("mode", r"(?<=mode: \")0[0-7]{3}(?=\")", lambda found: "0%s%d%s" % (found[1], (int(found[2]) + 4) % 8, found[3]))],
}
WORDS = {"and, or", "not"}  # of a template only those of Jinja: elsewhere they are prose
JINJA = re.compile(r"\{[{%].*?[%}]\}")
SKIPPED = {".lua": r"\s*--", ".j2": r"\s*(?:#|--)", ".yml": r"\s*#|\s*-? ?name:"}
QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'| -- .*")


class Mutation(typing.NamedTuple):
    """One change of one line, as mutations.Mutation has them.

    line: int, from 1. kind: str. begin, end: int, characters of the line that it replaces. replacement: str.
    """
    line: int
    kind: str
    begin: int
    end: int
    replacement: str

    def after(self):
        return self.replacement

    def before(self, text):
        return " ".join(text.split("\n")[self.line - 1][self.begin:self.end].split())

    def of(self, text):
        """The whole file as it then is: str."""
        lines = text.split("\n")
        line = lines[self.line - 1]
        lines[self.line - 1] = line[:self.begin] + self.replacement + line[self.end:]
        return "\n".join(lines)


def mutations(text, suffix):
    """Every change of one file, in the order of its lines.

    :param text: str. suffix: str, ".lua", ".j2" or ".yml".
    :returns: list of Mutation.
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.strip() == "---" or re.match(SKIPPED[suffix], line):
            continue
        said = [match.span() for match in QUOTED.finditer(line)] if suffix == ".lua" else []
        logic = [match.span() for match in JINJA.finditer(line)] if suffix == ".j2" else [(0, len(line))]
        for kind, pattern, change in OF[suffix]:
            found += [Mutation(number, kind, *match.span(), change(match.group())) for match in re.finditer(pattern, line)
                      if not any(begin <= match.start() < end for begin, end in said)
                      and (kind not in WORDS or any(begin <= match.start() < end for begin, end in logic))]
    return found


def files(root):
    """Lua, templates and tasks of roles, in order: list of pathlib.Path."""
    return sorted([*root.glob("roles/*/files/*.lua"), *root.glob("roles/*/templates/*.j2"), *root.glob("roles/*/tasks/*.yml")])


def _text_of(test):
    """A test's source, and that of what it imports from its own folder: str."""
    text = test.read_text(encoding="utf-8")
    helpers = {test.with_name(name + ".py") for name in re.findall(r"(?m)^(?:from|import) (\w+)", text)}
    return "".join([text, *(helper.read_text(encoding="utf-8") for helper in sorted(helpers) if helper.is_file())])


def rounds(path, root):
    """The unit tests of a file of a role: those that name it, then those that name its role.

    :returns: list of lists of pathlib.Path; empty where no unit test does. No unit test runs Lua: of a role's Lua only those that read the file count.
    """
    role, near, far = path.relative_to(root).parts[1], [], []
    for test in sorted((root / "tests" / "unit").rglob("test_*.py")):
        text = _text_of(test)
        if path.name in text and role in text or "%s/%s" % (path.parent.name, path.name) in text and path.name != "main.yml":
            near.append(test)
        elif path.suffix != ".lua" and (re.search(r"[\"'/ ]%s[\"'/ ]" % role, text) or test.parent.name == "roles" and re.search(r"glob\(|roles/\*", text)):
            far.append(test)
    return [one for one in (near, far) if one]

"""Pages of the reference, from what the collection says of itself: argument_specs.yml of roles, DOCUMENTATION of modules. Pure functions of texts."""
import ast
import re

import yaml

CODE = re.compile(r"\b(?P<kind>RV|[CVOEIBMPLUR])\((?P<text>(?:\\.|[^()\\]|\([^()]*\))*)\)")  # marks of Ansible's documentation, one level of brackets within
OURS = "protocol_omni.bunker."


def markdown(text):
    """Text with Ansible's marks (C, V, O, RV, E, I, B, M, P, L, U, R) as Markdown; what would be a tag or emphasis of Markdown's is none."""
    said, end = [], 0
    for found in CODE.finditer(text):
        said += [plain(text[end:found.start()]), marked(found["kind"], re.sub(r"\\(.)", r"\1", found["text"]))]
        end = found.end()
    return "".join(said) + plain(text[end:])


def plain(text):
    return re.sub(r"([*\[\]`])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))


def marked(kind, text):
    """One mark, already without its escapes."""
    if kind in ("I", "B"):
        return {"I": "*%s*", "B": "**%s**"}[kind] % plain(text)
    if kind == "U":
        return "<%s>" % text
    if kind in ("L", "R"):
        words, _comma, target = text.rpartition(",")
        return "[%s](%s)" % (plain(words.strip()), target.strip()) if kind == "L" else plain(words.strip())
    if kind == "M" and text.startswith(OURS):
        return "[%s](../modules/%s.md)" % (text, text[len(OURS):])
    return code(text)


def code(value):
    """A value as code of Markdown, also where it holds backticks."""
    text = str(value)
    fence = "``" if "`" in text else "`"
    return "%s%s%s" % (fence, text if fence == "`" else " %s " % text, fence) if text else "`\"\"`"


def value_of(value):
    """A default or choice, as YAML has it on one line."""
    return code(yaml.safe_dump(value, default_flow_style=True, width=10 ** 6, allow_unicode=True).replace("\n...", "").strip())


def paragraphs(description):
    return [markdown(" ".join(str(line).split())) for line in ([description] if isinstance(description, str) else description or [])]


def signature(option):
    """What an option takes, in brackets: type, whether it must be given, default, choices."""
    said = [code(option.get("type", "str")) + (" of " + code(option["elements"]) if "elements" in option else "")]
    said += ["required"] if option.get("required") else []
    said += ["default " + value_of(option["default"])] if "default" in option else []
    said += ["one of " + ", ".join(value_of(choice) for choice in option["choices"])] if option.get("choices") else []
    return ", ".join(said)


def listed(options, depth=0):
    """Lines of nested options: a list, each with its description."""
    for name, option in options.items():
        first, *others = paragraphs(option.get("description")) or [""]
        yield "%s- **%s** (%s). %s" % ("    " * depth, code(name), signature(option), first)
        for one in others:
            yield ""
            yield "%s%s" % ("    " * (depth + 1), one)
        yield from listed(option.get("options") or option.get("contains") or {}, depth + 1)


def of_options(options):
    """Lines of the outermost options: a heading each, so that one can be linked."""
    for name, option in options.items():
        yield from ["### %s" % name, "", signature(option), ""]
        for one in paragraphs(option.get("description")):
            yield from [one, ""]
        inner = list(listed(option.get("options") or {}))
        yield from inner + [""] if inner else []


def role_page(name, specs):
    """Page of a role.

    :param specs: its argument_specs.yml as data; each entry point is a part of the page.
    """
    lines = ["# Role %s" % name, ""]
    for entry, spec in specs["argument_specs"].items():
        lines += ["## Entry point %s" % entry, ""] if len(specs["argument_specs"]) > 1 else []
        lines += [plain(spec.get("short_description", "")) + ".", ""]
        for one in paragraphs(spec.get("description")):
            lines += [one, ""]
        lines += ["## Variables" if entry == "main" else "## Variables of %s" % entry, ""] if spec.get("options") else []
        lines += of_options(spec.get("options") or {})
    return "\n".join(lines) + "\n"


def strings(text):
    """DOCUMENTATION, EXAMPLES and RETURN of a module's text; absent ones are empty.

    :raises SyntaxError: the text is no Python.
    """
    found = dict.fromkeys(("DOCUMENTATION", "EXAMPLES", "RETURN"), "")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and getattr(node.targets[0], "id", "") in found:
            found[node.targets[0].id] = node.value.value
    return found


def module_page(text, fragment):
    """Page of a module.

    :param text: its source.
    :param fragment: documentation that all modules share, as data: descriptions of attributes.
    """
    said = strings(text)
    about = yaml.safe_load(said["DOCUMENTATION"])
    lines = ["# Module %s" % about["module"], "", plain(about["short_description"]) + ".", ""]
    for one in paragraphs(about.get("description")):
        lines += [one, ""]
    lines += ["## Options", ""] + list(of_options(about["options"])) if about.get("options") else []
    lines += ["## Attributes", ""]
    for name, attribute in sorted({**fragment.get("attributes", {}), **about.get("attributes", {})}.items()):
        merged = {**fragment.get("attributes", {}).get(name, {}), **attribute}
        lines += ["- **%s**: %s. %s" % (code(name), plain(str(merged.get("support", "not said"))), " ".join(paragraphs(merged.get("details"))))]
    lines += ["", "## Examples", "", "```yaml", said["EXAMPLES"].strip(), "```", ""] if said["EXAMPLES"].strip() else [""]
    returned = yaml.safe_load(said["RETURN"]) if said["RETURN"].strip() else {}
    lines += ["## Returns", ""] + list(listed({name: dict(value, required=False) for name, value in returned.items()})) if returned else []
    return "\n".join(lines) + "\n"


def overview(title, said, folder, pages):
    """The page that lists others.

    :param pages: dict of name to short description.
    """
    rows = ["| [%s](%s/%s.md) | %s |" % (name, folder, name, plain(short).replace("|", "\\|")) for name, short in pages.items()]
    return "\n".join(["# %s" % title, "", said, "", "| name | what it does |", "|---|---|", *rows]) + "\n"

"""./bunker docs: pages from specs, links as the site has them, and a build that a broken link fails."""
import pathlib
import re
import sys

import pytest
import yaml
from support import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import docs  # noqa: E402
import spec_pages  # noqa: E402

SOURCES = ["README.md", "CONTRIBUTING.md", "SECURITY.md"] + sorted("docs/" + path.name for path in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize(("text", "expected"), [
    ("V(auto) of O(kind), C(a_b)", "`auto` of `kind`, `a_b`"),
    ("C(f(x)) and V(a\\)b)", "`f(x)` and `a)b`"),
    ("B(never) I(so)", "**never** *so*"),
    ("M(protocol_omni.bunker.claim), M(ansible.builtin.copy)", "[protocol_omni.bunker.claim](../modules/claim.md), `ansible.builtin.copy`"),
    ("L(NVIDIA, https://nvidia.example/a) U(https://b.example)", "[NVIDIA](https://nvidia.example/a) <https://b.example>"),
    ("NAME is <a> of *b* [c]", "NAME is &lt;a> of \\*b\\* \\[c\\]"),
    ("GPU(s) and DVD(x)", "GPU(s) and DVD(x)"),
    ("RV(verdict.holds), E(HOME)", "`verdict.holds`, `HOME`")])
def test_marks_of_ansible_are_markdown(text, expected):
    assert spec_pages.markdown(text) == expected


def test_a_role_page_has_each_variable_with_type_default_and_choices():
    page = spec_pages.role_page("thing", {"argument_specs": {"main": {"short_description": "Does it", "options": {
        "thing_mode": {"type": "str", "default": "auto", "choices": ["auto", "none"], "description": "How."},
        "thing_list": {"type": "list", "elements": "dict", "required": True, "description": ["What.", "More."], "options": {
            "name": {"type": "str", "required": True, "description": "Its name."}}}}}}})
    lines = page.splitlines()
    assert lines[:3] == ["# Role thing", "", "Does it."]
    assert lines[lines.index("### thing_mode") + 2] == "`str`, default `auto`, one of `auto`, `none`"
    assert lines[lines.index("### thing_list") + 2] == "`list` of `dict`, required"
    assert "- **`name`** (`str`, required). Its name." in lines and "More." in lines


def test_a_module_page_has_options_attributes_examples_and_returns():
    page = spec_pages.module_page('''
DOCUMENTATION = r"""
module: look
short_description: Look
description: [It looks.]
options: {path: {type: path, required: true, description: Where.}}
attributes: {check_mode: {support: full}}
"""
EXAMPLES = """
- look: {path: /a}
"""
RETURN = """
seen: {description: What., type: dict, returned: always, contains: {deep: {description: Inner., type: int}}}
"""
''', {"attributes": {"check_mode": {"description": "shared"}, "diff_mode": {"description": "shared", "support": "none"}}})
    for line in ("# Module look", "`path`, required", "- **`check_mode`**: full. ", "- **`diff_mode`**: none. ", "- look: {path: /a}",
                 "- **`seen`** (`dict`). What.", "    - **`deep`** (`int`). Inner."):
        assert line in page.splitlines()


def test_every_role_and_module_has_a_page_that_says_all_of_its_variables():
    pages = docs.reference()
    for spec in ROOT.glob("roles/*/meta/argument_specs.yml"):
        page = pages["reference/roles/%s.md" % spec.parts[-3]]
        for entry in yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"].values():
            assert set(entry.get("options", {})) <= set(re.findall("(?m)^### (.+)$", page)), spec
    assert {path.stem for path in ROOT.glob("plugins/modules/*.py")} == {pathlib.PurePath(name).stem for name in pages if "/modules/" in name}


@pytest.mark.parametrize(("source", "text", "expected"), [
    ("README.md", "[a](docs/claims.md#x)", "[a](claims.md#x)"),
    ("docs/tests.md", "[a](claims.md), [b](../README.md#use-it)", "[a](claims.md), [b](index.md#use-it)"),
    ("docs/tests.md", "[a](../inventory/demo) [b](../galaxy.yml)",
     "[a](https://r.example/tree/main/inventory/demo) [b](https://r.example/blob/main/galaxy.yml)"),
    ("docs/tests.md", "[a](../roles/gateway/meta/argument_specs.yml)", "[a](reference/roles/gateway.md)"),
    ("docs/tests.md", "![a](report.png) [b](https://x.example/y) [c](#here)", "![a](report.png) [b](https://x.example/y) [c](#here)")])
def test_links_lead_where_the_site_has_it(source, text, expected):
    problems = []
    assert (docs.relinked(text, source, "https://r.example", problems), problems) == (expected, [])


def test_a_link_to_nothing_is_told_with_its_page():
    problems = []
    docs.relinked("[a](gone.md)", "docs/tests.md", "https://r.example", problems)
    assert problems == ["docs/tests.md links gone.md, which does not exist. Mend the link."]


@pytest.mark.parametrize("text", ["Write `[a](gone.md)`, not ``[a](gone too.md) ` ``.", "```\n[a](gone.md)\n```\n", "~~~ text\n[a](claims.md)\n~~~\n"])
def test_what_stands_as_code_is_no_link(text):
    problems = []
    assert (docs.relinked(text, "README.md", "https://r.example", problems), problems) == (text, [])
    mixed = text + "\n[b](docs/claims.md) `c`\n"
    assert docs.relinked(mixed, "README.md", "https://r.example", problems) == text + "\n[b](claims.md) `c`\n"


@pytest.mark.parametrize("target", ["/etc/hostname", "../../outside.md", "../..", "../../../../../../../../etc/hostname"])
def test_a_link_out_of_the_repository_is_told_even_where_something_lies_there(tmp_path, target):
    (tmp_path / "outside.md").write_text("of this machine alone", encoding="utf-8")
    (tmp_path / "root" / "docs").mkdir(parents=True)
    problems = []
    assert docs.relinked("[a](%s)" % target, "docs/tests.md", "https://r.example", problems, tmp_path / "root") == "[a](%s)" % target
    assert problems == ["docs/tests.md links %s, which does not exist. Mend the link." % target]


@pytest.mark.parametrize("source", SOURCES)
def test_every_link_of_a_page_leads_to_a_file_and_to_a_heading(source):
    """Without mkdocs, whose build says the same of the whole."""
    text = (ROOT / source).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^()\s#]*)(?:#([^()\s]+))?\)", re.sub("`[^`]*`", "", text))
    assert [link for link in links if not leads(source, *link)] == []


def leads(source, target, anchor):
    """Whether a link of a page leads to a file, or to one's heading; of other addresses nothing is known."""
    if re.match("[a-z]+:", target):
        return True
    path = (ROOT / source).parent / target if target else ROOT / source
    if not anchor or path.suffix != ".md":
        return path.exists()
    headings = re.findall("(?m)^#+ (.+)$", path.read_text(encoding="utf-8"))
    return anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_link_that_leads_nowhere_is_found_without_mkdocs():
    assert leads("docs/faq.md", "kinds.md", "") and leads("docs/faq.md", "alerts.md", "cardneedsreset") and leads("docs/faq.md", "../galaxy.yml", "")
    assert not leads("docs/faq.md", "gone.md", "") and not leads("docs/faq.md", "alerts.md", "gone") and not leads("docs/faq.md", "", "gone")


def test_every_page_is_in_the_navigation_once():
    nav = yaml.safe_load((ROOT / "docs" / "pages.yml").read_text(encoding="utf-8"))["nav"]
    named = [page for part in nav for entry in (part if isinstance(next(iter(part.values())), str) else {"": 0}).values() for page in [entry] if page]
    named += [page for part in nav for entries in part.values() if isinstance(entries, list) for entry in entries for page in entry.values()]
    assert sorted(named) == sorted([docs.page_of(source) for source in SOURCES] + ["reference/roles.md", "reference/modules.md"])


def test_a_folder_of_somebody_elses_is_not_emptied(tmp_path):
    (tmp_path / "letter").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit, match="holds files that are not of ./bunker docs"):
        docs.build(tmp_path)
    assert (tmp_path / "letter").read_text(encoding="utf-8") == "mine"


def test_the_site_is_built_and_asks_no_network(tmp_path):
    assert docs.build(tmp_path / "site") == 0
    pages = {path: path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")}
    assert len(pages) > 60
    for path, text in pages.items():
        assert "site.css" in text
        assert not re.search(r"""(?:src|@import|url\()\s*=?\s*["']?https?:|<link[^>]*href=["']https?:""", text), path
    assert docs.build(tmp_path / "site") == 0  # over one of its own


@pytest.mark.parametrize(("text", "code", "said"), [
    ("[a](docs/other.md#d)", 0, ""), ("[a](docs/gone.md)", 1, "README.md links docs/gone.md"), ("[a](docs/other.md#gone)", 1, "other.md#gone"),
    ("[a](/absolute.md)", 1, "absolute.md")])
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path, capfd, text, code, said):
    root = tmp_path / "root"
    for name, content in {"README.md": "# a\n\n%s\n" % text, "CONTRIBUTING.md": "# b\n", "SECURITY.md": "# c\n", "docs/other.md": "# d\n",
                          "galaxy.yml": "repository: https://r.example\n",
                          "plugins/doc_fragments/attributes.py": "DOCUMENTATION = 'attributes: {}'\n"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    made = yaml.safe_load((ROOT / "docs" / "pages.yml").read_text(encoding="utf-8"))
    made["nav"] = ["index.md", "contributing.md", "security.md", "other.md", {"Reference": [{"R": "reference/roles.md"}, {"M": "reference/modules.md"}]}]
    made["nav"] = [entry if isinstance(entry, dict) else {entry: entry} for entry in made["nav"]]
    (root / "docs" / "pages.yml").write_text(yaml.safe_dump(made), encoding="utf-8")
    assert docs.build(tmp_path / "site", root) == code
    assert said in capfd.readouterr().err

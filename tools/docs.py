"""Builds the documentation as a site: ``./bunker docs [FOLDER]``, without FOLDER into ``site``.

README, CONTRIBUTING, SECURITY and docs/*.md as they are, and a reference made from the specs of roles and the documentation of modules. Links to files that
are no page lead to the repository that galaxy.yml names. A link that leads nowhere ends it with exit code 1.
"""
import argparse
import ast
import pathlib
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import spec_pages  # noqa: E402

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
# Or code, in a line or fenced, which holds no link whatever it looks like: the same number of marks ends it.
LINK = re.compile(r"(!?\[[^\]]*\]\()([^()\s#]+)(#[^()\s]*)?(\))|"
                  r"(?ms:^(?P<fence>```+|~~~+).*?^(?P=fence)|(?<!`)(?P<marks>`+)(?!`)(?:(?!\n\n).)*?(?<!`)(?P=marks)(?!`))")
SPECS = re.compile(r"roles/([a-z_]+)/meta/argument_specs\.yml$|plugins/modules/([a-z_]+)\.py$")
MARKER = ".made-by-bunker-docs"


def page_of(path):
    """Where a file of the repository (str, relative to its root) is on the site; None where it is no page."""
    if path in PAGES:
        return PAGES[path]
    if re.fullmatch(r"docs/[^/]+\.(md|png|svg)", path):
        return path[len("docs/"):]
    found = SPECS.fullmatch(path)
    if found:
        return "reference/roles/%s.md" % found[1] if found[1] else "reference/modules/%s.md" % found[2]
    return None


def relinked(text, source, repository, problems, root=ROOT):
    """A page's text with its links as the site has them.

    :param source: path of the page in the repository, relative to its root.
    :param repository: address under which files that are no pages are shown.
    :param problems: list to which links that lead nowhere are added, a sentence each.
    """
    here = posixpath.dirname(page_of(source))

    def link(found):
        opening, target, anchor, closing = found.group(1), found.group(2), found.group(3) or "", found.group(4)
        if target is None or re.match(r"[a-z]+:", target):
            return found.group(0)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path.split("/")[0] in ("", "..") or not (root / path).exists():  # what lies outside is there on this machine alone
            problems.append("%s links %s, which does not exist. Mend the link." % (source, target))
            return found.group(0)
        page = page_of(path)
        shown = posixpath.relpath(page, here or ".") if page else "%s/%s/main/%s" % (repository, "tree" if (root / path).is_dir() else "blob", path)
        return opening + shown + ("" if SPECS.fullmatch(path) or not page else anchor) + closing
    return LINK.sub(link, text)


def reference(root=ROOT):
    """{path on the site: text} of the pages made from specs."""
    found, roles, modules = {}, {}, {}
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        name, specs = path.parts[-3], yaml.safe_load(path.read_text(encoding="utf-8"))
        roles[name] = next(iter(specs["argument_specs"].values())).get("short_description", "")
        found["reference/roles/%s.md" % name] = spec_pages.role_page(name, specs)
    fragment = ast.parse((root / "plugins/doc_fragments/attributes.py").read_text(encoding="utf-8"))
    shared = next(yaml.safe_load(node.value.value) for node in ast.walk(fragment)
                  if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION")
    for path in sorted(root.glob("plugins/modules/*.py")):
        text = path.read_text(encoding="utf-8")
        modules[path.stem] = yaml.safe_load(spec_pages.strings(text)["DOCUMENTATION"])["short_description"]
        found["reference/modules/%s.md" % path.stem] = spec_pages.module_page(text, shared)
    found["reference/roles.md"] = spec_pages.overview(
        "Roles", "Every variable of each role, from its `meta/argument_specs.yml`. The `bunker_*` variables stand in preflight.", "roles", roles)
    found["reference/modules.md"] = spec_pages.overview(
        "Modules", "As `ansible-doc protocol_omni.bunker.NAME` shows them.", "modules", modules)
    return found


def stage(folder, root=ROOT):
    """Writes what mkdocs reads into a folder; links that lead nowhere come back, a sentence each."""
    repository = yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["repository"]
    problems, pages = [], folder / "pages"
    texts = {path.relative_to(root).as_posix(): path for path in [root / name for name in PAGES] + sorted(root.glob("docs/*.md"))}
    written = {page_of(name): relinked(path.read_text(encoding="utf-8"), name, repository, problems, root) for name, path in texts.items()}
    written.update(reference(root))
    for name, text in written.items():
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        (pages / name).write_text(text, encoding="utf-8")
    for path in [*root.glob("docs/*.png"), *root.glob("docs/*.css")]:
        shutil.copyfile(path, pages / path.name)
    made = yaml.safe_load((root / "docs" / "pages.yml").read_text(encoding="utf-8"))
    made.update(docs_dir="pages", repo_url=repository, edit_uri="")
    each = {kind: ["reference/%s.md" % kind] + sorted(name for name in written if name.startswith("reference/%s/" % kind)) for kind in ("roles", "modules")}
    for part in made["nav"]:
        for place, entry in enumerate(part.get("Reference", [])):
            kind = next(iter(entry.values())).rpartition("/")[2].removesuffix(".md")
            part["Reference"][place] = {next(iter(entry)): each[kind]}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")
    return problems


def may_be_emptied(folder):
    """Whether a folder (pathlib.Path) may be built into: mkdocs removes what lies there."""
    return not folder.exists() or folder.is_dir() and ((folder / MARKER).exists() or not any(folder.iterdir()))


def build(target, root=ROOT):
    """Builds into a folder (pathlib.Path); returns the exit code: 1 where a link leads nowhere, or mkdocs warns of anything.

    :raises SystemExit: the folder holds something that is not ours; with a sentence.
    """
    if not may_be_emptied(target):
        raise SystemExit("bunker: %s holds files that are not of ./bunker docs, and the build would remove them. Name a folder that is empty or not there."
                         % target)
    with tempfile.TemporaryDirectory(prefix="bunker-docs-") as folder:
        problems = stage(pathlib.Path(folder), root)
        for sentence in problems:
            print("bunker: " + sentence, file=sys.stderr)
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", folder + "/mkdocs.yml", "-d", str(target.resolve())]
        result = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)  # --quiet would let warnings pass
    if result.returncode:
        print(result.stdout + result.stderr, file=sys.stderr)
    if target.is_dir():
        (target / MARKER).touch()
    if problems or result.returncode:
        return 1
    print("%s: open index.html there with a browser" % target)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="./bunker docs", description="Build the documentation as a site.")
    parser.add_argument("folder", nargs="?", default=str(ROOT / "site"), type=str, help="where to; it is emptied, if it is one of ours")
    sys.exit(build(pathlib.Path(parser.parse_args().folder)))

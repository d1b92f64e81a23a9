"""What Galaxy's importer refuses a collection for, as far as ansible-lint and ansible-test do not look: names of content, and a README for each role."""
import re
import subprocess

import pytest
import yaml
from support import ROOT

# galaxy_importer 0.4.44, constants.py (CONTENT_NAME_REGEXP): lower case, and no two underscores in a row. It passes over __init__.
NAME = re.compile(r"^(?!.*__)[a-z_][0-9a-z_]*$")
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def test_each_plugin_and_each_role_has_a_name_that_it_takes():
    names = subprocess.run(["git", "ls-files", "plugins/*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert len(names) > 150
    assert [name for name in names for stem in [name.rpartition("/")[2].removesuffix(".py")] if stem != "__init__" and not NAME.match(stem)] == []
    assert [name for name in ROLES if not NAME.match(name)] == [] and NAME.match("gateway") and not NAME.match("__main__")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_a_readme_that_says_what_it_is(role):
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    assert text.startswith("# %s\n\n%s. " % (role, specs["main"]["short_description"].rstrip(".")))
    assert [target for target in re.findall(r"\]\(([^)#]+)", text) if not (ROOT / "roles" / role / target).resolve().is_file()] == []

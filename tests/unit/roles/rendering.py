"""A role's own expressions, rendered by Ansible's templar with variables that a test gives. Nothing runs, and no host is there."""
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import judges

ROLES = ROOT / "roles"


def read(role, path):
    """A YAML file of a role, its strings templates as in a play.

    :param role: name of a role of this collection.
    :param path: path of the file in the role's folder.
    """
    return DataLoader().load_from_file(str(ROLES / role / path), trusted_as_template=True) or {}


def task(role, path, name, module=None):
    """A task or block of a role, also one in a block.

    :param module: its module, where several tasks have one name.
    """
    def found(entries):
        for entry in entries:
            if entry["name"] == name and (module is None or module in entry):
                yield entry
            for part in ("block", "rescue", "always"):
                yield from found(entry.get(part, []))
    (only,) = found(read(role, path))
    return only


def templar(role, variables, task_variables=None):
    """Ansible's templar with a role's defaults and variables, a task's own, and those that a test gives."""
    folder = ROLES / role
    own = {name: value for part in ("defaults", "vars") if (folder / part / "main.yml").exists() for name, value in read(role, part + "/main.yml").items()}
    return Templar(loader=DataLoader(), variables={**own, "role_path": str(folder), **(task_variables or {}), **variables})


def render(role, value, variables, task_variables=None):
    """What a value of :func:`read` or :func:`task` becomes."""
    return templar(role, variables, task_variables).template(value)


def observed(role, claimed, variables):
    """Observations of a task that looks and claims, of what the variable that it registers holds."""
    given = claimed["protocol_omni.bunker.claim"]
    wanted, besides = (render(role, given.get(name, {}), variables, claimed.get("vars")) for name in ("wanted", "besides"))
    return judges.observations(wanted, given.get("judge", role), dict(variables[claimed["register"]], **besides))


def render_template(role, name, variables):
    """What a file of a role's folder templates becomes."""
    return render(role, trust_as_template((ROLES / role / "templates" / name).read_text(encoding="utf-8")), variables)


def holds(role, given, variables, task_variables=None):
    """Whether a task with these variables runs, by its conditions."""
    conditions = given["when"] if isinstance(given["when"], list) else [given["when"]]
    return all(templar(role, variables, task_variables).evaluate_conditional(condition) for condition in conditions)

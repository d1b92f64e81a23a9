"""Changes of an inventory, from matrix.yml: what each kind of thing may become, the variables of an inventory in which some are there, and random sequences.

A kind has states beside ``absent``; a state is a set of variables. An inventory is the demo's with the variables of each kind's state put in: lists are
appended, mappings combined, anything else set. So an inventory follows from the states alone, whatever way led to them, and a fresh host can be given it.
"""
import copy
import pathlib
import random

import yaml

FOLDER = pathlib.Path(__file__).resolve().parent
ABSENT = "absent"
ROLES = ("disk_layout", "container_engine", "golden_image", "networks", "model_store", "inference_service", "gateway", "vram_watch", "observability")
"""Tags of site.yml, in its order, without the claims."""
MOVES = {"added": (ABSENT, "added"), "changed": ("added", "changed"), "renamed": (None, "renamed"), "removed": (None, ABSENT)}
"""What happens to a thing: from which state (None: any in which it is there) to which."""
REQUESTS = {"kept": "answers that run end well, and no request is refused", "drained": "answers that run end well; the next ones wait or go to the fallback",
            "refused": "answers that run end well; those that wait are refused once the gateway knows another address, and may ask again",
            "cut": "answers that run are cut off; the next ones wait or go to the fallback", "none": "no request can run on it"}


def matrix(path=FOLDER / "matrix.yml"):
    """The matrix: dict with ``base`` (variables) and ``kinds``, list of dicts."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def by_name(items):
    """Whether a list is one of things with names."""
    return bool(items) and all(isinstance(item, dict) and "name" in item for item in items)


def lists_together(first, second):
    """Two lists as one: what has a name that the first has already is put together with it, the rest is appended."""
    if not (by_name(first) and by_name(second)):
        return first + [item for item in second if item not in first]
    wanted = {item["name"]: item for item in second}
    found = [put_together(item, wanted.pop(item["name"], {})) for item in first]
    return found + list(wanted.values())


def put_together(first, second):
    """Two sets of variables as one: lists appended (by name), mappings combined, anything else the second's. Neither is changed."""
    found = copy.deepcopy(first)
    for name, value in second.items():
        if isinstance(value, list) and isinstance(found.get(name), list):
            found[name] = lists_together(found[name], copy.deepcopy(value))
        elif isinstance(value, dict) and isinstance(found.get(name), dict):
            found[name] = put_together(found[name], value)
        else:
            found[name] = copy.deepcopy(value)
    return found


def variables(data, states):
    """The inventory in which each kind is in a state.

    :param data: dict, of :func:`matrix`.
    :param states: dict of the kind's name to its state; kinds that are not named are absent.
    :returns: dict of variables.
    :raises ValueError: for a kind or a state that the matrix does not have.
    """
    unknown = set(states) - {kind["kind"] for kind in data["kinds"]}
    if unknown:
        raise ValueError("no kind of the matrix: %s" % ", ".join(sorted(unknown)))
    found = copy.deepcopy(data["base"])
    for kind in data["kinds"]:
        state = states.get(kind["kind"], ABSENT)
        if state != ABSENT and state not in kind.get("states", {}):
            raise ValueError("%s has no state %s, only %s" % (kind["kind"], state, ", ".join([ABSENT, *kind.get("states", {})])))
        found = put_together(found, kind.get("states", {}).get(state, {}))
    return found


def moves(kind, state):
    """What may happen next to a thing. What is always there (``always``) goes back to what it was by another change of the same kind.

    :param kind: dict of the matrix.
    :param state: str, its present state.
    :returns: list of (move, next state), both str.
    """
    known = kind.get("states", {})
    if kind.get("always"):
        return [(state, ABSENT)] if state != ABSENT else [(name, name) for name in known]
    return [(move, after) for move, (before, after) in MOVES.items()
            if after != state and (after == ABSENT or after in known) and (before == state or before is None and state != ABSENT)]


def sequence(data, seed, length=5, states=None, only=None):
    """A random sequence of changes.

    :param data: dict, of :func:`matrix`.
    :param seed: int; the same seed draws the same sequence.
    :param states: dict of the states from which it starts; default: everything is absent.
    :param only: container of names of kinds to draw from; default: all.
    :returns: list of (kind, move, states afterwards).
    """
    drawn, found, states = random.Random(seed), [], dict(states or {})
    kinds = [kind for kind in data["kinds"] if only is None or kind["kind"] in only]
    for _number in range(length):
        possible = [(kind["kind"], move, after) for kind in kinds for move, after in moves(kind, states.get(kind["kind"], ABSENT))]
        if not possible:
            raise ValueError("none of the kinds has anything that can happen to it: %s" % ", ".join(kind["kind"] for kind in kinds))
        name, move, after = drawn.choice(possible)
        states = {**states, name: after}
        found.append((name, move, dict(states)))
    return found


def roles_of(data, names):
    """The roles of site.yml that changes of some kinds concern, as its tags, in its order.

    :param names: container of names of kinds.
    """
    wanted = {role for kind in data["kinds"] if kind["kind"] in names for role in kind["roles"]}
    return [role for role in ROLES if role in wanted]


def cells(data):
    """Each cell of the matrix.

    :returns: list of (kind, move, cell), dicts but for the move.
    """
    return [(kind, move, kind["cells"][move]) for kind in data["kinds"] for move in MOVES]

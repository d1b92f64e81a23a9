"""Finds tests that cannot fail, by reading them.

A test function is named when it holds no assertion, one that is always true, or only assertions that need not be reached: behind an ``if`` without an
``else`` that asserts too, behind a ``return`` that some condition takes, in a loop over what may be empty, or of the form ``all(… for … in …)`` or
``not any(…)`` over what may be empty. Helpers count by what they hold, by the same rules.
"""
import ast

ASSERTING = {"raises", "fail", "assert_ok", "assert_failed"}


def _name(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def asserts(node, helpers, known=frozenset()):
    """Whether a statement asserts by itself, whatever its conditions.

    :param known: names of variables that are not empty.
    """
    for part in ast.walk(node):
        if isinstance(part, ast.Assert) and not holds_of_nothing(part.test, known):
            return True
        if isinstance(part, ast.Call) and (_name(part) in ASSERTING or _name(part) in helpers):
            return True
    return False


def holds_of_nothing(test, known):
    """Whether an assertion's expression is true where what it goes through is empty, and it may be."""
    if isinstance(test, ast.BoolOp):
        return (all if isinstance(test.op, ast.And) else any)(holds_of_nothing(value, known) for value in test.values)
    negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    call = test.operand if negated else test
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != ("any" if negated else "all") or not call.args:
        return False
    through = call.args[0]
    if isinstance(through, (ast.GeneratorExp, ast.ListComp)):  # nested ones are empty where any of them is
        return not all(never_empty(part.iter, known) and not part.ifs for part in through.generators)
    return not never_empty(through, known)


def may_leave(statements, inner=False):
    """Whether some of these statements may end the function, or the turn of the loop that they stand in.

    :param inner: bool, they stand in a loop of their own: what ends that one ends no more.
    """
    for one in statements:
        if isinstance(one, ast.Return) or not inner and isinstance(one, (ast.Continue, ast.Break)):
            return True
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        parts = [getattr(one, name, []) for name in ("body", "orelse", "finalbody")] + [handler.body for handler in getattr(one, "handlers", [])]
        if any(may_leave(part, inner or isinstance(one, (ast.For, ast.While))) for part in parts):
            return True
    return False


def always_true(test):
    """Whether an assertion's expression cannot be false."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Tuple):
        return bool(test.elts)
    if isinstance(test, ast.JoinedStr):
        return True
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(always_true(value) for value in test.values)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Eq, ast.Is, ast.LtE, ast.GtE)):
        return ast.dump(test.left) == ast.dump(test.comparators[0]) and not any(isinstance(part, ast.Call) for part in ast.walk(test))
    return False


def never_empty(value, known):
    """Whether an expression that is iterated gives at least one element.

    :param known: names of variables that do.
    """
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return bool(value.elts)
    if isinstance(value, ast.Dict):
        return bool(value.keys)
    if isinstance(value, ast.Constant):
        return bool(value.value)
    if isinstance(value, ast.Name):
        return value.id in known or value.id.isupper()
    if isinstance(value, ast.BinOp):
        return never_empty(value.left, known) and (isinstance(value.op, ast.Mult) or never_empty(value.right, known)) or (
            isinstance(value.op, ast.Add) and never_empty(value.right, known))
    if isinstance(value, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return all(never_empty(part.iter, known) and not part.ifs for part in value.generators)
    if isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and _name(value) in {"items", "values", "keys"}:
            return never_empty(value.func.value, known)
        if _name(value) == "range":
            return isinstance(value.args[-1], ast.Constant)
        return _name(value) in {"enumerate", "zip", "product", "sorted", "reversed", "list", "set"} and bool(value.args) and all(
            never_empty(argument, known) for argument in value.args)
    return False


def reached(statements, helpers, known=frozenset()):
    """Whether some assertion is met however the conditions fall and however little loops find.

    :param known: names of variables that are not empty; what is assigned so here, or asserted, joins them.
    """
    known = set(known)
    for one in statements:
        if isinstance(one, ast.Assign) and never_empty(one.value, known):
            known |= {target.id for target in one.targets if isinstance(target, ast.Name)}
        if isinstance(one, ast.If):
            if asserts(one.test, helpers) or reached(one.body, helpers, known) and reached(one.orelse, helpers, known):
                return True
            if any(may_leave(branch) and not reached(branch, helpers, known) for branch in (one.body, one.orelse)):
                return False
        elif isinstance(one, ast.For):
            if asserts(one.iter, helpers) or never_empty(one.iter, known) and reached(one.body, helpers, known):
                return True
            if may_leave([one]):
                return False
        elif isinstance(one, ast.While):
            if isinstance(one.test, ast.Constant) and reached(one.body, helpers, known):
                return True
            if may_leave([one]):
                return False
        elif isinstance(one, ast.With):
            if any(asserts(item.context_expr, helpers) for item in one.items) or reached(one.body, helpers, known):
                return True
            if may_leave(one.body):
                return False
        elif isinstance(one, ast.Try):
            if reached(one.body, helpers, known) or reached(one.finalbody, helpers, known):
                return True
            if one.handlers and all(reached(handler.body, helpers, known) for handler in one.handlers) and reached(one.orelse, helpers, known):
                return True
            if may_leave([one]):
                return False
        elif not isinstance(one, (ast.FunctionDef, ast.ClassDef)) and asserts(one, helpers, known):
            return True
        elif isinstance(one, (ast.Return, ast.Continue, ast.Break)):
            return False
    return False


def helpers_of(tree, direct=False):
    """Names of the functions of a module that are no tests and assert something.

    :param direct: bool, only those that do it themselves, not by another function: for modules whose functions are called from elsewhere.
    """
    functions = [part for part in ast.walk(tree) if isinstance(part, ast.FunctionDef) and not part.name.startswith(("test", "_"))]
    found = set()
    while True:
        more = {one.name for one in functions if reached(one.body, found)} - found
        if not more or direct:
            return found | more
        found |= more


def vacuous(tree, helpers):
    """What is wrong with the tests of a module: list of (function, line, why)."""
    found = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test"):
            continue
        fixtures = {argument.arg for argument in function.args.args}
        found += [(function.name, part.lineno, "this assertion is always true") for part in ast.walk(function)
                  if isinstance(part, ast.Assert) and always_true(part.test)]
        if not any(asserts(one, helpers) for one in function.body) and not fixtures & helpers:
            found.append((function.name, function.lineno, "it asserts nothing"))
        elif not reached(function.body, helpers) and not fixtures & helpers:
            found.append((function.name, function.lineno, "no assertion has to be reached: a condition or an empty loop passes it"))
    return found

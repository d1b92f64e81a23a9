"""Small changes of Python source, each of which a test ought to notice: the operators of mutation testing, by the syntax tree.

Ours, because what is kept did not fit: mutmut 3 knows a module by a name that it makes of its path, and a collection's modules are called
ansible_collections.NAMESPACE.NAME. ...; cosmic-ray has one command of tests for a whole session, does not draw by a seed, and changes the working tree.
Text is left alone (messages would be most of it), and so is what stands in an f-string.
"""
import ast
import typing

_SWAPPED = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
            ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
            ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
            ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift}
# What Ansible calls besides: its own plain results would make each of them a mutant that nobody can see.
_DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN", "ANSIBLE_METADATA"}


class Mutation(typing.NamedTuple):
    """One change of one file.

    line: int, from 1. kind: str. begin, end: int, the bytes of the file that it replaces. replacement: str, or the node that it is the source of.
    """
    line: int
    kind: str
    begin: int
    end: int
    replacement: typing.Union[str, ast.AST]

    def after(self):
        """The source that takes the place: str. Worked out when asked: most mutations of a tree are never drawn."""
        return self.replacement if isinstance(self.replacement, str) else "(%s)" % ast.unparse(self.replacement)

    def before(self, text):
        """The source that is replaced, in one line: str."""
        return " ".join(text.encode()[self.begin:self.end].decode().split())

    def of(self, text):
        """The whole file as it then is: str.

        :param text: str, the file that this is a mutation of.
        :raises SyntaxError: where that is no Python.
        """
        raw = text.encode()
        changed = (raw[:self.begin] + self.after().encode() + raw[self.end:]).decode()
        compile(changed, "mutant", "exec", dont_inherit=True)
        return changed


def _changes(node):
    """(kind, what would stand in the node's place: source or a node) for each change of one node."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            changed = node.ops[:place] + [_SWAPPED[type(operator)]()] + node.ops[place + 1:]
            yield "comparison", ast.Compare(node.left, changed, node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield "and, or", ast.BoolOp(_SWAPPED[type(node.op)](), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _SWAPPED:
        yield "arithmetic", ast.BinOp(node.left, _SWAPPED[type(node.op)](), node.right)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", repr(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield "constant", repr(node.value + 1)
    elif isinstance(node, ast.IfExp):
        yield "condition", ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Return) and node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield "return", "return None"
    elif isinstance(node, (ast.Continue, ast.Break)):
        yield "loop", "break" if isinstance(node, ast.Continue) else "continue"
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "statement", "pass"


def _nodes(tree):
    """Nodes that may be changed, in the order of the source: not documentation, annotations, f-strings and what starts a program."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id in _DOCUMENTATION for one in node.targets):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        yield node
        left += [child for name, value in ast.iter_fields(node) if name not in ("annotation", "returns")
                 for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)][::-1]


def mutations(text):
    """Every change of one file, in the order of its source.

    :param text: str, Python.
    :returns: list of Mutation.
    :raises SyntaxError: where the text itself does not compile.
    """
    starts, found = [0], []
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in _nodes(ast.parse(text)):
        for kind, replacement in _changes(node):
            found.append(Mutation(node.lineno, kind, starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset, replacement))
    return found

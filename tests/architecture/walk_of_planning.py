"""The functions of cdsed that a reader passes to follow the planning of a product: ``python -m`` prints them.

It counts each function that `plan_product` reaches once. It follows functions of `cdsed.work` further. For functions of
other packages, you read the docstring. It leaves out queries of `cdsed.store`, errors, and constructors.
"""

import ast
from collections.abc import Iterator

from tests.architecture.sources import sources

START = "cdsed.work.plan.plan_product"
_FOLLOWED, _LEFT_OUT = "cdsed.work.", ("cdsed.store.", "cdsed.errors.", "cdsed.clock.")


class _Code:
    """All that cdsed defines, by dotted name, and what names and annotated fields stand for."""

    def __init__(self) -> None:
        self.defined: dict[str, tuple[str, ast.AST]] = {}
        self.names: dict[str, dict[str, str]] = {}
        self.fields: dict[str, str | None] = {}
        for source in sources():
            names = self.names[source.name] = {}
            for node in ast.walk(source.tree):
                if isinstance(node, ast.ImportFrom):
                    names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
            for node in source.tree.body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    names[node.name] = f"{source.name}.{node.name}"
                    self.defined[names[node.name]] = source.name, node
        for name, (module, node) in list(self.defined.items()):
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                match inner:
                    case ast.FunctionDef():
                        self.defined[f"{name}.{inner.name}"] = module, inner
                    case ast.AnnAssign(target=ast.Name(id=field), annotation=kind):
                        self.fields[f"{name}.{field}"] = self.stands_for(kind, module, {})

    def stands_for(self, node: ast.AST | None, module: str, local: dict[str, str | None]) -> str | None:
        """Return the dotted name of what an expression is, or is an instance of."""
        match node:
            case ast.Name(id=name):
                return local.get(name) or self.names[module].get(name)
            case ast.Call(func=func):
                return self.stands_for(func, module, local)
            case ast.Attribute(value=value, attr=attr):
                found = f"{self.stands_for(value, module, local)}.{attr}"
                return self.fields.get(found, found)
        return None

    def reached(self, function: str) -> Iterator[str]:
        """Yield the functions that one function names."""
        module, node = self.defined[function]
        assert isinstance(node, ast.FunctionDef)
        local = {each.arg: self.stands_for(each.annotation, module, {}) for each in node.args.args}
        local["self"] = function.rpartition(".")[0]
        for inner in ast.walk(node):
            match inner:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    local[name] = self.stands_for(value, module, local)
        for inner in ast.walk(node):
            found = self.stands_for(inner, module, local)
            if found in self.defined and isinstance(self.defined[found][1], ast.FunctionDef):
                yield found


def walk(start: str = START) -> set[str]:
    """Return the functions of the walk, its start among them."""
    code, seen, following = _Code(), {start}, [start]
    while following:
        found = set(code.reached(following.pop())) - seen
        seen |= {name for name in found if not name.startswith(_LEFT_OUT)}
        following += [name for name in found if name.startswith(_FOLLOWED)]
    return seen


if __name__ == "__main__":
    print(*sorted(walk()), f"{len(walk())} functions", sep="\n")

"""What the types of public names may say."""

from __future__ import annotations

import ast
import unittest
from collections.abc import Iterator
from pathlib import Path

import alphaction

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "alphaction").rglob("*.py"))


def is_public(name: str) -> bool:
    """Whether a name is for users; ``__init__`` and the like are."""
    return not name.startswith("_") or name.endswith("__")


def mentions_any(node: ast.AST | None) -> bool:
    """Whether a type, written out or in quotes, holds ``Any``."""
    for part in ast.walk(node) if node is not None else ():
        quoted = isinstance(part, ast.Constant) and isinstance(part.value, str) and "Any" in part.value.split()
        if quoted or "Any" in (getattr(part, "id", None), getattr(part, "attr", None)):
            return True
    return False


def typed_names(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, list[ast.expr | None]]]:
    """(name, its types) of the public functions, classes' members, variables and aliases."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):  # such as `if TYPE_CHECKING`
            yield from typed_names([*node.body, *node.orelse], prefix)
        elif isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target).removeprefix("self.")
            if is_public(name):
                yield prefix + name, [node.annotation]
        elif isinstance(node, ast.Assign) and not prefix:
            if any(is_public(ast.unparse(target)) for target in node.targets):
                yield ast.unparse(node.targets[0]), [node.value]
        elif isinstance(node, ast.ClassDef) and is_public(node.name):
            yield prefix + node.name, list(node.bases)
            yield from typed_names(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if is_public(node.name):
                every = [part for part in ast.walk(node.args) if isinstance(part, ast.arg)]
                yield prefix + node.name, [node.returns, *(part.annotation for part in every)]
            if prefix:
                attributes = [part for part in ast.walk(node) if isinstance(part, ast.AnnAssign)]
                own = [part for part in attributes if ast.unparse(part.target).startswith("self.")]
                yield from typed_names(list(own), prefix)


def names_with_any(source: str) -> list[str]:
    """Public names of a module whose types hold ``Any``."""
    return [name for name, types in typed_names(ast.parse(source).body) if any(map(mentions_any, types))]


class PublicTypes(unittest.TestCase):
    def test_no_public_name_has_the_type_any(self):
        found = {str(path.relative_to(ROOT)): names_with_any(path.read_text(encoding="utf-8")) for path in MODULES}
        self.assertEqual({path: names for path, names in found.items() if names}, {})

    def test_the_stub_has_the_names_that_are_imported_when_used(self):
        stub = ast.parse((ROOT / "alphaction" / "__init__.pyi").read_text(encoding="utf-8"))
        origin = {
            alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        self.assertEqual({name: f"alphaction.{module}" for name, module in origin.items()}, alphaction._MODULES)

    def test_every_kind_of_public_name_is_found(self):
        source = """
Alias = dict[str, Any]
VALUE: typing.Any = 1
if TYPE_CHECKING:
    Other = list["Any"]
def function(a: int, *rest: Any): ...
def result() -> list[Any]: ...
def __getattr__(name: str) -> Any: ...
class Public(Base[Any]):
    field: Any
    def method(self, *, key: Any): ...
    def _method(self) -> Any:
        self.attribute: Any = 1
"""
        expected = ["Alias", "VALUE", "Other", "function", "result", "__getattr__"]
        expected += ["Public", "Public.field", "Public.method", "Public.attribute"]
        self.assertEqual(names_with_any(source), expected)

    def test_private_names_and_local_variables_may_have_it(self):
        source = """
from typing import Any
_Alias = dict[str, Any]
Company = dict[str, object]
def function() -> object:
    value: Any = 1
    def inner(a: Any): ...
class _Private:
    field: Any
    def __init__(self, a: Any): ...
class Public:
    _field: Any
    def method(self) -> object:
        self._attribute: Any = 1
"""
        self.assertEqual(names_with_any(source), [])


if __name__ == "__main__":
    unittest.main()

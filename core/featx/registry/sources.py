"""The source text of a class together with what it uses of its module or session.

A class of a script or notebook may use imports, functions, classes and constants that are defined
beside it. `source_of` collects them as one text: its hash says whether the class has changed, and
where no file holds the class (a cell of a notebook) the text is what another process runs.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import inspect
import linecache
import symtable
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from featx.errors import PluginError


def namespace_of(cls: type) -> dict[str, Any]:
    """Return the global names that the methods of ``cls`` see."""
    for value in vars(cls).values():
        function = inspect.unwrap(getattr(value, "__func__", value))
        if inspect.isfunction(function) and function.__module__ == cls.__module__:
            return function.__globals__
    return vars(sys.modules[cls.__module__])


def script_of(cls: type) -> Path | None:
    """Return the file that defines ``cls``; None for a class that was typed into a session."""
    names = namespace_of(cls)
    file = names.get("__file__")
    if not file or not Path(file).is_file():
        return None
    files = {
        function.__code__.co_filename
        for value in vars(cls).values()
        if inspect.isfunction(function := inspect.unwrap(getattr(value, "__func__", value)))
        and function.__globals__ is names
    }
    if files and not any(Path(name).is_file() and Path(name).samefile(file) for name in files):
        return None
    return Path(file).absolute()


def source_of(cls: type) -> str:
    """Return statements that define ``cls`` and all that it uses, in an order that runs.

    Raises `PluginError` if the source is not available, or if ``cls`` was typed into a session and
    uses a value of it that cannot be written down.
    """
    script = script_of(cls)
    if script is not None:
        linecache.checkcache(str(script))
    texts = _session_texts() if script is None else ["".join(linecache.getlines(str(script)))]
    collector = _Collector(cls, namespace_of(cls), texts, in_file=script is not None)
    collector.add(cls.__qualname__.partition(".")[0])
    head = ["from __future__ import annotations"] if _has_lazy_annotations(cls) else []
    return "\n".join([*head, *collector.statements.values(), ""])


class _Collector:
    """Follows names from a class to the statements that define them."""

    def __init__(
        self, cls: type, namespace: Mapping[str, Any], texts: Sequence[str], *, in_file: bool
    ) -> None:
        self.cls = cls
        self.namespace = namespace
        self.in_file = in_file
        #: name -> the statements that bind it, those it needs first
        self.statements: dict[str, str] = {}
        self._pending: set[str] = set()
        self._bindings: dict[str, str] = {}
        for text in texts:
            self._bindings |= _bindings(text)

    def add(self, name: str) -> None:
        """Collect the statement for ``name``, after those for the names that it uses."""
        if name in self.statements or name in self._pending:
            return
        self._pending.add(name)
        statement = self._statement(name)
        for used in _free_names(statement):
            if used in self.namespace and not hasattr(builtins, used):
                self.add(used)
        self.statements[name] = statement

    def _statement(self, name: str) -> str:
        value = self.namespace[name]
        if isinstance(value, ModuleType):
            return self._import(name, value)
        if isinstance(value, type) or inspect.isfunction(value):
            if value.__module__ == self.cls.__module__:
                return self._definition(name)
            if _is_importable(value):
                root = value.__qualname__.partition(".")[0]
                return f"from {value.__module__} import {root} as {name}"
        if self.in_file:
            return self._definition(name)
        if _is_literal(value):
            return f"{name} = {value!r}"
        raise PluginError(
            f"extractor {self.cls.__name__} must be usable in another process, but it uses "
            f"{name!r}, a {type(value).__name__} that exists in this session only. Create it in "
            f"the method open, or move the class to a file."
        )

    def _definition(self, name: str) -> str:
        if name not in self._bindings:
            raise PluginError(
                f"extractor {self.cls.__name__} must have a source, but that of {name!r} is not "
                "available. Move the class to a file."
            )
        return self._bindings[name]

    def _import(self, name: str, module: ModuleType) -> str:
        lines = [f"import {module.__name__} as {name}"]
        prefix = f"{module.__name__}."
        lines += [f"import {loaded}" for loaded in self._submodules(name, prefix)]
        return "\n".join(lines)

    def _submodules(self, name: str, prefix: str) -> list[str]:
        """Return submodules that the file or session imports: ``import scipy.signal``."""
        imported = self._bindings.get(name, "")
        return [
            alias.name
            for node in ast.walk(ast.parse(imported))
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name.startswith(prefix)
        ]


def _bindings(text: str) -> dict[str, str]:
    """Return the statements of a module that bind each of its names; the last definition wins."""
    try:
        body = ast.parse(text).body
    except SyntaxError:  # a cell with magic commands; what it defines is reported as missing
        return {}
    lines = text.splitlines()
    bound: dict[str, str] = {}
    for node in body:
        first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", []))])
        statement = textwrap.dedent("\n".join(lines[first - 1 : node.end_lineno]))
        for name in _bound_names(node):
            several = isinstance(node, (ast.Import, ast.AugAssign)) and name in bound
            bound[name] = f"{bound[name]}\n{statement}" if several else statement
    return bound


def _bound_names(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return {
        item.id
        for item in ast.walk(node)
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)
    }


def _free_names(statement: str) -> list[str]:
    """Return the global names that ``statement`` reads, also inside functions, sorted."""
    return sorted(set(_global_names(symtable.symtable(statement, "<source>", "exec"))))


def _global_names(table: symtable.SymbolTable) -> Iterator[str]:
    at_top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (at_top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _global_names(child)


def _has_lazy_annotations(cls: type) -> bool:
    return namespace_of(cls).get("annotations") is __future__.annotations


def _is_importable(value: Any) -> bool:
    current: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        current = getattr(current, part, None)
    return current is value and value.__module__ != "__main__"


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def _session_texts() -> list[str]:
    """Return what was typed into this session, in order; notebooks and shells keep it there."""
    return [
        "".join(linecache.getlines(name))
        for name in list(linecache.cache)
        if name.startswith("<") or not Path(name).exists()
    ]

"""What imports what: read from the source, also the imports inside functions and the modules that are run by name."""

import ast
from functools import lru_cache
from pathlib import Path
from typing import Container, Dict, Iterator, Set

from .helpers import ROOT


def list_modules() -> Dict[str, Path]:
    """RETURNS (Dict[str, Path]): The project's modules by name, as paths relative to its root."""
    paths = [path.relative_to(ROOT) for path in sorted((ROOT / "scripts").rglob("*.py"))]
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


@lru_cache(maxsize=None)
def find_imports(name: str, runs: bool = False) -> Set[str]:
    """Find what a module imports itself.

    runs (bool): Add what it runs in another process, by name.
    RETURNS (Set[str]): The project's modules.
    """
    modules = list_modules()
    path = modules[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: Set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf8"))):
        found.update(target for target in list_targets(node, package, modules) if target in modules)
        if runs and isinstance(node, ast.Constant) and node.value in modules:
            found.add(node.value)
    return found - {name}


def list_targets(node: ast.AST, package: str, modules: Container[str]) -> Iterator[str]:
    """YIELDS (str): Names that may be those of modules which a node imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parts, *([node.module] if node.module else [])])
        names = [f"{base}.{alias.name}" for alias in node.names]
        yield from names
        if not all(name in modules for name in names):
            yield base


def find_closure(name: str) -> Set[str]:
    """RETURNS (Set[str]): A module, all that it imports, what these import, and the packages that they are in."""
    modules = list_modules()
    closure: Set[str] = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        if module not in closure:
            closure.add(module)
            waiting.extend(find_imports(module, runs=True))
            parent = module.rpartition(".")[0]
            waiting.extend([parent] if parent in modules else [])
    return closure

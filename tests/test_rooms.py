"""The order of the rooms, as pyproject.toml declares it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from importlinter import cli

ROOT = Path(__file__).parents[1]


def test_each_room_knows_of_those_below_it_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("path", sorted((ROOT / "brian2eprop").rglob("*.py")), ids=lambda p: p.name)
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", sorted((ROOT / "brian2eprop").rglob("*.py")), ids=lambda p: p.name)
def test_no_function_is_too_long_to_read(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            statements = node.body[ast.get_docstring(node) is not None :]
            lines = {line for s in statements for line in range(s.lineno, (s.end_lineno or 0) + 1)}
            assert len(lines) <= 60, node.name

"""The order of the rooms, as pyproject.toml declares it."""

from __future__ import annotations

import ast
import re
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


def test_no_template_is_too_long_to_read() -> None:
    for path in (ROOT / "brian2eprop/device/codegen/templates").rglob("*.*"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 150, path.name


@pytest.mark.parametrize("path", sorted((ROOT / "brian2eprop").rglob("*.py")), ids=lambda p: p.name)
def test_no_function_is_too_long_to_read(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            statements = node.body[ast.get_docstring(node) is not None :]
            lines = {line for s in statements for line in range(s.lineno, (s.end_lineno or 0) + 1)}
            assert len(lines) <= 60, node.name


DEVICE = ROOT / "brian2eprop" / "device"
PACKAGE = DEVICE.parent


@pytest.mark.parametrize(
    ("word", "files"),
    [
        ("as_sparse", {"program/connectivity/sparse.py", "program/connectivity/__init__.py"}),
        (
            "TreeSolve",
            {
                "program/tree.py",
                "program/__init__.py",
                "codegen/templates/elements.cpp",
                "backends/reference.py",
                "capture/objects/cables.py",
            },
        ),
        ("Layout.BLOCK", {"codegen/parts.py", "codegen/dialect.py"}),
    ],
)
def test_a_new_word_costs_what_the_architecture_says(word: str, files: set[str]) -> None:
    """Where a kind of connectivity, a kind of phase and a layout are known in the device."""
    named = {
        path.relative_to(DEVICE).as_posix()
        for path in DEVICE.rglob("*")
        if path.suffix in (".py", ".cpp", ".h", ".cuh")
        and re.search(rf"\b{re.escape(word)}\b", path.read_text(encoding="utf-8"))
    }
    assert named == files


@pytest.mark.parametrize(
    ("word", "files"),
    [
        (
            "TrialCrossEntropy",
            {"__init__.py", "learning/public.py", "learning/objective/whole_trial.py"},
        ),
        ("rules.bptt", {"learning/public.py"}),
    ],
)
def test_a_new_loss_or_rule_costs_what_the_architecture_says(word: str, files: set[str]) -> None:
    """Where a loss is known, and whence a rule is imported."""
    named = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(rf"\b{re.escape(word)}\b", path.read_text(encoding="utf-8"))
    }
    assert named == files

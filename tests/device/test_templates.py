"""What Jinja makes of the templates is kept from one start to the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest

from brian2eprop.device.codegen.environment import environment

NAME = "frame.cpp"


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    environment.cache_clear()
    yield
    environment.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the templates that Jinja compiles."""
    names: list[str] = []
    compile_one = jinja2.Environment.compile

    def noting(self: Any, source: Any, name: Any = None, *others: Any) -> Any:
        names.append(name)
        return compile_one(self, source, name, *others)

    monkeypatch.setattr(jinja2.Environment, "compile", noting)
    return names


def start() -> jinja2.Template:
    environment.cache_clear()
    return environment().get_template(NAME)


def test_a_second_start_compiles_no_template(folder: Path, compiled: list[str]) -> None:
    start()
    start()
    assert compiled == [NAME]
    assert len(list(folder.glob("*.template"))) == 1


def test_a_damaged_template_is_compiled_again(folder: Path, compiled: list[str]) -> None:
    start()
    (path,) = folder.glob("*.template")
    path.write_bytes(path.read_bytes()[:-1])
    assert start().name == NAME
    assert compiled == [NAME, NAME]


def test_a_comment_is_part_of_a_template(
    folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("1;  // one", "1;  // two"):
        environment.cache_clear()
        monkeypatch.setattr(environment(), "loader", jinja2.DictLoader({NAME: text}))
        assert environment().get_template(NAME).render() == text
    assert compiled == [NAME, NAME]


def test_a_folder_that_cannot_be_used_is_no_matter(
    folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("BRIAN2EPROP_CACHE", str(folder / "file"))
    for _ in range(2):
        assert start().name == NAME
    assert compiled == [NAME, NAME]

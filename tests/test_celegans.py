"""The connectome's example equals Brian2's runtime, on small tables and on the real ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms, prefs, set_device

from tests.example_scripts import example

DATA = Path(os.environ.get("BRIAN2EPROP_TEST_DATA", "")) / "celegans-connectome"


@pytest.fixture(name="celegans")
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    return example("celegans", monkeypatch)


def write(folder: Path, name: str, header: str, rows: list[tuple[Any, ...]]) -> None:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    (folder / f"herm_{name}.csv").write_text("\n".join(lines))


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Thirty neurons and a muscle; gap junctions listed in one direction or in both."""
    rng = np.random.default_rng(0)
    names = ["PLML", "PLMR", "AVL", "DD01", *(f"N{n}" for n in range(26))]
    pairs = rng.choice(30 * 30, 200, replace=False)
    edges = [(names[p // 30], names[p % 30], int(rng.integers(1, 9))) for p in pairs]
    write(tmp_path, "chem_nodes", "node_id,pair,hemisphere", [(n, n, "") for n in names])
    write(tmp_path, "chem_edges", "pre,post,weight", [*edges[:150], ("N1", "muscle", 3)])
    gaps = edges[150:]
    write(tmp_path, "elec_edges", "pre,post,weight", [*gaps, (gaps[0][1], gaps[0][0], gaps[0][2])])
    return tmp_path


def potentials(celegans: Any, folder: Path, device: str, duration: Any, **options: Any) -> Any:
    prefs.codegen.target = "numpy"
    set_device(device, **options)
    worm = celegans.Connectome.read(folder)
    return np.asarray(celegans.simulate(worm, ("PLML", "PLMR"), 2 * ms, duration).v)


def test_a_small_worm_is_brians(celegans: Any, tables: Path, backend: str) -> None:
    ours = potentials(celegans, tables, "eprop_cuda", 3 * ms, backend=backend, precision="float64")
    theirs = potentials(celegans, tables, "runtime", 3 * ms)
    assert ours.shape == (30, 5)
    assert np.ptp(theirs) > 1e-4
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_gap_junctions_lead_both_ways_and_muscles_are_left_out(celegans: Any, tables: Path) -> None:
    worm = celegans.Connectome.read(tables)
    pre, post, weight = worm.electrical
    matrix = np.zeros((30, 30))
    matrix[pre, post] = weight
    np.testing.assert_array_equal(matrix > 0, matrix.T > 0)
    assert "muscle" not in worm.names


@pytest.mark.skipif(not DATA.is_dir(), reason="BRIAN2EPROP_TEST_DATA has no connectome")
def test_the_worm_is_brians(celegans: Any) -> None:
    ours = potentials(celegans, DATA, "eprop_cuda", 5 * ms, backend="cpu", precision="float64")
    theirs = potentials(celegans, DATA, "runtime", 5 * ms)
    assert len(ours) > 280
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)

"""These tests run where there is a GPU, and are skipped elsewhere."""

import pytest

from brian2eprop.device.backends.gpu import GpuUnavailable, find
from brian2eprop.errors import CompileError


@pytest.fixture(scope="session")
def gpu():
    """The GPU of this machine."""
    try:
        return find()
    except (GpuUnavailable, CompileError) as reason:
        pytest.skip(str(reason))

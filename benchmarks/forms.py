"""E-prop's three forms on the same network and long trials: adjoint, chunked, forward traces."""

from __future__ import annotations

import argparse
import os
from typing import Literal

os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))

import numpy as np
from network import Step, make_trainer, milliseconds
from workload import Workload

import brian2eprop as b2e

Form = Literal["adjoint", "chunked", "forward"]

FORMS: dict[Form, int] = {"adjoint": 20, "chunked": 10, "forward": 3}  # steps that are timed


def measure(work: Workload, form: Form) -> tuple[float, dict[str, np.ndarray]]:
    """Time of forward and gradient in ms, and the gradients themselves."""
    step = Step.of(work, make_trainer(work, b2e.EProp(form=form)))
    time = milliseconds(step.parts()["gradient"], FORMS[form])
    engine = step.engine
    return time, {name: engine.store.read(array) for name, array in engine.gradients.items()}


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Largest difference, relative to the largest element of the gradient it occurs in."""
    return max(float(np.abs(one[k] - other[k]).max() / np.abs(one[k]).max()) for k in one)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    work = Workload(steps=options.steps, batch=options.batch)
    found = {form: measure(work, form) for form in FORMS}
    for form, (time, _) in found.items():
        print(f"{form + ' form':34s}{time:12.2f} ms")
    adjoint, one = found.pop("adjoint")
    for form, (time, other) in found.items():
        print(f"{form + ' / adjoint':34s}{time / adjoint:12.1f}")
        print(f"{'difference of the gradients':34s}{difference(one, other):12.1e} (float32)")


if __name__ == "__main__":
    main()

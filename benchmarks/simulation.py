"""One simulation, as a script of a user's would run it; ``contestants.py`` starts it.

It prints a line of JSON after the first run: the clock's time at certain points. For each line
that it is sent it runs once more, and prints how long that took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import brian2 as b
from contestants import Setup
from models import make

CLOCKS = {"wall": time.monotonic, "processor": time.process_time}


class Runtime:
    """Brian2's runtime with Cython."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup = setup
        self.clock = CLOCKS[setup.clock]
        self.stamps: dict[str, float] = {}
        self.set_device(folder)
        self.stamps["imported"] = time.monotonic()
        self.network, self.monitor = make(setup.network, setup.n, setup.instances)
        self.stamps["built"] = time.monotonic()

    def set_device(self, folder: Path) -> None:
        """Choose who runs the network."""
        b.prefs.codegen.target = "cython"
        b.prefs.codegen.runtime.cython.cache_dir = str(folder / "cython")

    def first(self) -> None:
        """The first run."""
        self.network.run(self.setup.first * b.second)

    def again(self) -> dict[str, float]:
        """Seconds of a later run."""
        began = self.clock()
        self.network.run(self.setup.again * b.second)
        return {"run": self.clock() - began}


class EpropCuda(Runtime):
    """This package, on the CPU."""

    def set_device(self, folder: Path) -> None:
        """Choose the device, and take the time that is spent in its kernels."""
        import brian2eprop  # noqa: F401 (registers the device)
        from brian2eprop.device.backends.cpu import CpuKernel

        setup, run = self.setup, CpuKernel.run
        batch_size = setup.instances if setup.instances > 1 else None
        b.set_device(
            "eprop_cuda", backend="cpu", precision=setup.precision, layout=setup.layout,
            batch_size=batch_size,
        )  # fmt: skip
        self.kernel = 0.0

        def timed(*given: object) -> None:
            self.stamps.setdefault("stepping", time.monotonic())
            began = self.clock()
            run(*given)
            self.kernel += self.clock() - began

        CpuKernel.run = timed  # type: ignore[method-assign]

    def again(self) -> dict[str, float]:
        """Seconds of a later run, and of its kernels."""
        self.kernel = 0.0
        return {**super().again(), "kernel": self.kernel}


class Standalone(Runtime):
    """Brian2's C++ standalone: all runs are compiled before the first one."""

    moments = ("before_network_run", "after_network_run")

    def set_device(self, folder: Path) -> None:
        """Choose the device, with Brian2's own settings for the compiler."""
        b.prefs.devices.cpp_standalone.openmp_threads = self.setup.threads
        self.project = str(folder / "standalone")
        b.set_device("cpp_standalone", build_on_run=False)

    def first(self) -> None:
        """Compile, and run the program."""
        for moment in self.moments if self.setup.clock == "processor" else ():
            b.device.insert_code(moment, f'std::ofstream("{moment}") << std::clock();')
        super().first()
        if self.setup.again:
            self.network.run(self.setup.again * b.second)
        b.device.build(directory=self.project, with_output=False)

    def again(self) -> dict[str, float]:
        """Run the program anew; seconds of its last run, that it or the processor measures."""
        b.device.run(self.project, with_output=False)
        if self.setup.clock == "wall":
            return {"run": b.device._last_run_time}
        began, ended = (int((Path(self.project) / name).read_text()) for name in self.moments)
        return {"run": (ended - began) / 1e6}


DEVICES = {"cython": Runtime, "eprop_cuda": EpropCuda, "cpp_standalone": Standalone}


def main() -> None:
    """Run once, then as often as asked to."""
    setup = Setup(**json.loads(sys.argv[1]))
    simulation = DEVICES[setup.device](setup, Path(sys.argv[2]))
    simulation.first()
    simulation.monitor.t[:]
    print(json.dumps(simulation.stamps | {"result": time.monotonic()}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(simulation.again()), flush=True)


if __name__ == "__main__":
    main()

"""python -m tests.conformance.brian2_suite: Brian2's own tests, on eprop_cuda.

Those of devices or, with ``--runtime``, those of its own runtime device, of which a part is about
its code generation. What the device refuses (by a sentence, an ``Unsupported``) is counted as
refused, what a test itself leaves out elsewhere as skipped. It takes some minutes, with
``--runtime`` more, so it is no part of ``make test``.
"""

from __future__ import annotations

import argparse
import os
import sys

import brian2
import pytest
from brian2.tests import PreferencePlugin, make_argv

import brian2eprop  # noqa: F401 (registers the device)
from tests.conformance.counted import COUNTED

OPTIONS = {"backend": "cpu", "precision": "float64"}
PYTEST = ["-rfEs", "-p", "no:cacheprovider", "-p", "tests.conformance.counted", "--tb=short"]
OF_THE_RUNTIME = "not standalone_only and not codegen_independent and not long"


class WithoutNumpyMessages:
    """Leaves out of ``test_ufunc_at_vectorisation`` the code of which it asks for no value.

    For code that is marked so it waits for Brian2's NumPy generator to say that it cannot vectorise
    it; that generator does not make the device's code.
    """

    examples, marked = "permutation_analysis_good_examples", "NOT_UFUNC_AT_VECTORISABLE"

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        """Take the marked code out of the examples that the test goes through."""
        for module in {item.module for item in items if hasattr(item.module, self.examples)}:
            examples = getattr(module, self.examples)
            setattr(module, self.examples, [code for code in examples if self.marked not in code])


def devices(also: list[str]) -> None:
    """Run the tests that Brian2 has for devices."""
    brian2.test(
        [],
        test_codegen_independent=False,
        test_standalone="eprop_cuda",
        fail_for_not_implemented=False,
        test_in_parallel=[],
        build_options=OPTIONS,
        additional_args=[*PYTEST, *also],
    )


def runtime(also: list[str]) -> None:
    """Run the tests that Brian2 has for its runtime device, with this one in its place."""
    brian2.prefs.reset_to_defaults()
    brian2.prefs.codegen.target = "numpy"
    brian2.prefs["logging.warn_for_unused_objects"] = False
    plugin = PreferencePlugin(brian2.prefs, fail_for_not_implemented=False)
    plugin.device, plugin.device_options = "eprop_cuda", OPTIONS
    arguments = make_argv([os.path.dirname(brian2.__file__)], OF_THE_RUNTIME)
    pytest.main([*arguments, *PYTEST, *also], plugins=[plugin, WithoutNumpyMessages()])


def main() -> int:
    """Run a suite; the exit status says whether nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", action="store_true", help="the tests of Brian2's runtime")
    given, also = parser.parse_known_args()
    (runtime if given.runtime else devices)(also)
    print(f"{COUNTED['skipped']} skipped by the tests themselves")
    print(", ".join(f"{COUNTED[kind]} {kind}" for kind in ("passed", "refused", "failed")))
    return int(COUNTED["failed"] > 0 or not COUNTED["passed"])


if __name__ == "__main__":
    sys.exit(main())

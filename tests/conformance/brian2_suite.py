"""python -m tests.conformance.brian2_suite: Brian2's own tests of devices, on eprop_cuda.

What the device refuses (by a sentence, an ``Unsupported``) counts as skipped there. It takes some
minutes, so it is no part of ``make test``.
"""

from __future__ import annotations

import sys

import brian2

import brian2eprop  # noqa: F401 (registers the device)


def main() -> int:
    """Run the suite; the exit status says whether nothing failed."""
    passed = brian2.test(
        [],
        test_codegen_independent=False,
        test_standalone="eprop_cuda",
        fail_for_not_implemented=False,
        test_in_parallel=[],
        build_options={"backend": "cpu", "precision": "float64"},
        additional_args=["-rfEs", "-p", "no:cacheprovider", "--tb=short"],
    )
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())

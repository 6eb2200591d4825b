"""``layout='team'`` beside ``'per_instance'``: one instance of CUBA, one thread and two, in turns.

    python benchmarks/teams.py [--sizes 4000 40000] [--seconds 2] [--rounds 5]

Prints medians of the kernel's seconds; the ratio says how much faster a team is than one thread
alone in the layout of before.
"""

from __future__ import annotations

import argparse

from brian2_examples import OURS, Size, turns
from machine import heading


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="*", type=int, default=[4000, 40000])
    parser.add_argument("--seconds", type=float, default=2.0, help="simulated seconds of a run")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(heading(), end="\n\n")
    print("neurons | precision | per_instance (s) | team of 1 (s) | team of 2 (s) | ratio")
    print("---|---|---|---|---|---")
    for n in options.sizes:
        for precision in ("float64", "float32"):
            size = Size("cuba", n, options.seconds)
            setups = {
                f"{layout} {threads}": size.setup(OURS, threads, precision=precision, layout=layout)
                for layout, threads in (("per_instance", 1), ("team", 1), ("team", 2))
            }
            alone, *teams = (each["kernel"] for each in turns(setups, options.rounds).values())
            cells = [f"{seconds:.3g}" for seconds in (alone, *teams)]
            print(" | ".join([str(n), precision, *cells, f"{alone / teams[-1]:.2f}"]), flush=True)
    print(f"\n{heading()}")


if __name__ == "__main__":
    main()

"""What the benchmarks run on, for those who read their tables."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def devices() -> str:
    """The GPU, if NVIDIA's tool names one, and the processor."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        gpu = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        gpu = "no GPU"
    return f"{gpu.strip()}, {processor()}"


def processor() -> str:
    """Name of the processor, where Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()


def commit() -> str:
    """The commit that is checked out, shortened; with a plus if files differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


def heading() -> str:
    """Day, processor, commit, and how busy the machine was in the last minute."""
    cores = len(os.sched_getaffinity(0))
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"{day}, {cores} cores of {processor()}, {commit()}, load {os.getloadavg()[0]:.1f}"

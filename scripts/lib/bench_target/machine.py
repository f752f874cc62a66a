"""Where this is measured: CPUs, kernel, and the disk that commits go to."""

import os
import pathlib
import platform
import re
import statistics
import time

# Commits into these cost nothing, and say nothing.
IN_MEMORY = ("tmpfs", "ramfs")
# How often a page is written and synced to know what that takes.
SYNCS = 100
PAGE = 4096


def description():
    """CPUs and kernel, in words."""
    found = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    model = found[1] if found else platform.machine()
    return f"{len(os.sched_getaffinity(0))} CPUs, {model}, Linux {platform.release().split('-')[0]}"


def file_system(folder):
    """The type of the file system that a folder lies on, such as ext4."""
    best, kind = "", "unknown"
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        point = left.split()[4].encode().decode("unicode_escape")
        if pathlib.Path(folder).is_relative_to(point) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


def others_share(seconds):
    """The share of all CPUs that is used while this process sleeps: by others, when nothing of ours runs."""

    def ticks():
        # User, nice, system, idle, waiting for a disk, interrupts, soft interrupts, stolen by other guests.
        line = pathlib.Path("/proc/stat").read_text().splitlines()[0]
        every = [int(word) for word in line.split()[1:9]]
        return sum(every), every[3] + every[4]

    total, idle = ticks()
    time.sleep(seconds)
    total_then, idle_then = ticks()
    return 1 - (idle_then - idle) / max(1, total_then - total)


def sync_milliseconds(folder):
    """What fdatasync of an overwritten page takes there, at the median: a commit waits for it with synchronous full.

    Overwritten, because a write-ahead log is, once it was checkpointed: its file does not grow with every commit.
    """
    taken = []
    path = pathlib.Path(folder) / "sync"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.write(file, b"x" * PAGE * SYNCS)
        os.fsync(file)
        for number in range(SYNCS):
            os.pwrite(file, b"y" * PAGE, number * PAGE)
            begun = time.perf_counter()
            os.fdatasync(file)
            taken.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return statistics.median(taken)

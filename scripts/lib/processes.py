"""Processes that scripts start: none outlives its script, and what they cost is read from /proc."""

import ctypes
import os
import signal
import time

PR_SET_PDEATHSIG = 1
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent, number=signal.SIGKILL):
    """Ends the calling process by the signal `number` when the thread that started it ends, kill -9 included.

    To be called between fork and exec; `parent` is the process that forked.
    """
    if libc.prctl(PR_SET_PDEATHSIG, number) != 0:
        os._exit(127)
    # It may have ended before.
    if os.getppid() != parent:
        os._exit(127)


def tied(number=signal.SIGTERM, cpus=None):
    """What subprocess shall call between fork and exec, so that the child ends with this process.

    With `cpus` it runs on those only.
    """
    parent = os.getpid()

    def prepare():
        die_with_parent(parent, number)
        if cpus:
            os.sched_setaffinity(0, cpus)

    return prepare


def stat(pid):
    """Parent, user and system ticks of a process, or None when there is none. A zombie without threads is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name, in parentheses, may hold anything.
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The first thread may be a zombie while others still end, and what they all have open is open until then.
    if fields[0] in "ZX" and int(fields[17]) <= 1:
        return None
    return int(fields[1]), int(fields[11]), int(fields[12])


def family(pid):
    """The process and all its descendants that live."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (found := stat(name)):
            children.setdefault(found[0], []).append(int(name))
    members, waiting = [], [pid] if stat(pid) else []
    while waiting:
        member = waiting.pop()
        members.append(member)
        waiting.extend(children.get(member, []))
    return members


def cpu_seconds(pids):
    """User and system time of processes so far; of one that is gone, nothing."""
    return sum(found[1] + found[2] for pid in pids if (found := stat(pid))) / TICKS_PER_SECOND


def gone(pids, within):
    """Waits until no process of these lives, or `within` seconds have passed; returns those that do."""
    deadline = time.monotonic() + within
    while (left := [pid for pid in pids if stat(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left

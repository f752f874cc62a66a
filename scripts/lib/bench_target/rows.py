"""What is measured, and what is expected of it."""

import dataclasses
import os

# All connections of a load. waitress serves 98 (see reference-wsgi/app.py), and 90 fit it with room for those that are
# opened before others are closed. It is the same for everybody, so that no row measures how connections are starved.
CONNECTIONS = 90
# As the load tests that the research for this target was measured with: a POST of five bytes.
BODY = "hello"
# Requests per second of the tails: where the write lock is mostly free, and about half of what the slowest of their servers
# can do, where it mostly is not.
RATES = {"tail": 3000, "busy-tail": 12000}

PARTS = {
    "shared": "generator and server on the same CPUs",
    "apart": "generator and server each on a CPU of its own",
    "tail": "the same offered rate for all, where the write lock is mostly free",
    "busy-tail": "the same, at about half of what they can do",
}

# What a word of --only selects.
KINDS = {
    "none": "no store",
    "pool": "a transaction per request, SQLite's own back-off",
    "pool-1ms": "a transaction per request, --busy fixed:1ms",
    "group": "one writer, one COMMIT for whatever waits",
    "nginx": "nginx, `return 200`",
    "wsgi": "the reference on waitress",
}

# Flags of `loadgen serve` that a kind means, beside --instances and --synchronous.
FLAGS = {
    "none": ("--store", "none"),
    "pool": ("--store", "pool"),
    "pool-1ms": ("--store", "pool", "--busy", "fixed:1ms"),
    "group": ("--store", "group"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One server in one part: a line of a table."""

    part: str
    kind: str
    # Processes that serve; of nginx, its workers.
    instances: int
    # SQLite's word; empty without a database.
    synchronous: str = ""

    def __str__(self):
        words = [self.part, self.kind, f"x{self.instances}", self.synchronous]
        return " ".join(word for word in words if word)

    @property
    def name(self):
        """What stands in the table."""
        if self.kind == "nginx":
            return "nginx `return 200`"
        if self.kind == "wsgi":
            return "waitress (reference)"
        return "`" + " ".join(FLAGS[self.kind][1:]) + "`"

    @property
    def rate(self):
        """Requests per second that are offered; None where connections send as fast as they are answered."""
        return RATES.get(self.part)

    @property
    def flags(self):
        """Of `loadgen serve`. Not for nginx and waitress."""
        flags = [*FLAGS[self.kind], "--instances", str(self.instances)]
        return flags + (["--synchronous", self.synchronous] if self.synchronous else [])


def nginx_workers(part):
    """One for each CPU that nginx may run on."""
    return 1 if part == "apart" else len(os.sched_getaffinity(0))


def all_rows():
    rows = []
    for part, counts in ("shared", (1, 4)), ("apart", (1,)):
        for count in counts:
            rows += [Row(part, "none", count)]
            rows += [Row(part, "pool", count, level) for level in ("normal", "full")]
            rows += [Row(part, "pool-1ms", count, "normal")]
            rows += [Row(part, "group", count, level) for level in ("normal", "full")]
            rows += [Row(part, "wsgi", count, "normal")]
        rows += [Row(part, "nginx", nginx_workers(part))]
    return rows + [Row(part, kind, 4, "normal") for part in RATES for kind in ("pool", "pool-1ms", "group")]


@dataclasses.dataclass(frozen=True)
class Expectation:
    """A figure of one row, divided by that of another in the same round, and what it ought to be."""

    what: str
    figure: str
    row: Row
    of: Row
    least: float | None = None
    most: float | None = None

    def met(self, ratio):
        return ratio >= self.least if self.least is not None else ratio <= self.most

    @property
    def limit(self):
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"


def expectations():
    """What the target is held to. Of two rows that differ in one thing each."""
    found = [
        rate("pool to waitress", Row("shared", "pool", 4, "normal"), Row("shared", "wsgi", 4, "normal"), 5),
    ]
    for part, count in ("shared", 4), ("apart", 1):
        pool, group = (
            {level: Row(part, kind, count, level) for level in ("normal", "full")}
            for kind in ("pool", "group")
        )
        nginx = Row(part, "nginx", nginx_workers(part))
        found += [
            rate("group to pool", group["normal"], pool["normal"], 2),
            rate("group to pool, both full", group["full"], pool["full"], 4),
            rate("none to nginx", Row(part, "none", count), nginx, 0.7),
        ]
    for part in RATES:
        fixed, own = (Row(part, kind, 4, "normal") for kind in ("pool-1ms", "pool"))
        what = f"p99.9 of fixed:1ms to SQLite's own back-off, {part}"
        found.append(Expectation(what, "p99.9", fixed, own, most=0.5))
    return found


def rate(what, row, of, least):
    instances = f"{row.instances} instance{'s' * (row.instances > 1)}"
    return Expectation(f"requests/s of {what}, {row.part}, {instances}", "rate", row, of, least=least)

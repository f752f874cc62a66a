"""The page: how it was measured, the tables, what was not measured."""

import datetime
import sqlite3
import subprocess
import sys
import textwrap

from . import machine, rows, servers, table, visit

WORDS = {
    "shared": (
        "Generator and server run on the same CPUs, as in the scenarios: requests/s are those of the two together, "
        "comparable because the load is the same for all. What they cost the server is beside them; the generator's "
        "share is of one CPU."
    ),
    "apart": (
        "The server has one CPU to itself and the generator another: what a request costs the server is not disturbed "
        "by the generator, and requests/s are what one CPU carries, unless the generator's share (near 100%) says that "
        "it was at its own limit. One instance only: four on one CPU would show how they take turns, not how they "
        "scale. nginx has one worker here. waitress can be faster than with two CPUs, where its threads fight over "
        "the interpreter."
    ),
    "tail": (
        f"{rows.RATES['tail']:,} requests/s are offered to all, at random times that are the same for all in a round, well "
        "below what they can do; latency counts from the moment a request was due. A pool has 4 threads in each of 4 "
        "instances, so that 16 may want the write lock; a group has one in each. Generator and server share the CPUs. "
        "The lock is mostly free at this rate, so how often it is waited for depends on what else the machine does."
    ),
    "busy-tail": (
        f"The same with {rows.RATES['busy-tail']:,} requests/s, about half of what a pool can do here: the lock is wanted "
        "all the time."
    ),
}
TITLES = {
    "shared": "On shared CPUs",
    "apart": "A CPU each",
    "tail": "The tail at one rate",
    "busy-tail": "The tail at a high rate",
}

EXPECTED_WORDS = (
    "The ratio is taken within each round, so that a slow phase of the machine meets both sides. "
    "Its median is what is judged."
)

# Columns of a line of prose.
WIDTH = 120

READING = (
    "Each figure is the median of the rounds, and in parentheses the least and the most. Server CPU is user and "
    "system time of all processes that serve (from /proc, within the measured time) per request answered in it. "
    "A percentile is left out (-) where too few requests were answered to support it."
)
CHECKED = (
    "Every visit was checked: all requests answered with 200, and at least as many rows in the database as answers "
    "and at most as many as requests (`loadgen serve --inspect`; SQLite's own count for waitress). A visit where "
    "that did not hold is in no figure."
)


def prose(text):
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def how(settings, about):
    """Where, when and by what load."""
    tail = f" ({settings.tail_seconds:g} s for the tails)" if any(row.rate for row in settings.rows) else ""
    disk, syncs = machine.file_system(settings.folder), table.spread("{:.2f}", about["syncs"])
    return (
        f"{today()}, {machine.description()}. {settings.seconds:g} s per row and round{tail} after "
        f"{settings.warmup:g} s of warm-up; rounds: {settings.rounds}, in one interleaved run. Each round visits every "
        f"row in a random order (seed {settings.seed}), each time with a new server and an empty database on {disk}, "
        f"where fdatasync of a page takes {syncs} ms. Others had {table.spread('{:.0%}', about['others'])} of all CPUs "
        f"in a second before each round. Loaded by loadgen: POST with {len(rows.BODY)} bytes over {rows.CONNECTIONS} "
        "kept connections. Not 100, because waitress serves 98 and the others would wait for ever: what is measured is "
        "what was served, with the same load for all."
    )


def today():
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}"


def versions(settings, loadgen):
    """Of the programs that took part; `loadgen` as its documents name them."""
    kinds = {row.kind for row in settings.rows}
    found = [f"loadgen {loadgen['loadgen']} ({loadgen['loadgen_build']} build)"] if loadgen else []
    if "nginx" in kinds:
        command = [servers.nginx_program(), "-v"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found.append(done.stderr.strip().rpartition(" ")[2])
    if "wsgi" in kinds:
        python = f"Python {sys.version.split()[0]} with SQLite {sqlite3.sqlite_version}"
        found.append(f"{servers.waitress_version()} on {python}")
    return f"Versions: {', '.join(found)}."


def commands(settings):
    """What was typed, as it were: servers, then loads."""
    lines = []
    for row in settings.rows:
        if row.kind == "nginx":
            listen = "listen 127.0.0.1:PORT reuseport"
            lines.append(f'nginx: worker_processes {row.instances}; {listen}; return 200 "{rows.BODY}";')
        elif row.kind == "wsgi":
            flags = f"--instances {row.instances} --synchronous {row.synchronous}"
            lines.append(f"scripts/reference-wsgi/start --port 0 {flags} --database FILE")
        else:
            database = " --database FILE" if row.synchronous else ""
            lines.append(f"loadgen serve --listen 127.0.0.1:0 {' '.join(row.flags)}{database}")
    for row in settings.rows:
        words = [str(word) for word in visit.load_words(row, settings)]
        seed = ["--seed", "N"] if row.rate else []
        lines.append(" ".join(["loadgen", *words, *seed, "http://127.0.0.1:PORT/"]))
    return "\n".join(dict.fromkeys(lines))


def page(settings, results, about):
    """All of it as Markdown. `about` is what the rounds found out beside figures."""
    reading, checked = READING, CHECKED
    if about["limited"]:
        names = ", ".join(f"{row} ({count} of {settings.rounds})" for row, count in about["limited"].items())
        reading += f" The generator was the limit, by its own verdict, in: {names}."
    if results.unfit:
        checked += " Those are listed above."
    parts = [
        "# What the target carries, and what a request costs it",
        prose(how(settings, about)),
        prose(reading),
    ]
    for part, title in TITLES.items():
        if found := results.part(part, settings.rows):
            parts += [f"## {title}", prose(WORDS[part]), found]
    if found := results.expected(rows.expectations()):
        parts += ["## Expected", prose(EXPECTED_WORDS), found]
    if results.unfit:
        parts += ["## Not measured", "\n".join(f"- {sentence}" for sentence in results.unfit)]
    parts += ["## How", prose(checked), prose(versions(settings, about["versions"]))]
    parts += [f"```text\n{commands(settings)}\n```"]
    return "\n\n".join(parts) + "\n"

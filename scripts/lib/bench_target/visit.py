"""One visit to a row: start its server, load it, take what it cost, hold its database against the answers."""

import json
import os
import shutil
import signal
import subprocess
import time

import processes

from . import rows, servers
from .servers import Unfit

# The server's CPU time is taken so long after the beginning and before the end of the measured time, in seconds: within
# it whatever the generator takes to start, and far from what begins and ends.
EDGE = 0.2
# How long a load may take beyond its time, in seconds: requests under way have their timeout.
LOAD_MARGIN = 60
PERCENTILES = ["50", "99", "99.9", "99.99"]


def load_words(row, settings):
    """The load of a row, as words for loadgen, but for the URL."""
    words = ["-c", rows.CONNECTIONS, "-m", "POST", "-d", rows.BODY, "--warmup", f"{settings.warmup:g}s"]
    if row.rate:
        return [*words, "--rate", row.rate, "-z", f"{settings.tail_seconds:g}s"]
    return [*words, "-z", f"{settings.seconds:g}s"]


def visit(row, settings, seed):
    """Figures of the row by name, and the run document. Raises Unfit where there are none to be trusted."""
    folder = settings.scratch / "visit"
    folder.mkdir()
    try:
        # What the row before left for the disk is not this one's to pay.
        os.sync()
        with servers.server(row, settings.program, rows.BODY, folder, settings.cpus(row, "server")) as server:
            document, cpu = load(row, server, settings, seed)
        refuse_failures(document)
        verify(document, servers.rows_in(row, settings.program, folder))
        return figures(document, cpu), document
    finally:
        shutil.rmtree(folder)


def load(row, server, settings, seed):
    """Loads the server; returns the run document, and the CPU seconds that it took per second."""
    words = load_words(row, settings) + (["--seed", seed] if row.rate else [])
    command = [settings.program, *words, "--percentiles", ",".join(PERCENTILES), "-o", "json", server.url]
    length = settings.tail_seconds if row.rate else settings.seconds
    said = server.folder / "document"
    with open(said, "wb") as out, open(server.folder / "generator", "wb") as err:
        begun = time.monotonic()
        generator = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=processes.tied(signal.SIGTERM, settings.cpus(row, "generator")),
        )
        try:
            serving = server.family()
            first = cpu_at(serving, begun + settings.warmup + EDGE)
            last = cpu_at(serving, begun + settings.warmup + length - EDGE)
            generator.wait(LOAD_MARGIN)
        except subprocess.TimeoutExpired as error:
            raise Unfit(f"the load does not end within {LOAD_MARGIN} s after its time") from error
        finally:
            if generator.poll() is None:
                generator.kill()
                generator.wait()
    try:
        document = json.loads(said.read_text())
    except ValueError as error:
        complaint = (server.folder / "generator").read_text(errors="replace").strip()
        raise Unfit(f"the load has no result (exit {generator.returncode}): {complaint[-300:]}") from error
    if generator.returncode != 0:
        raise Unfit(
            f"the load ended with {generator.returncode}: {'; '.join(document['summary']['warnings'])[:300]}"
        )
    if server.process.poll() is not None:
        raise Unfit(f"the server ended under load: {server.last_words()}")
    return document, (last[1] - first[1]) / (last[0] - first[0])


def cpu_at(serving, moment):
    """CPU seconds of the processes that serve, at a moment of the monotonic clock."""
    time.sleep(max(0.0, moment - time.monotonic()))
    return time.monotonic(), processes.cpu_seconds(serving)


def refuse_failures(document):
    """Only where every request was answered, and well, do figures say what the server can do."""
    account, summary = document["account"], document["summary"]
    if summary["errors"]:
        status = ", ".join(
            f"{count} of status {code}" for code, count in document["status"].items() if code != "200"
        )
        kinds = ", ".join(f"{failure['count']} {kind}" for kind, failure in document["failures"].items())
        raise Unfit(
            f"{summary['errors']} of {account['sent']} requests failed: {', '.join(filter(None, [status, kinds]))}"
        )
    if account["unsent"]:
        raise Unfit(f"{account['unsent']} of {account['scheduled']} requests could not be sent at the rate")


def verify(document, kept):
    """An answer means a row, and a row a request: answered <= rows <= sent."""
    if kept is None:
        return
    account, warmup = document["account"], document.get("warmup") or {"ok": 0, "sent": 0}
    answered, sent = account["ok"] + warmup["ok"], account["sent"] + warmup["sent"]
    if not answered <= kept <= sent:
        raise Unfit(f"{answered} answered, {sent} sent, but {kept} rows in the database")


def figures(document, cpu):
    summary = document["summary"]
    found = {
        "rate": summary["rps"],
        # Microseconds of the server's CPU per request.
        "cpu": cpu / summary["rps"] * 1e6,
        # The generator's, of one CPU.
        "generator": document["generator"]["cpu_ns"] / document["generator"]["watched_ns"],
        "max": summary["latency"]["slowest_ns"] / 1e6,
    }
    # A percentile is there only where enough requests were answered to support it.
    found |= {name: nanos / 1e6 for name, nanos in summary["latency"]["percentiles_ns"].items()}
    return found


def write(path, document):
    """Keeps a run document, as loadgen's own commands read it."""
    path.write_text(json.dumps(document, indent=2) + "\n")

"""The reference: a small WSGI application on waitress, one SQLite transaction per request.

Start it with `start`, beside this file, or hand it a listening socket as a service manager does.

It has the architecture of the application whose published load test `scenarios/` replays, written anew: what a load
test of such a service meets is here in its original form, interpreter included, so that no figure of this repository's
own target need ever be held against somebody else's machine.

What it mirrors, and why that matters to a load test:

- Any method, any path: one row, then the body is echoed with 200 as text/plain. An answer means a commit returned, so
  rows can be counted against answers: (2xx seen) <= rows <= (requests sent).
- `BEGIN IMMEDIATE`, one insert, `COMMIT`, for each request by itself. The write lock is one for the whole file and all
  processes. It is held between two statements of an interpreter that may have to wait for its own lock (the GIL) in
  between, up to 5 ms at a time: how long it is held, not what SQLite can do, bounds the throughput of several instances.
- A busy timeout of 10 s. Who finds the lock taken sleeps, longer each time: latecomers win, and the tail is long. Who
  gives up is rolled back and answers 500. A client's timeout is therefore never a lost race for the lock.
- waitress: one thread for all input and output, 4 for the application, a queue without a bound. While an application
  thread holds a connection's output and waits for the GIL, the other spins over `select` (a convoy): a whole core is
  busy at a few hundred requests per second. That is what one instance is limited by.
- waitress's `connection_limit` of 100 counts its own listener and wake-up pipe: 98 clients fit. It stops accepting and
  refuses nothing, so the 99th connects, sends, and waits in the kernel's queue until one of the 98 leaves. With 100
  connections that are kept, two are never answered, each for one client timeout after the other.
- Several processes share port (SO_REUSEPORT) and database and nothing else. Each has a limit of its own, which a quarter
  of 100 connections never reaches. The kernel deals out connections, not load.
- A thread keeps its connection to the database, and SQLite runs as the original did: WAL, synchronous normal. A commit
  then survives the end of the process, not of the machine's power.
- SIGTERM ends it at once, requests under way included: waitress handles none.

In one thing it is faster than waitress as it comes: a line to the log for every request that waits for a thread is left
out (`--queue-warnings`), so that no log is measured. The warning at the connection limit stays.

It runs on the SQLite of its Python. Before 3.51.3 that one can, rarely, corrupt a database that several processes write
while one of them checkpoints: for databases of tests only.

Columns are those of the target, so that `loadgen serve --inspect` reads its database too.
"""

import argparse
import logging
import os
import pathlib
import socket
import sqlite3
import sys
import threading
import time

SCHEMA = """CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp REAL NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    content_length INTEGER NOT NULL,
    remote_addr TEXT
)"""

INSERT = "INSERT INTO requests (timestamp, method, path, content_length, remote_addr) VALUES (?, ?, ?, ?, ?)"

# Where a service manager puts the first socket it passes.
PASSED_SOCKET = 3

# Switching a fresh file to WAL fails as busy, whatever the busy timeout, while another instance does it. So often it is
# tried, with a pause of so many seconds, having waited at most so long for a lock where SQLite does wait.
WAL_ATTEMPTS = 100
WAL_PAUSE = 0.02
WAL_BUSY_TIMEOUT = 0.1


class Database:
    """Where requests are recorded: a file, and a connection for each thread that asks for one."""

    def __init__(self, path, synchronous, busy_timeout):
        self.path = path
        self.synchronous = synchronous
        self.busy_timeout = busy_timeout
        self.own = threading.local()

    def prepare(self):
        """Creates the file and its table where they are missing. Any number of processes may do so at once."""
        connection = self.connect()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(SCHEMA)
        connection.execute("COMMIT")
        connection.close()

    def connect(self):
        # No isolation level: every transaction begins and ends where this file says so.
        connection = sqlite3.connect(self.path, timeout=WAL_BUSY_TIMEOUT, isolation_level=None)
        mode = write_ahead(connection)
        if mode != "wal":
            raise sqlite3.OperationalError(f"no write-ahead log there (journal mode {mode})")
        connection.execute(f"PRAGMA busy_timeout = {round(self.busy_timeout * 1000)}")
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        return connection

    def connection(self):
        """The calling thread's connection."""
        if not hasattr(self.own, "connection"):
            self.own.connection = self.connect()
        return self.own.connection

    def record(self, row):
        """Commits the row in a transaction of its own. After an error nothing of it is left."""
        connection = self.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(INSERT, row)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def write_ahead(connection):
    """Asks for write-ahead logging and returns the mode the file is in now."""
    for _ in range(WAL_ATTEMPTS - 1):
        try:
            return connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(WAL_PAUSE)
    return connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]


def application(database):
    """The WSGI application. Without a database (None) it records nothing."""

    def answer(environ, start_response):
        body = environ["wsgi.input"].read()
        status = "200 OK"
        if database:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            try:
                database.record((time.time(), method, path, len(body), environ.get("REMOTE_ADDR")))
            except sqlite3.Error as error:
                status, body = (
                    "500 Internal Server Error",
                    f"the request could not be recorded: {error}\n".encode(),
                )
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


def passed_socket():
    """The listening socket that whoever started this process passed to it."""
    # LISTEN_PID tells whether it was meant for this process or for one further up.
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        sys.exit(
            "app.py: no listening socket was passed (LISTEN_PID, LISTEN_FDS=1); use `start`, beside this file"
        )
    return socket.socket(fileno=PASSED_SOCKET)


def tell_service_manager():
    """Says that requests are served, if whoever started this process wants to know (sd_notify)."""
    place = os.environ.get("NOTIFY_SOCKET")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1\n", "\0" + place[1:] if place.startswith("@") else place)


def arguments():
    """The options of one instance, to be parsed here or as a part of those of `start`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--database",
        type=pathlib.Path,
        default=pathlib.Path("requests.db"),
        metavar="FILE",
        help="SQLite file that keeps one row per request; created where it is missing [default: requests.db]",
    )
    parser.add_argument("--no-database", action="store_true", help="record nothing")
    parser.add_argument(
        "--synchronous",
        choices=["normal", "full", "off"],
        default="normal",
        help="how careful SQLite is with the disk [default: normal]",
    )
    parser.add_argument(
        "--busy-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long a request waits for the database's write lock before it is answered with 500 [default: 10]",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=4,
        metavar="N",
        help="threads of the application, per instance [default: 4]",
    )
    parser.add_argument(
        "--connection-limit",
        type=int,
        default=100,
        metavar="N",
        help="waitress's limit per instance; two less than it fit, further ones wait unaccepted [default: 100]",
    )
    parser.add_argument(
        "--backlog",
        type=int,
        default=1024,
        metavar="N",
        help="length of the queue of connections not yet accepted, per instance [default: 1024]",
    )
    parser.add_argument(
        "--queue-warnings",
        action="store_true",
        help="let waitress log each request that waits for a thread; under load that is every one, and costs a tenth or more",
    )
    return parser


def words(options):
    """Options of `arguments()` as words to be typed."""
    typed = [
        f"--database={options.database}",
        f"--synchronous={options.synchronous}",
        f"--busy-timeout={options.busy_timeout}",
        f"--threads={options.threads}",
        f"--connection-limit={options.connection_limit}",
        f"--backlog={options.backlog}",
    ]
    return typed + ["--no-database"] * options.no_database + ["--queue-warnings"] * options.queue_warnings


def main():
    parser = argparse.ArgumentParser(
        description="One instance of the reference application, on a socket passed as descriptor 3.",
        parents=[arguments()],
    )
    parser.add_argument(
        "--ready-fd", type=int, metavar="FD", help="write a line to this descriptor when serving"
    )
    options = parser.parse_args()
    listener = passed_socket()

    # Only here: `start` takes its options from this file, and runs where waitress is not installed.
    import waitress

    database = None
    if not options.no_database:
        database = Database(options.database, options.synchronous, options.busy_timeout)
        try:
            database.prepare()
        except sqlite3.Error as error:
            sys.exit(f"app.py: cannot use the database {options.database}: {error}")
    if not options.queue_warnings:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.create_server(
        application(database),
        sockets=[listener],
        threads=options.threads,
        backlog=options.backlog,
        connection_limit=options.connection_limit,
    )
    tell_service_manager()
    if options.ready_fd is not None:
        os.write(options.ready_fd, b"ready\n")
        os.close(options.ready_fd)
    server.run()


if __name__ == "__main__":
    main()

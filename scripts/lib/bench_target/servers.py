"""The servers under load: how each is started, on which CPUs, and how it ends."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

import processes

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
WSGI = REPOSITORY / "scripts" / "reference-wsgi" / "start"

# How long a server may take until it serves; installing waitress is done before, see `prepare_wsgi`.
START_TIMEOUT = 40.0
# How long it may take to end; longer than the target gives the requests under way.
STOP_TIMEOUT = 40.0
# Another process may take the port that was free a moment ago: so often another one is tried.
NGINX_ATTEMPTS = 5

NGINX = """
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 2000000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=1024 reuseport;
        default_type text/plain;
        location / {{ return 200 "{body}"; }}
    }}
}}
"""


class Unfit(Exception):
    """Why a server or a load cannot be: a sentence."""


def environment():
    """This process's variables but for those that would set the target otherwise than a row says."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TARGET_")}


class Server:
    """A server while it runs; ended at the end of the `with`."""

    def __init__(self, command, folder, cpus):
        self.command = [str(word) for word in command]
        self.folder = folder
        self.cpus = cpus
        self.process = None
        self.url = None

    def __enter__(self):
        try:
            self.spawn()
            self.url = self.found(r"serving on (http://\S+)")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def spawn(self):
        # A session of its own: Ctrl-C on the terminal reaches this script only, which ends everything in order.
        with open(self.folder / "said", "wb") as said, open(self.folder / "complained", "wb") as complained:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                env=environment(),
                start_new_session=True,
                preexec_fn=processes.tied(signal.SIGTERM, self.cpus),
            )

    def found(self, pattern):
        """Waits until the server prints what the pattern matches, and returns its group."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            # Asked before it is looked for what it printed: it prints, then ends.
            ended = self.process.poll() is not None
            if match := re.search(pattern, (self.folder / "said").read_text(errors="replace")):
                return match[1]
            if ended:
                break
            time.sleep(0.01)
        raise Unfit(f"does not start: {self.last_words()}")

    def last_words(self):
        text = (self.folder / "complained").read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else "it said nothing"

    def family(self):
        """Process ids of all that serve, their supervisor included."""
        return processes.family(self.process.pid)

    def end(self):
        if self.process is None:
            return
        family = self.family()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in processes.gone(family, STOP_TIMEOUT):
            os.kill(pid, signal.SIGKILL)


class Nginx(Server):
    """nginx prints nothing: it serves when it has written its process id."""

    def __init__(self, workers, body, folder, cpus):
        super().__init__(
            [nginx_program(), "-e", folder / "error.log", "-c", folder / "nginx.conf"], folder, cpus
        )
        self.workers = workers
        self.body = body

    def __enter__(self):
        try:
            for _ in range(NGINX_ATTEMPTS):
                port = free_port()
                (self.folder / "nginx.conf").write_text(self.configuration(port))
                self.spawn()
                if self.serves():
                    self.url = f"http://127.0.0.1:{port}/"
                    return self
        except BaseException:
            self.end()
            raise
        raise Unfit(f"does not start: {self.last_words()}")

    def configuration(self, port):
        user = "user root;" if os.getuid() == 0 else ""
        return NGINX.format(workers=self.workers, folder=self.folder, port=port, body=self.body, user=user)

    def serves(self):
        pid = self.folder / "nginx.pid"
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            if pid.exists() and pid.read_text().strip() and len(self.family()) > self.workers:
                return True
            time.sleep(0.01)
        self.end()
        return False


def nginx_program():
    """Where nginx is, or None. Debian puts it where only root's PATH leads."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def server(row, program, body, folder, cpus):
    """The server of a row, not yet started."""
    database = folder / "requests.db"
    if row.kind == "nginx":
        return Nginx(row.instances, body, folder, cpus)
    if row.kind == "wsgi":
        flags = ["--instances", row.instances, "--synchronous", row.synchronous, "--database", database]
        return Server([WSGI, "--port", "0", *flags], folder, cpus)
    flags = row.flags + (["--database", database] if row.synchronous else [])
    return Server([program, "serve", "--listen", "127.0.0.1:0", *flags], folder, cpus)


def rows_in(row, program, folder):
    """Rows that the server left in its database, once it has ended; None where it has none."""
    if not row.synchronous:
        return None
    database = folder / "requests.db"
    if row.kind == "wsgi":
        try:
            with contextlib.closing(sqlite3.connect(database)) as connection:
                return connection.execute("SELECT count(*) FROM requests").fetchone()[0]
        except sqlite3.Error as error:
            raise Unfit(f"its database cannot be read: {error}") from error
    command = [str(program), "serve", "--inspect", "--database", str(database)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(), preexec_fn=processes.tied()
    )
    count, integrity = re.search(r'"rows":(\d+)', done.stdout), re.search(r'"integrity":"ok"', done.stdout)
    if not (count and integrity):
        raise Unfit(f"its database cannot be checked: {(done.stderr or done.stdout).strip()}")
    return int(count[1])


def waitress_version():
    """As pinned, such as waitress 3.0.2."""
    return re.search(r"^(waitress)==(\S+)", (WSGI.parent / "requirements.txt").read_text(), re.M).expand(
        r"\1 \2"
    )


def prepare_wsgi():
    """Starts and ends the reference once: installing waitress is no part of a measurement."""
    command = [str(WSGI), "--port", "0", "--no-database"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=processes.tied(),
    ) as process:
        try:
            if not process.stdout.readline():
                said = process.stderr.read().strip().splitlines()
                raise Unfit(said[-1] if said else "the reference on waitress does not start")
        finally:
            process.terminate()

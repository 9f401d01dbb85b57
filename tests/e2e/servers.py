"""Starts servers for the tests of this folder.

    with servers.scripted(build) as server:
        server.get("/health")
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "cases" / "server"
KEEPER = ROOT / "models" / "keeper" / "keeper.gguf"
SLOW = 10 if os.environ.get("FOURFOLD_SLOW_PROGRAM") else 1  # sanitizer builds


class Server:
    def __init__(self, command, *, env=None):
        self._home = tempfile.TemporaryDirectory(prefix="fourfold-e2e-")
        self.home = pathlib.Path(self._home.name)
        self.command = list(map(str, command))
        # Whatever the person who runs the tests has set must not show.
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8",
                    "TMPDIR": str(self.home), **(env or {})}
        self.process = None
        self.said = []  # lines of standard error
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        errors="replace")
        first = self.process.stderr.readline()
        match = re.fullmatch(r"listening on (http://(\S+):(\d+))\n", first)
        if not match:
            self.process.kill()
            raise RuntimeError(f"{' '.join(self.command)}: the first line is {first!r}, then "
                               f"{self.process.stderr.read(2000)!r}")
        self.base, self.host, self.port = match[1], match[2], int(match[3])
        self.said.append(first)
        for stream in (self.process.stderr, self.process.stdout):
            threading.Thread(target=self._listen, args=(stream,), daemon=True).start()
        self.wait_ready()

    def _listen(self, stream):
        for line in stream:
            self.said.append(line)

    def wait_ready(self, most_s=60 * SLOW):
        end = time.monotonic() + most_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended with {self.process.returncode}: {self.log()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/health")[0] == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"not ready after {most_s} s: {self.log()}")

    def log(self):
        return "".join(self.said[-30:])

    def stop(self, how=signal.SIGTERM, most_s=40):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(most_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self.process.poll() is None:
                self.kill()
        finally:
            self._home.cleanup()

    # One request each, by the library below all clients.

    def connect(self, timeout=60):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def send(self, method, path, body=None, headers=None, timeout=60):
        """Status, headers (names in lower case), bytes."""
        connection = self.connect(timeout)
        try:
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            connection.request(method, path, body.encode() if isinstance(body, str) else body,
                               headers or {})
            reply = connection.getresponse()
            data = reply.read()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, data
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.send("GET", path, None, headers)

    def post(self, path, body, headers=None, timeout=60):
        return self.send("POST", path, body, headers, timeout)

    def json(self, path, body=None, status=200, headers=None):
        """The JSON of a reply that has this status."""
        got, _, data = self.send("GET" if body is None else "POST", path, body, headers)
        assert got == status, f"{path}: status {got}, expected {status}: {data[:600]!r}"
        return json.loads(data)

    def metrics(self):
        """Values by name and labels, as they stand."""
        values = {}
        for line in self.get("/metrics")[2].decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def total(self, name, *words):
        """The sum of all series of that name whose labels hold the words."""
        return sum(value for key, value in self.metrics().items()
                   if key.split("{")[0] == name and all(word in key for word in words))

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def n_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def scripted(build, *flags, env=None):
    return Server([pathlib.Path(build) / "fourfold-scripted", SCRIPTS, KEEPER, *flags], env=env)


def live(build, *flags, env=None):
    return Server([pathlib.Path(build) / "fourfold", "serve", KEEPER, "--port", "0", *flags],
                  env=env)

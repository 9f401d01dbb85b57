"""What the rows in Python share. A row is started with base URL and key and does its checks one
after the other; each fails on its own:

    @check("lists its models")
    def _():
        assert …

    done()
"""

import asyncio
import inspect
import json
import sys
import time
import traceback
import urllib.request

if len(sys.argv) < 3:
    sys.exit("usage: ROW BASE_URL KEY")
BASE, KEY = sys.argv[1:3]


def fetch(path):
    with urllib.request.urlopen(BASE + path, timeout=30) as reply:
        return reply.read().decode()


# Scripted models are there under names of their own; elsewhere the default body answers.
LISTED = [item["name"].removesuffix(":latest")
          for item in json.loads(fetch("/api/tags"))["models"]]
IS_SCRIPTED = any(name.startswith("scripted/") for name in LISTED)
WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Its name"}},
        "required": ["city"],
    },
}

_failed = []


def model(script):
    return f"scripted/{script}" if IS_SCRIPTED else LISTED[0]


def check(name, scripted=False, live=False):
    """Runs the function below it, which may be a coroutine."""
    def run(body):
        if (scripted and not IS_SCRIPTED) or (live and IS_SCRIPTED):
            return
        try:
            result = body()
            if inspect.iscoroutine(result):
                asyncio.run(asyncio.wait_for(result, 60))
            print(f"ok      {name}", flush=True)
        except Exception:
            _failed.append(name)
            lines = traceback.format_exc().splitlines()
            shown = lines[:3] + lines[-12:] if len(lines) > 15 else lines
            print(f"FAILED  {name}\n" + "\n".join("        " + line for line in shown), flush=True)
    return run


def done():
    sys.exit(1 if _failed else 0)


def error_of(body, kind=Exception):
    try:
        body()
    except kind as error:
        return error
    raise AssertionError("no error")


def until_idle(most_s, name="scripted/slow"):
    """Until the server runs nothing more of this model; the seconds it took."""
    begin = time.monotonic()
    while True:
        lines = [line for line in fetch("/metrics").splitlines()
                 if line.startswith("fourfold_requests_running") and name in line]
        assert lines, "no fourfold_requests_running of " + name
        if all(float(line.split()[-1]) == 0 for line in lines):
            return time.monotonic() - begin
        assert time.monotonic() - begin < most_s, f"still running after {most_s} s: {lines}"
        time.sleep(0.02)

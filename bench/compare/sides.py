"""Starts the two programs that are compared: Fourfold, and llama.cpp through node-llama-cpp."""

import json
import pathlib
import platform
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
FOLDER = ROOT / "build" / "compare"  # what is installed and what was measured
DOCUMENT = ROOT / "docs" / "performance.md"

PACKAGE = "node-llama-cpp"
VERSION = "3.22.1"
OLDEST_NODE = 20
# The CPU build alone; the package itself would bring those for GPUs too.
PREBUILT = {"x86_64": "@node-llama-cpp/linux-x64", "aarch64": "@node-llama-cpp/linux-arm64"}


class Failed(Exception):
    pass


def say(message):
    print(f"compare: {message}", file=sys.stderr, flush=True)


def add_shared_arguments(parser):
    add = parser.add_argument
    add("--threads", type=int, default=2, help="of both sides (2)")
    add("--program", type=pathlib.Path, default=ROOT / "build" / "release" / "fourfold")
    add("--render", action="store_true", help="measure nothing, use what was kept")
    add("--publish", action="store_true", help="into docs/performance.md")


def result_paths(kind, models):
    """Where the result of each model is kept."""
    folder = FOLDER / kind
    folder.mkdir(parents=True, exist_ok=True)
    return [folder / f"{model.stem}.json" for model in models]


def run_program(command, stdin=subprocess.DEVNULL):
    """What it prints on standard output."""
    result = subprocess.run([str(part) for part in command], stdin=stdin, capture_output=True,
                            text=True, check=False)
    if result.returncode != 0:
        reason = result.stderr.strip() or result.stdout.strip()
        raise Failed(f"{command[0]} ended with {result.returncode}: {reason}")
    return result.stdout


class Fourfold:
    def __init__(self, program):
        if not pathlib.Path(program).exists():
            raise Failed(f"{program}: no such program (./run --build makes it)")
        self.program = program

    def __call__(self, *arguments, **keywords):
        return run_program([self.program, *arguments], **keywords)

    def json(self, *arguments, **keywords):
        return json.loads(self(*arguments, "--json", **keywords))


class LlamaCpp:
    def __init__(self, folder=FOLDER):
        self.folder = folder
        self._check_node()
        self._install()

    def __call__(self, want, model, threads, **request):
        request = {"want": want, "model": str(pathlib.Path(model).resolve()), "threads": threads,
                   **request}
        return json.loads(run_program(["node", HERE / "peer.mjs", self.folder,
                                       json.dumps(request)]))

    def versions(self):
        release = self._package(PACKAGE) / "llama" / "binariesGithubRelease.json"
        return {PACKAGE: VERSION, "llama.cpp": json.loads(release.read_text())["release"]}

    def _package(self, name):
        return self.folder / "node_modules" / name

    def _check_node(self):
        node = shutil.which("node")
        version = subprocess.run([node, "--version"], capture_output=True, text=True,
                                 check=True).stdout.strip() if node else "none"
        if not node or int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
            raise Failed(f"node {OLDEST_NODE} or newer is needed on PATH (found: {version})")

    def _install(self):
        prebuilt = PREBUILT.get(platform.machine())
        if not prebuilt:
            raise Failed(f"{platform.machine()}: {PACKAGE} brings no Linux build for it")
        if all(self._version(name) == VERSION for name in (PACKAGE, prebuilt)):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--prefix", self.folder, "--omit=optional",
                        "--ignore-scripts", "--no-audit", "--no-fund",
                        f"{PACKAGE}@{VERSION}", f"{prebuilt}@{VERSION}"],
                       stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)

    def _version(self, name):
        manifest = self._package(name) / "package.json"
        return json.loads(manifest.read_text())["version"] if manifest.exists() else None

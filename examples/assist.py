#!/usr/bin/env python3
"""A small offline code assistant: explains, fixes or writes code in a file, with any chat model.

    assist.py explain --model gemma.gguf parser.py:40-80
    git diff | assist.py explain --model gemma.gguf -
    assist.py fix --model gemma.gguf stack.py:pop --check "python3 -m unittest" --apply
    assist.py write --model gemma.gguf dates.py "parse_date(text): ISO dates, else None"

WHERE is FILE, FILE:FIRST-LAST (lines), in Python FILE:NAME, or a diff (- for standard input); to
fix a diff is to fix what it changed in its one file. Proposals are printed as a diff. The file
itself is touched only by --apply, and with --check only after the command passed in a copy of the
project; when it fails, the model sees how and tries again. The command runs what the model wrote.
"""

import argparse
import ast
import dataclasses
import difflib
import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap

import fourfold

CONTEXT = 8192  # tokens, unless the model holds fewer: more is slower
TOKENS_OF_EXPLANATION = 600
TOKENS_BESIDE_CODE = 600  # of an answer, and twice those of the code that it replaces
SHOWN_OUTPUT = 3000  # characters, the end of what a failed check printed
LARGEST_COPY = 200_000_000  # bytes

EXPLAIN_PROMPT = """\
Explain this {what} to a colleague: what it does, how, and anything that looks wrong. Be brief.

{code}"""
FIX_PROMPT = """\
Fix this code from {path}. {wish}

{code}
{around}
Say in a sentence what was wrong, then give the whole corrected code, and nothing left out, in one \
fenced block."""
WRITE_PROMPT = """\
Write code for {path}: {wish}

{code}
Give only what is new, in one fenced block, in the style of the file; it is put {place}."""
AGAIN_PROMPT = """\
{failure}

Give the whole code again, corrected, in one fenced block."""

BLOCK = re.compile(r"^(`{3,})[^`\n]*\n(.*?)^\1`*[ \t]*$", re.MULTILINE | re.DOTALL)
HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@dataclasses.dataclass
class Target:
    """A file, and the lines of it that are to be replaced: lines[begin:end], counted from 0."""
    path: pathlib.Path
    lines: list  # with their ends
    begin: int
    end: int
    around: str = ""  # what else the model should see

    def with_some_code(self):
        if not self.code.strip():
            raise fourfold.Failed(f"{self.path}: no code in these lines (expected some)")
        return self

    @property
    def code(self):
        """Without the depth that all of it has."""
        return textwrap.dedent("".join(self.lines[self.begin:self.end]))

    @property
    def depth(self):
        for line, without in zip(self.lines[self.begin:self.end], split_lines(self.code)):
            if line.strip():
                return line[:len(line) - len(without)]
        return ""

    def with_code(self, code):
        """The text of the whole file."""
        code = textwrap.indent(textwrap.dedent(code), self.depth)
        before, after = "".join(self.lines[:self.begin]), "".join(self.lines[self.end:])
        if self.begin == self.end:  # new code stands apart
            gap = "\n\n" if self.path.suffix == ".py" else "\n"
            before = before.rstrip() + "\n" + gap if before.strip() else ""
            after = gap + after.lstrip("\r\n") if after.strip() else ""
        text = before + code + after
        if any(line.endswith("\r\n") for line in self.lines):
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return text

    def diff(self, text):
        name = os.path.relpath(self.path)
        lines = difflib.unified_diff(self.lines, split_lines(text),
                                     f"a/{name}" if self.path.exists() else "/dev/null",
                                     f"b/{name}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
                       for line in lines)

    def apply(self, text):
        path = self.path.resolve()  # where a link leads
        if read_text(path, may_be_new=True) != "".join(self.lines):
            raise fourfold.Failed(f"{self.path}: changed meanwhile, so nothing was applied")
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            part.write_bytes(text.encode())
            if path.exists():
                shutil.copymode(path, part)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise fourfold.Failed(f"{self.path}: {error.strerror}") from None


def read_text(path, may_be_new=False):
    try:
        return pathlib.Path(path).read_bytes().decode()
    except FileNotFoundError:
        if may_be_new:
            return ""
        raise fourfold.Failed(f"{path}: no such file") from None
    except OSError as error:
        raise fourfold.Failed(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise fourfold.Failed(f"{path}: byte {error.start} is not UTF-8 (expected text)") from None


def split_lines(text):
    """With their ends, which are newlines alone: a form feed ends no line."""
    return list(io.StringIO(text))


def split_where(where):
    """FILE and what stands behind its colon, if anything does."""
    path, colon, part = where.rpartition(":")
    return (where, "") if not colon or pathlib.Path(where).exists() else (path, part)


def find_target(where):
    path, part = split_where(where)
    lines = split_lines(read_text(path))
    begin, end = find_lines(path, lines, part) if part else (0, len(lines))
    return Target(pathlib.Path(path), lines, begin, end).with_some_code()


def find_place(where):
    """Where code is to be written: behind a line, else at the end. The file may be a new one."""
    path, part = split_where(where)
    lines = split_lines(read_text(path, may_be_new=True))
    end = find_lines(path, lines, part)[1] if part else len(lines)
    return Target(pathlib.Path(path), lines, end, end)


def find_lines(path, lines, part):
    numbers = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
    if numbers:
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if not 1 <= first <= last <= len(lines):
            raise fourfold.Failed(f"{path}:{part}: no such lines (it has {len(lines)})")
        return first - 1, last
    if not path.endswith(".py"):
        raise fourfold.Failed(f"{path}:{part}: names are found in Python only (expected lines)")
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError as error:
        raise fourfold.Failed(f"{path}:{error.lineno}: {error.msg} (expected lines instead of a "
                              "name until it is fixed)") from None
    found = [node for node in ast.walk(tree)
             if hasattr(node, "decorator_list") and node.name == part]
    if len(found) != 1:
        places = "".join(f", line {node.lineno}" for node in found)
        raise fourfold.Failed(f"{path}:{part}: {len(found)} functions or classes of this name"
                              f"{places} (expected one; else lines)")
    first = min([found[0].lineno, *(mark.lineno for mark in found[0].decorator_list)])
    return first - 1, found[0].end_lineno


def read_diff(where):
    """The text of a diff, None if something else is meant."""
    if where != "-" and not where.endswith((".diff", ".patch")):
        return None
    text = sys.stdin.buffer.read().decode(errors="replace") if where == "-" else read_text(where)
    if not HUNK.search(text):
        raise fourfold.Failed(f"{where}: no diff (expected @@ lines, as of git diff)")
    return text


def new_side(diff):
    """Of each hunk the lines that it left: (the first one's number from 0, [texts])."""
    hunks, n_left = [], 0
    for line in diff.split("\n"):
        head = HUNK.match(line)
        if head:
            n_left = int(head[2] or 1)
            hunks.append((max(int(head[1]) - 1, 0), []))
        elif n_left and line[:1] in ("", " ", "+"):
            hunks[-1][1].append(line[1:])
            n_left -= 1
    return hunks


def target_of_diff(diff):
    """From the first line to the last of what a diff changed in its one file."""
    names = re.findall(r"^\+\+\+ ([^\t\n]+)", diff, re.MULTILINE)
    if len(names) != 1 or names[0] == "/dev/null":
        raise fourfold.Failed(f"the diff changes {len(names)} files (expected one that is left)")
    name = names[0].removeprefix("b/")
    path = next((folder / name for folder in (pathlib.Path(), project_root(pathlib.Path()))
                 if (folder / name).exists()), pathlib.Path(name))
    lines = split_lines(read_text(path))
    hunks = new_side(diff)
    for first, texts in hunks:
        there = [line.rstrip("\r\n") for line in lines[first:first + len(texts)]]
        if there != [text.rstrip("\r") for text in texts]:
            raise fourfold.Failed(f"{path}:{first + 1}: other lines than in the diff (expected the "
                                  "file as the diff left it)")
    around = f"\nThe change that may have broken it:\n\n{fenced(diff, 'diff')}\n"
    end = hunks[-1][0] + len(hunks[-1][1])
    return Target(path, lines, hunks[0][0], end, around).with_some_code()


def fenced(code, kind):
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{code.rstrip()}\n{fence}"


def ask_git(folder, *arguments):
    """What git prints, None without git or where it is of no use."""
    try:
        answer = subprocess.run(["git", "-C", folder, *arguments], capture_output=True,
                                check=False)
    except FileNotFoundError:
        return None
    return os.fsdecode(answer.stdout) if answer.returncode == 0 else None


def project_root(folder):
    """What git takes for the project, else the current folder if it holds `folder`."""
    folder = folder.resolve()
    top = ask_git(folder, "rev-parse", "--show-toplevel")
    if top:
        return pathlib.Path(top.rstrip("\n"))
    return pathlib.Path.cwd() if folder.is_relative_to(pathlib.Path.cwd()) else folder


def project_files(root):
    """Relative paths: without what git ignores; without git, without hidden and compiled ones."""
    listing = ask_git(root, "ls-files", "-z", "-co", "--exclude-standard")
    if listing is not None:
        return [name for name in listing.split("\0") if name and os.path.lexists(root / name)]
    names = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders
                         if not name.startswith(".") and name != "__pycache__"]
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in files + links]
    return names


class Check:
    """A command that judges a version of a file, in a copy of the project around it."""

    def __init__(self, command, path, timeout_s):
        self.command, self._timeout_s = command, timeout_s
        self._path = path.resolve()
        self._root = project_root(self._path.parent)

    def failure(self, text):
        """What the command says against `text`; None if it ends with status 0."""
        with (tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
              tempfile.TemporaryFile() as output):
            copy = pathlib.Path(folder)
            self._copy_project(copy)
            path = copy / self._path.relative_to(self._root)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            status = self._run(copy, output)
            output.seek(0)
            shown = output.read().decode(errors="replace").strip()[-SHOWN_OUTPUT:]
        if status == 0:
            return None
        ending = f"within {self._timeout_s} s it did not end" if status is None else (
            f"it ended with status {status}")
        return f"The check `{self.command}` failed: {ending}.\n\n{fenced(shown, '')}"

    def _copy_project(self, copy):
        names = project_files(self._root)
        size = sum((self._root / name).lstat().st_size for name in names)
        if size > LARGEST_COPY:
            raise fourfold.Failed(f"{self._root}: {size} bytes are too much to copy for --check "
                                  f"(expected at most {LARGEST_COPY})")
        for name in names:
            source = self._root / name
            try:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir() and not source.is_symlink():  # a repository within
                    shutil.copytree(source, copy / name, symlinks=True)
                else:
                    shutil.copy2(source, copy / name, follow_symlinks=False)
            except OSError as error:
                raise fourfold.Failed(f"{source}: cannot be copied for --check: {error}") from None

    def _run(self, copy, output):
        here = pathlib.Path.cwd()
        inside = here.relative_to(self._root) if here.is_relative_to(self._root) else "."
        (copy / inside).mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(["sh", "-c", self.command], cwd=copy / inside,
                                   stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # also what it left behind
            except ProcessLookupError:
                pass
            process.wait()


class Assistant:
    def __init__(self, model):
        self._model = model

    def explain(self, what, code):
        prompt = EXPLAIN_PROMPT.format(what=what, code=code)
        return self._ask([user(prompt)], TOKENS_OF_EXPLANATION)["text"].strip()

    def propose(self, prompt, target, check, rounds):
        """A text of the file that passes the check, after so many tries; what failed is shown."""
        n_tokens = TOKENS_BESIDE_CODE + 2 * self._model.n_tokens([user(target.code)])
        messages = [user(prompt)]
        for number in range(1, rounds + 1):
            answer = self._ask(messages, n_tokens)
            text, failure = read_proposal(answer, target)
            if not failure and check:
                note(f"try {number} of {rounds}: {check.command}")
                failure = check.failure(text)
            if not failure:
                return text
            note(f"try {number} of {rounds}: {failure}\n{target.diff(text) if text else ''}")
            messages = [user(prompt), {"role": "assistant", "content": answer["text"]},
                        user(AGAIN_PROMPT.format(failure=failure))]
        raise fourfold.Failed(f"{rounds} tries, and none to show (--rounds for more)")

    def _ask(self, messages, n_answer):
        n_prompt = self._model.n_tokens(messages)
        if n_prompt + n_answer > self._model.context:
            raise fourfold.Failed(
                f"{n_prompt} tokens and {n_answer} for the answer are more than the context of "
                f"{self._model.context} (expected less code: FILE:FIRST-LAST, or more --context)")
        return self._model.ask(messages, max_tokens=n_answer)


def user(text):
    return {"role": "user", "content": text}


def read_proposal(answer, target):
    """(text of the file, None), or (None, what is wrong)."""
    if answer["finish"] == "length":
        return None, "The answer was too long and was cut."
    blocks = BLOCK.findall(answer["text"])
    if len(blocks) != 1:
        return None, f"The answer has {len(blocks)} fenced blocks of code instead of one."
    words = BLOCK.sub("", answer["text"]).strip()
    if words:
        note(words)
    text = target.with_code(blocks[0][1])
    if text == "".join(target.lines):
        return None, "That is the code as it was."
    return text, None


def note(message):
    print(message, file=sys.stderr, flush=True)


def explain(model, flags):
    diff = read_diff(flags.where)
    if diff:
        what, code = "diff", fenced(diff, "diff")
    else:
        target = find_target(flags.where)
        what, code = f"code from {target.path}", fenced(target.code, target.path.suffix[1:])
    print(Assistant(model).explain(what, code))


def fix(model, flags):
    diff = read_diff(flags.where)
    target = target_of_diff(diff) if diff else find_target(flags.where)
    check = flags.check and Check(flags.check, target.path, flags.timeout)
    failure = check and check.failure("".join(target.lines))
    if check and not failure and not flags.wish:
        note(f"{flags.check}: passes already")
        return
    wish = "\n".join(filter(None, [flags.wish, failure]))
    prompt = FIX_PROMPT.format(path=target.path, wish=wish,
                               code=fenced(target.code, target.path.suffix[1:]),
                               around=target.around)
    finish(Assistant(model).propose(prompt, target, check, flags.rounds), target, flags)


def write(model, flags):
    target = find_place(flags.where)
    check = flags.check and Check(flags.check, target.path, flags.timeout)
    whole = "".join(target.lines)
    at_end = target.end == len(target.lines)
    prompt = WRITE_PROMPT.format(
        path=target.path, wish=flags.wish, place="at the end" if at_end else "behind this",
        code=fenced("".join(target.lines[:target.end]), target.path.suffix[1:]) if whole else "")
    finish(Assistant(model).propose(prompt, target, check, flags.rounds), target, flags)


def finish(text, target, flags):
    print(target.diff(text), end="", flush=True)
    if flags.apply:
        target.apply(text)
    note(f"{target.path}: {'changed' if flags.apply else 'not changed (--apply does it)'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="explain|fix|write")
    for function, wish in ((explain, None), (fix, "what is wrong"), (write, "what it is to do")):
        command = commands.add_parser(function.__name__)
        command.set_defaults(function=function, wish="")
        command.add_argument("where", metavar="WHERE", help="see assist.py --help")
        if wish:
            command.add_argument("wish", nargs="?" if function is fix else None, help=wish)
            command.add_argument("--check", metavar="COMMAND", help="has to end with status 0")
            command.add_argument("--timeout", type=fourfold.count, default=120, metavar="S",
                                 help="for the check (120)")
            command.add_argument("--rounds", type=fourfold.count, default=3, metavar="N",
                                 help="tries (3)")
            command.add_argument("--apply", action="store_true", help="change the file")
        fourfold.add_arguments(command)
        command.add_argument("--context", type=fourfold.count, default=CONTEXT, metavar="TOKENS",
                             help=f"that the model is to hold ({CONTEXT}, at most its own)")
    flags = parser.parse_args()
    if flags.function is fix and not flags.wish and not flags.check:
        parser.error("fix: expected what is wrong, or --check")
    with fourfold.Model(flags.model, flags.program, flags.context) as model:
        flags.function(model, flags)


if __name__ == "__main__":
    fourfold.run(main)

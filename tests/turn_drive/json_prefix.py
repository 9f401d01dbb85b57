"""Tells whether a text can be continued to one JSON text, as strictly as RFC 8259 has it."""

import re

STRING_START = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*'
INTEGER = r"-?(?:0|[1-9][0-9]*)"
FRACTION = r"\.[0-9]+"
WORDS = ("true", "false", "null")

SPACE = re.compile(r"[ \n\r\t]*")
STRING = re.compile(STRING_START + '"')
SCALAR = re.compile(rf"{INTEGER}(?:{FRACTION})?(?:[eE][+-]?[0-9]+)?|{'|'.join(WORDS)}")
OPEN_STRING = re.compile(STRING_START + r"(?:\\(?:u[0-9a-fA-F]{0,3})?)?")
OPEN_NUMBER = re.compile(rf"-|{INTEGER}(?:\.|(?:{FRACTION})?[eE][+-]?)")

# What comes next.
VALUE, VALUE_OR_END, KEY, KEY_OR_END, COLON, COMMA_OR_END = range(6)
CLOSERS = {"{": "}", "[": "]"}


def is_json_prefix(text):
    closers, state, at = [], VALUE, 0
    while (at := SPACE.match(text, at).end()) < len(text):
        wants_value = state in (VALUE, VALUE_OR_END)
        wants_key = state in (KEY, KEY_OR_END)
        if wants_key and OPEN_STRING.fullmatch(text, at) or wants_value and is_open(text, at):
            return True
        if string := STRING.match(text, at):
            if not wants_value and not wants_key:
                return False
            at, state = string.end(), COLON if wants_key else COMMA_OR_END
            continue
        if scalar := SCALAR.match(text, at):
            if not wants_value:
                return False
            at, state = scalar.end(), COMMA_OR_END
            continue
        mark = text[at]
        at += 1
        if mark in CLOSERS and wants_value:
            closers.append(CLOSERS[mark])
            state = KEY_OR_END if mark == "{" else VALUE_OR_END
        elif mark == ":" and state == COLON:
            state = VALUE
        elif mark == "," and state == COMMA_OR_END and closers:
            state = KEY if closers[-1] == "}" else VALUE
        elif closers and mark == closers[-1] and state in (VALUE_OR_END, KEY_OR_END, COMMA_OR_END):
            closers.pop()
            state = COMMA_OR_END
        else:
            return False
    return True


def is_open(text, at):
    """The rest is the beginning of a string, a number or a word."""
    rest = text[at:]
    return bool(OPEN_STRING.fullmatch(rest) or OPEN_NUMBER.fullmatch(rest)
                or any(word != rest and word.startswith(rest) for word in WORDS))

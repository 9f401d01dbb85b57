#!/usr/bin/env python3
"""Writes src/base/letter_case.inc: upper and lower case of every character, as Python sees it.

    tools/make_letter_case.py > src/base/letter_case.inc
"""
import sys
import unicodedata


def mappings(convert):
    single, several = {}, {}
    for code in range(sys.maxunicode + 1):
        if 0xD800 <= code < 0xE000:
            continue
        text = convert(chr(code))
        if text == chr(code):
            continue
        if len(text) == 1:
            single[code] = ord(text) - code
        else:
            several[code] = text
    return single, several


def run_length(codes, single, at, step):
    n = 1
    while (at + n < len(codes) and codes[at + n] == codes[at + n - 1] + step
           and single[codes[at + n]] == single[codes[at]]):
        n += 1
    return n


def ranges(single):
    codes, at = sorted(single), 0
    while at < len(codes):
        n, step = max((run_length(codes, single, at, step), -step) for step in (1, 2))
        yield codes[at], codes[at + n - 1], -step, single[codes[at]]
        at += n


def print_table(name, convert):
    single, several = mappings(convert)
    print(f"constexpr CaseRange k{name}Ranges[] = {{")
    for first, last, step, delta in ranges(single):
        print(f"    {{0x{first:04X}, 0x{last:04X}, {step}, {delta}}},")
    print("};")
    print(f"constexpr CaseText k{name}Texts[] = {{")
    for code, text in sorted(several.items()):
        escaped = "".join(c if c.isascii() else f"\\u{ord(c):04X}" for c in text)
        print(f'    {{0x{code:04X}, "{escaped}"}},')
    print("};")


print(f"// Made by tools/make_letter_case.py from Unicode {unicodedata.unidata_version}.")
print_table("Lower", str.lower)
print_table("Upper", str.upper)

"""Makes a tiny random body that can chat: a golden body with the vocabulary of all control pieces.

The golden bodies have few pieces; here their embedding rows are repeated for the many pieces of
tokenizer-small.gguf. What such a body says has no meaning, but it can say everything.
"""

import pathlib
import struct

ALIGNMENT = 32
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # by value type
STRING, ARRAY = 8, 9


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, code):
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize(code)
        return value

    def string(self):
        size = self.number("Q")
        self.at += size
        return self.data[self.at - size:self.at]

    def skip_value(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            item, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.skip_value(item)
        else:
            self.at += SIZES[kind]


def read(path):
    """{key: its bytes with key and type}, [(name, shape, type, data)]"""
    data = pathlib.Path(path).read_bytes()
    reader = Reader(data)
    assert reader.number("I") == 0x46554747
    reader.number("I")
    n_tensors, n_keys = reader.number("Q"), reader.number("Q")
    keys = {}
    for _ in range(n_keys):
        begin = reader.at
        key = reader.string().decode()
        reader.skip_value(reader.number("I"))
        keys[key] = data[begin:reader.at]
    infos = []
    for _ in range(n_tensors):
        name = reader.string()
        shape = [reader.number("Q") for _ in range(reader.number("I"))]
        infos.append((name, shape, reader.number("I"), reader.number("Q")))
    start = padded(reader.at)
    ends = sorted({offset for *_, offset in infos} | {len(data) - start})
    end_of = {offset: end for offset, end in zip(ends, ends[1:])}
    return keys, [(name, shape, kind, data[start + offset:start + end_of[offset]])
                  for name, shape, kind, offset in infos]


def padded(size):
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def write(path, keys, tensors):
    head = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(keys)) + b"".join(keys.values())
    offset = 0
    for name, shape, kind, data in tensors:
        head += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", size) for size in shape)
        head += struct.pack("<IQ", kind, offset)
        offset += padded(len(data))
    with open(path, "wb") as file:
        for part in [head, *(data for *_, data in tensors)]:
            file.write(part + bytes(padded(len(part)) - len(part)))


def make(path, body, tokenizer):
    keys, tensors = read(body)
    pieces, _ = read(tokenizer)
    keys = {key: value for key, value in keys.items() if not key.startswith("tokenizer.")}
    keys |= {key: value for key, value in pieces.items() if key.startswith("tokenizer.")}
    tokens = Reader(pieces["tokenizer.ggml.tokens"])
    tokens.string()
    tokens.at += 8  # two types
    n_pieces = tokens.number("Q")
    write(path, keys, [repeat_rows(tensor, n_pieces) for tensor in tensors])


def repeat_rows(tensor, n_rows):
    name, shape, kind, data = tensor
    if name not in (b"token_embd.weight", b"per_layer_token_embd.weight"):
        return tensor
    row_size = 2 * shape[0]  # bf16
    rows = data[:row_size * shape[1]]
    times = -(-n_rows // shape[1])
    return name, [shape[0], n_rows], kind, (rows * times)[:row_size * n_rows]

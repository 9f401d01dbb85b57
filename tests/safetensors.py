"""Reads and writes safetensors files as flat arrays, with the standard library alone."""

import array
import json
import pathlib
import struct

TYPE_CODES = {"F32": "f", "I32": "i", "U8": "B"}


def load(path):
    """{name: array}, row by row."""
    data = pathlib.Path(path).read_bytes()
    (header_size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + header_size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        begin, end = (8 + header_size + offset for offset in info["data_offsets"])
        tensors[name] = array.array(TYPE_CODES[info["dtype"]], data[begin:end])
    return tensors


def save(path, tensors):
    """From {name: (shape, array)}."""
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        (dtype,) = [key for key, code in TYPE_CODES.items() if code == values.typecode]
        begin = len(data)
        data += values.tobytes()
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)

"""How far next-token distributions lie from those of a reference, row by row of logits."""

import array
import json
import math
import struct


def log_probabilities(logits):
    largest = max(logits)
    log_sum = largest + math.log(math.fsum(math.exp(value - largest) for value in logits))
    return [value - log_sum for value in logits]


def kl_divergence(p, q):
    """Nats lost by taking q for p; both are logarithms."""
    return math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q))


class Divergence:
    """Gathers the rows of one side."""

    def __init__(self):
        self.kl = []
        self.n_same_top = 0

    def add(self, reference, other):
        """Log-probabilities of one position."""
        self.kl.append(kl_divergence(reference, other))
        self.n_same_top += reference.index(max(reference)) == other.index(max(other))

    def summary(self):
        n = len(self.kl)
        return {"same_top": self.n_same_top / n, "mean_kl": math.fsum(self.kl) / n,
                "max_kl": max(self.kl)}


def raw_rows(path, n_columns):
    """The rows of a file of f32 values."""
    with open(path, "rb") as file:
        yield from read_rows(file, n_columns)


def safetensors_rows(path, name):
    """The rows of a matrix of f32 values in a safetensors file."""
    with open(path, "rb") as file:
        n_header, = struct.unpack("<Q", file.read(8))
        tensor = json.loads(file.read(n_header))[name]
        n_rows, n_columns = tensor["shape"]
        file.seek(8 + n_header + tensor["data_offsets"][0])
        for _, row in zip(range(n_rows), read_rows(file, n_columns)):
            yield row


def read_rows(file, n_columns):
    while data := file.read(4 * n_columns):
        row = array.array("f")
        row.frombytes(data)
        yield row

"""Documents for the tests of the training loop: a random span, a gap, and the span once more."""

import numpy as np

SKILLS = ("copying",)
VOCAB = 96


def document(random):
    n, gap = random.integers(4, 12), random.integers(0, 12)
    span = random.integers(8, VOCAB, n)
    ids = np.concatenate(([2], span, random.integers(8, VOCAB, gap), [3], span)).astype(np.uint16)
    weights = np.zeros(len(ids), np.float16)
    weights[-n:] = 1.0  # the mark 3 stands before the second span, but the first id needs a search
    return ids, weights, 0


def documents(progress, seed):
    random = np.random.default_rng(seed)
    while True:
        yield document(random)


def heldout(seed, n_each):
    random = np.random.default_rng([seed, 99])
    return [document(random) for _ in range(n_each)]

"""Training documents: token ids with the weight of each in the loss, of all skills, without end.

    for ids, weights, skill in documents(lambda: progress, seed=1): ...
"""

import importlib
import random
from pathlib import Path

import numpy as np

from keeper import render
from keeper.tokenizer import ORDINARY, Tokenizer
from keeper.words import Fillers

MAX_TOKENS = 1024
TOKENIZER = Path(__file__).parents[2] / "models/keeper/tokenizer.json"

# skill: share of the tokens. Each is a module of this package with make(fill, size).
SHARES = {"own": 0.11, "unseen": 0.32, "everyday": 0.05, "thoughts": 0.15, "answers": 0.14,
          "memory": 0.10, "chat": 0.04, "manners": 0.07, "stories": 0.02}
SKILLS = ("copying", *SHARES)


def _module(skill):
    return importlib.import_module("keeper." + skill)


def _size(generator, progress):
    """Tokens wanted: short documents first."""
    if progress < 0.08:
        return generator.randint(100, 300)
    if progress < 0.25:
        return generator.choice((200, 350, 500, 700))
    return generator.choice((250, 450, 700, 850, 950))


def make(skill, fill, size):
    """A Conversation, or plain text for stories."""
    if skill == "stories":
        return _module(skill).make_text(fill, size)
    if skill == "unseen" and size < 180:
        return _module(skill).make(fill, size, n=fill.random.randint(1, 2))
    return _module(skill).make(fill, size)


def encode(tokenizer, document):
    if isinstance(document, str):
        ids = tokenizer.encode(render.BOS + document)
        return ids, [render.GIVEN] + [render.SAID] * (len(ids) - 1)
    return tokenizer.encode_document(document)


def copying(generator, tokenizer):
    """Random spans that come again after a gap: grows the heads that copy."""
    low, high = ORDINARY, len(tokenizer.pieces) - 5
    ids, weights = [2], [0.0]
    while len(ids) < 200:
        span = [generator.randrange(low, high) for _ in range(generator.randint(3, 12))]
        gap = [generator.randrange(low, high) for _ in range(generator.randint(0, 30))]
        ids += span + gap + span
        # The first id of the second span cannot be known.
        weights += [0.0] * (len(span) + len(gap) + 1) + [1.0] * (len(span) - 1)
    return ids, weights


def documents(progress, seed, held_out=False):
    """Yields (ids [n] uint16, weights [n] float16, skill); progress() is the share of the training
    that is done."""
    tokenizer = Tokenizer(TOKENIZER)
    generator = random.Random(seed)
    fill = Fillers(generator, held_out, tokenizer.ordinary)
    done = {skill: 1.0 for skill in SHARES}
    while True:
        now = progress()
        if now < 0.02:
            skill = "copying"
            ids, weights = copying(generator, tokenizer)
        else:
            # The skill whose share is furthest behind, with some chance for the others.
            skill = min(SHARES, key=lambda s: done[s] / SHARES[s] * generator.uniform(0.8, 1.25))
            ids, weights = encode(tokenizer, make(skill, fill, _size(generator, now)))
            done[skill] += len(ids)
        yield (np.array(ids[:MAX_TOKENS], np.uint16), np.array(weights[:MAX_TOKENS], np.float16),
               SKILLS.index(skill))


def heldout(seed, n_each=40):
    """A fixed list of documents with held-out fillers, for a look during the training."""
    tokenizer = Tokenizer(TOKENIZER)
    found = []
    for skill in SHARES:
        fill = Fillers(random.Random(f"{seed}/{skill}"), True, tokenizer.ordinary)
        for _ in range(n_each):
            ids, weights = encode(tokenizer, make(skill, fill, 500))
            found.append((np.array(ids[:MAX_TOKENS], np.uint16),
                          np.array(weights[:MAX_TOKENS], np.float16), SKILLS.index(skill)))
    return found


def texts(n_documents):
    """Rendered documents as text with control characters, for training the tokenizer."""
    generator = random.Random("tokenizer")
    fill = Fillers(generator)
    skills, shares = list(SHARES), [0.12, 0.17, 0.08, 0.08, 0.1, 0.17, 0.14, 0.06, 0.08]
    for _ in range(n_documents):
        skill = generator.choices(skills, shares)[0]
        document = make(skill, fill, generator.choice((200, 500, 800)))
        if isinstance(document, str):
            yield document
        else:
            yield "".join(text for text, _ in render.render(document))

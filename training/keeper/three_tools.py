"""The first experiment: one task, three tools never seen before, with one or two arguments.

    python -m keeper.train --data keeper.three_tools --tokens 5e6 --batch 4

Its document is one set of tools and several questions about it. It is learnt when the held-out
documents show it (exact.csv) within 5 M tokens.
"""

import random

import numpy as np

from keeper import data, unseen
from keeper.render import Conversation
from keeper.tokenizer import Tokenizer
from keeper.words import Fillers

SKILLS = ("copying", "one_tool", "three_tools", "choice")


def _conversation(fill, n_tools, n_questions):
    tools = unseen.tool_set(fill, n_tools, fill.random.randint(1, 2))
    conversation = Conversation(tools=[tool.declaration for tool in tools])
    for _ in range(n_questions):
        tool, text, arguments = unseen.ask(fill, tools)
        conversation.user(unseen.finish(fill, text))
        conversation.model(calls=[(tool.name, arguments)])
        result, answer = unseen.result_and_answer(fill, tool)
        conversation.results([result])
        conversation.model(answer)
    return conversation


def documents(progress, seed):
    tokenizer = Tokenizer(data.TOKENIZER)
    fill = Fillers(random.Random(seed), False, tokenizer.ordinary)
    while True:
        now = progress()
        if now < 0.03:
            skill, (ids, weights) = 0, data.copying(fill.random, tokenizer)
        else:
            skill, n_tools, n_questions = (1, 1, 2) if now < 0.2 else (2, 3, 5)
            ids, weights = tokenizer.encode_document(_conversation(fill, n_tools, n_questions))
        yield (np.array(ids[:data.MAX_TOKENS], np.uint16),
               np.array(weights[:data.MAX_TOKENS], np.float16), skill)


def heldout(seed, n_each=150):
    """Documents of one question: all of the call counts, or only the choice of its tool."""
    tokenizer = Tokenizer(data.TOKENIZER)
    found = []
    for skill, n_tools in ((1, 1), (2, 3), (3, 3)):
        fill = Fillers(random.Random(f"{seed}/{skill}"), True, tokenizer.ordinary)
        for _ in range(n_each):
            conversation = _conversation(fill, n_tools, 1)
            call = conversation.messages[1]
            conversation.messages[3]["weight"] = 0.0
            ids, weights = tokenizer.encode_document(conversation)
            if skill == 3:  # only the name counts: what follows "call:"
                name = tokenizer.encode("call:" + call["tool_calls"][0]["function"]["name"] + "{")
                start = next(k for k in range(len(ids)) if ids[k:k + len(name)] == name)
                weights = [1.0 if start <= k < start + len(name) else 0.0 for k in range(len(ids))]
            found.append((np.array(ids[:data.MAX_TOKENS], np.uint16),
                          np.array(weights[:data.MAX_TOKENS], np.float16), skill))
    return found

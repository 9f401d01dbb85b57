"""Thought, then action: the last line of a thought says the action, and the action follows it.

The last line is "So: call NAME with ARG=VALUE, ARG=VALUE.", more calls joined by
", then NAME with …", or "So: no call.". eval/thoughts.py reads it.
"""

from keeper import chat, memory, own, unseen
from keeper.render import SAID, Conversation, sorted_keys
from keeper.unseen import capital, finish


def spell(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(spell, value)) + "]"
    return str(value)


def spell_call(call):
    name, arguments = call
    if not arguments:
        return name
    members = ", ".join(f"{key}={spell(arguments[key])}" for key in sorted_keys(arguments))
    return f"{name} with {members}"


def so(calls):
    """The last line."""
    if not calls:
        return "So: no call."
    return "So: call " + ", then ".join(map(spell_call, calls)) + "."


WORKED = f"The call worked.\n{so([])}"
WANTED = {"read_sensor": "a reading", "set_device": "a device switched", "schedule": "a schedule",
          "notify": "a message sent"}


def draw_switch(fill):
    """(device, state, how a user asks for it without a zone)"""
    device, state, text = own.draw_switch(fill)
    return device, state, own.without_zone(text)


def decide(conversation, asked, device, state, read):
    """Compares a reading with its limit, then acts or not. What was `read` is told after an
    action too. Returns the opposite thought."""
    call = own.switch_call(asked.zone, device, state)
    judgement, holds = asked.judge()
    calls, opposite = ([call], []) if holds else ([], [call])
    thought = f"{judgement}\n{so(calls)}"
    if holds:
        conversation.model(thought=thought, calls=calls)
        conversation.results([{"ok": True}])
        answer = own.switch_answer(asked.zone, device, state)
        conversation.model(f"{asked.answer()} {answer}" if read else answer, thought=WORKED)
    else:
        conversation.model(f"{asked.answer()} {own.left_alone(device)}", thought=thought)
    return f"{asked.facts()} {asked.verdict(not holds)}\n{so(opposite)}", opposite


def add_steps(conversation, steps, before, after):
    """The calls of steps (call, result, answer) at once, with a thought before and after them."""
    calls = [call for call, _, _ in steps]
    conversation.model(thought=f"{before}\n{so(calls)}", calls=calls)
    conversation.results([result for _, result, _ in steps])
    conversation.model(" ".join(answer for _, _, answer in steps), thought=f"{after}\n{so([])}")


# Each of these adds one exchange. Those that compare return the opposite thought, with which an
# evaluation asks whether the action follows the thought: (its text, the calls that follow from it).

def told_reading(fill, conversation):
    """The reading is in the request: compare, then act or not."""
    asked = own.condition(fill)
    device, state, action = draw_switch(fill)
    name, said = fill.pick(own.QUANTITIES[asked.quantity][0]), own.with_the(fill, asked.zone)
    text = fill.pick((
        "the {q} in {z} is {v}. {A} if it is {w} {l}",
        "{z} has a {q} of {v}. If that is {w} {l}, {a}",
        "if the {q} is {w} {l}, {a} in {z}. It is {v} now",
        "{q} in {z}: {v}. {A} when it is {w} {l}",
        "in {z} the {q} is {v}. {A} only if it is {w} {l}",
        "I read a {q} of {v} in {z}. {A} there if it is {w} {l}")).format(
            q=name, z=said, v=asked.value, w=asked.word, l=asked.limit, a=action,
            A=capital(action))
    conversation.user(finish(fill, text))
    return decide(conversation, asked, device, state, read=False)


def read_first(fill, conversation):
    """The reading must be fetched: two steps."""
    asked = own.condition(fill)
    device, state, action = draw_switch(fill)
    name, said = fill.pick(own.QUANTITIES[asked.quantity][0]), own.with_the(fill, asked.zone)
    text = fill.pick((
        "if the {q} in {z} is {w} {l}, {a}", "check the {q} in {z}. If it is {w} {l}, {a}",
        "{a} in {z} if the {q} there is {w} {l}", "when the {q} in {z} is {w} {l}, {a}",
        "is the {q} in {z} {w} {l}? Then {a}")).format(
            q=name, z=said, w=asked.word, l=asked.limit, a=action)
    conversation.user(finish(fill, text))
    need = f"I need the {asked.quantity} of {own.said_zone(asked.zone)} first."
    conversation.model(thought=f"{need}\n{so([asked.call()])}", calls=[asked.call()])
    conversation.results([asked.result(fill)])
    return decide(conversation, asked, device, state, read=True)


SUPERLATIVES = {  # quantity: (of the highest, of the lowest)
    "temperature": ("warmest", "coldest"), "humidity": ("dampest", "driest"),
    "soil": ("wettest", "driest"), "light": ("brightest", "darkest"),
    "co2": ("highest", "lowest"),
}


def draw_readings(fill, quantity, n):
    """[(zone, value)], all different also without what follows the point."""
    readings = []
    while len(readings) < n:
        zone, value = fill.zone(), own.reading(fill, quantity)
        if all(zone != other and int(value) != int(its) for other, its in readings):
            readings.append((zone, value))
    return readings


def find_extreme(readings, high):
    """(the search in words, index of the highest or lowest)"""
    # Both are named, as they stand in the request, before the wanted one is: each step follows from
    # one word, and what it names is near.
    lines, top = [f"Wanted: {'higher' if high else 'lower'}."], 0
    named = [f"{own.said_zone(zone)} {value}" for zone, value in readings]
    for k in range(1, len(readings)):
        reason, larger = own.compare(readings[k][1], readings[top][1])
        more, less = (named[k], named[top]) if larger else (named[top], named[k])
        lines.append(f"{named[k]} against {named[top]}: {reason}. Higher: {more}. Lower: {less}.")
        top = k if larger == high else top
    return " ".join(lines), top


def pick_zone(fill, conversation):
    """Readings of two or three zones: the action is for the highest or the lowest."""
    quantity = fill.pick(list(own.QUANTITIES))
    readings = draw_readings(fill, quantity, fill.random.randint(2, 3))
    high = fill.chance(0.5)
    word = SUPERLATIVES[quantity][0 if high else 1]
    device, state, action = draw_switch(fill)
    name = fill.pick(own.QUANTITIES[quantity][0])
    listed = ", ".join(f"{own.with_the(fill, zone)} {value}" for zone, value in readings)
    text = fill.pick((
        "{q}: {r}. {A} in the {w} one", "the readings of {q} are {r}. {A} in the {w} zone",
        "{A} in the {w} of these, by {q}: {r}", "{q} now: {r}. {A} where it is {w}")).format(
            q=name, r=listed, A=capital(action), w=word)
    conversation.user(finish(fill, text))

    def conclude(k):
        zone, value = readings[k]
        calls = [own.switch_call(zone, device, state)]
        return f"The {word} is {own.said_zone(zone)} with {value}.\n{so(calls)}", calls

    search, best = find_extreme(readings, high)
    thought, calls = conclude(best)
    opposite = conclude(fill.pick([k for k in range(len(readings)) if k != best]))
    conversation.model(thought=f"{search} {thought}", calls=calls)
    conversation.results([{"ok": True}])
    conversation.model(own.switch_answer(readings[best][0], device, state), thought=WORKED)
    return opposite


def order_steps(fill, conversation):
    """Two actions in one request, the second named first or last."""
    one, first = own.ask_switch(fill)
    two, second = fill.pick((own.ask_switch, own.ask_notify, own.ask_schedule))(fill)
    text = fill.pick(("first {a}, then {b}", "{a} and after that {b}", "before you {b}, {a}",
                      "{b}, but first {a}", "{b} after you {a}")).format(
                          a=one.rstrip("?"), b=two.rstrip("?"))
    conversation.user(finish(fill, text))
    add_steps(conversation, first + second, "There are two steps.", "Both calls are done.")


def plain(fill, conversation):
    """One request that needs no comparison."""
    text, steps = fill.pick((*own.ONE_CALL, own.ask_two))(fill)
    conversation.user(finish(fill, text))
    what = " and ".join(WANTED[name] for (name, _), _, _ in steps)
    add_steps(conversation, steps, f"The user wants {what}.", "I have the results.")


def no_call(fill, conversation):
    question, answer = fill.pick(own.THANKS)
    thought = "The user asks for nothing."
    if fill.chance(0.4):
        question, answer = own.outside(fill), own.NO_TOOL
        thought = "None of the tools can do that."
    conversation.user(question)
    conversation.model(answer, thought=f"{thought}\n{so([])}")


KINDS = (told_reading, read_first, pick_zone, order_steps, plain, no_call)
SHARES = (20, 18, 32, 10, 14, 6)


def unseen_exchange(fill, conversation, tools):
    """The thought repeats the description of the tool it chooses, then its name."""
    tool, text, arguments = unseen.ask(fill, tools)
    conversation.user(finish(fill, text))
    wanted = tool.thing if tool.query else f"{tool.verb[0]} the {tool.thing}"
    step = ((tool.name, arguments), *unseen.result_and_answer(fill, tool))
    add_steps(conversation, [step],
              f"The user wants: {wanted}. The tool for it: {tool.description}",
              "I have the result.")


def talk(fill, size):
    """Small talk and things remembered, with a thought that only repeats what was said."""
    conversation = fill.pick((chat, memory)).make(fill, size)
    conversation.think = True
    last_user = max(k for k, m in enumerate(conversation.messages) if m["role"] == "user")
    conversation.messages = conversation.messages[:last_user + 2]
    for message in conversation.messages:
        if message["role"] == "assistant":
            message["weight"] = 0.0
    answer = conversation.messages[-1]
    answer["weight"] = SAID
    said = conversation.messages[last_user]["content"].strip()
    answer["reasoning"] = f"The user says: {said}\n{so([])}"
    return conversation


def make(fill, size):
    """Earlier exchanges stand there without their thoughts, as the renderer drops them; only the
    last one counts."""
    if fill.chance(0.07):
        return talk(fill, min(size, 500))
    if fill.chance(0.25):
        tools = unseen.tool_set(fill)
        conversation = Conversation(system=unseen.system_text(fill), think=True,
                                    tools=[tool.declaration for tool in tools])
        add = lambda: unseen_exchange(fill, conversation, tools)  # noqa: E731
    else:
        conversation = own.start(fill, think=True)
        add = lambda: fill.random.choices(KINDS, SHARES)[0](fill, conversation)  # noqa: E731
    for _ in range(fill.random.choices((0, 1, 2), (6, 3, 1))[0] if size > 600 else 0):
        add()
    for message in conversation.messages:
        if message["role"] == "assistant":
            message["weight"] = 0.0
    add()
    return conversation

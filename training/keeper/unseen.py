"""Tools that the model has never seen: it reads names, parameters and enums from the declaration.

A tool does something (a verb) to a thing (a noun, perhaps with an adjective). The request shares
at least one of the two words with the description of the right tool; the others of the set share
the verb or the noun with it in most sets, and half of the names say nothing.
"""

from dataclasses import dataclass

from keeper import parameters as P
from keeper.render import Conversation, compact_json, render
from keeper.words import VERBS

SYSTEMS = [
    "You are a helpful assistant.", "You are a helpful assistant with tools.",
    "Use the tools when they help.", "You can call functions.", "Answer briefly.",
    "You are an assistant. Call a tool when the user asks for something that it does.",
    "Help the user with the tools given.", "You work for {person}.",
    "You are the assistant of {person} in {city}.", "Today is a quiet day at the {noun} in {city}.",
]
NAME_WEIGHT = 3.0  # in the loss: one token in twenty of what the model says is the choice of a tool
REFUSAL = "None of my tools can do that."
THANKS = [("Thanks!", "You are welcome."), ("Thank you.", "You are welcome."),
          ("Great.", "Is there anything else?"), ("Good, thanks.", "You are welcome."),
          ("ok", "Is there anything else?"),
          ("That is all for now.", "Good. Tell me when you need more."),
          ("Hello", "Hello! What can I do for you?"), ("Hi there", "Hello! What can I do for you?")]

# Verbs that a user may say for one another, where no other tool of the set has one of the group.
SYNONYMS = [group.split() for group in (
    "delete remove wipe clear", "find search locate", "get fetch", "start launch", "buy order",
    "book reserve", "change edit update adjust", "create build prepare", "send post forward",
    "fix repair", "choose pick", "check inspect verify review test", "calculate compute",
    "save store record archive", "track monitor", "show list", "rent borrow hire", "cut trim",
    "clean wash wipe", "move ship deliver", "write draw", "measure weigh", "print publish")]
BY_BASE = {verb[0]: verb for verb in VERBS}


@dataclass
class Tool:
    verb: tuple  # base, third person, past, -ing
    thing: str  # "spare key"
    query: bool  # it answers with something, rather than doing something
    plural: bool = False  # said as "spare keys"
    name: str = ""
    description: str = ""
    parameters: list = None

    @property
    def declaration(self):
        declared = {"name": self.name, "description": self.description}
        if self.parameters:
            declared["parameters"] = P.properties(self.parameters)
        else:
            declared["parameters"] = {"type": "object", "properties": {}}
        return declared


def capital(text):
    return text[0].upper() + text[1:]


def plural(thing):
    if thing.endswith(("s", "x", "ch", "sh")):
        return thing + "es"
    if thing.endswith("y") and thing[-2] not in "aeou":
        return thing[:-1] + "ies"
    return thing + "s"


def said_thing(fill, tool, articles):
    """With an article or another word before it."""
    if tool.plural and fill.chance(0.8):
        return fill.pick(("", "", "the ", "some ", "my ")) + plural(tool.thing)
    word = fill.pick(articles)
    return P.article(tool.thing) if word == "a" else word + " " + tool.thing


def synonym(fill, tool, tools):
    """The verb of a request: mostly the tool's own."""
    for group in SYNONYMS:
        if tool.verb[0] in group and fill.chance(0.25):
            if not any(t is not tool and t.verb[0] in group for t in tools):
                return BY_BASE[fill.pick(group)]
    return tool.verb


def _describe(fill, tool):
    base, third, _, ing = tool.verb
    thing = said_thing(fill, tool, ("the", "the", "a"))
    if tool.query:
        text = fill.pick((
            "Returns {t}", "Gets {t}", "Get {t}", "Returns {t} as text", "Tells {t}",
            "Looks up {t}", "Shows {t}", "Find {t}", "{T}", "Information about {t}",
            "Retrieves {t}")).format(t=thing, T=capital(thing))
    else:
        text = fill.pick((
            "{V} {t}", "{V} {t}", "{B} {t}", "{B} {t}", "Tool that {v} {t}", "Use this to {b} {t}",
            "Can {b} {t}", "A function for {i} {t}", "{I} {t}", "{V} {t} for the user",
            "{V} {t} and says whether it worked")).format(
                V=capital(third), v=third, B=capital(base), b=base, I=capital(ing), i=ing, t=thing)
    if fill.chance(0.15):
        text += fill.pick((" of the {}", " at the {}", " in the {}")).format(fill.noun())
    return text + fill.pick((".", ".", ""))


def _name(fill, tool):
    roll = fill.random.random()
    if roll < 0.25:
        return fill.word()
    if roll < 0.42:
        return P.spell_name(fill, [fill.word(), fill.word()])
    if roll < 0.50:
        return P.spell_name(fill, [fill.noun(), fill.word()])
    verb = fill.pick(("get", "get", "find", "query", "lookup")) if tool.query else tool.verb[0]
    return P.spell_name(fill, [verb, *tool.thing.split()])


def _thing(fill):
    noun = fill.noun()
    roll = fill.random.random()
    if roll < 0.25:
        return fill.pick(fill.adjectives) + " " + noun
    if roll < 0.4:
        return fill.noun() + " " + noun
    return noun


def _purpose(fill, tools, shared):
    """(verb, thing, query); if `shared`, mostly with the verb or the thing of another tool."""
    verb, thing, query = fill.pick(fill.verbs), _thing(fill), fill.chance(0.35)
    if tools and shared and fill.chance(0.7):
        other = fill.pick(tools)
        if fill.chance(0.5) and not other.query:
            verb, query = other.verb, False
        elif not query and fill.chance(0.6):  # something else is done with the same thing
            thing = other.thing
        elif not query:
            thing = fill.pick(fill.adjectives) + " " + other.thing.split()[-1]
    return verb, thing, query


def tool_set(fill, n=None, n_parameters=None):
    """n tools with different names; in most sets they share words."""
    n = n or fill.random.choices((1, 2, 3, 4, 5), (10, 22, 32, 28, 8))[0]
    tools, names, pairs = [], set(), set()
    shared = fill.chance(0.6)
    while len(tools) < n:
        verb, thing, query = _purpose(fill, tools, shared)
        key = ("?", thing) if query else (verb[0], thing)
        if key in pairs or (query and any(t.thing == thing for t in tools)):
            continue
        pairs.add(key)
        tool = Tool(verb, thing, query, plural=fill.chance(0.2))
        count = n_parameters
        if count is None:
            count = fill.random.choices((0, 1, 2, 3, 4), (8, 36, 34, 17, 5))[0]
        tool.parameters = P.parameters(fill, count)
        for p in tool.parameters[1:]:
            p.required = not fill.chance(0.25)
        tool.description = _describe(fill, tool)
        tool.name = _name(fill, tool)
        if tool.name.lower() in names:
            continue
        names.add(tool.name.lower())
        tools.append(tool)
    fill.random.shuffle(tools)
    return tools


def request_text(fill, tool, tools, phrases):
    """What a user says to have this tool called, without its final mark."""
    base, _, past, ing = synonym(fill, tool, tools)
    tail = P.join_phrases(fill, phrases)
    rivals = [other for other in tools if other is not tool]
    if tool.query:
        thing = said_thing(fill, tool, ("the", "the", "the", "my", "our", "this"))
        form = fill.pick((
            "what is {t}{a}?", "what's {t}{a}?", "how is {t}{a}?", "{t}{a}?", "tell me {t}{a}",
            "show me {t}{a}", "I need {t}{a}", "give me {t}{a}", "I would like to know {t}{a}",
            "look up {t}{a}", "find {t}{a}", "what about {t}{a}?", "{T}{a}, please",
            "do you know {t}{a}?", "can you get {t}{a}?", "check {t}{a}"))
    else:
        thing = said_thing(fill, tool, ("the", "the", "a", "my", "our", "this"))
        forms = [
            "{b} {t}{a}", "{b} {t}{a}", "please {b} {t}{a}", "could you {b} {t}{a}?",
            "can you {b} {t}{a}?", "I want you to {b} {t}{a}", "I need to {b} {t}{a}",
            "I would like to {b} {t}{a}", "let us {b} {t}{a}", "help me {b} {t}{a}",
            "time for {i} {t}{a}", "go and {b} {t}{a}", "we should {b} {t}{a}",
            "you may {b} {t}{a} now", "would you mind {i} {t}{a}?", "{b} {t} now{a}",
            "I want to {b} {t}{a}", "it is time to {b} {t}{a}"]
        if past.endswith("ed") and not tool.plural:
            forms += ["I want {t} {p}{a}", "{t} must be {p}{a}", "get {t} {p}{a}"]
        if all(other.thing.split()[-1] != tool.thing.split()[-1] for other in rivals):
            forms += ["something with {t}{a}", "I need help with {t}{a}", "do {t}{a}"]  # noun alone
        form = fill.pick(forms)
    text = form.format(b=base, i=ing, p=past, t=thing, T=capital(thing), a=tail)
    if fill.chance(0.1):
        text = fill.pick(("hey, ", "hi, ", "well, ", "now ", "next, ", "also ", "then ",
                          "so, ")) + text
    return text


def finish(fill, text, keep_case=False):
    """Capital and final mark, in four of five requests. A value at the start keeps its case."""
    if fill.chance(0.8):
        text = text if keep_case else capital(text)
        if text[-1] not in "?.!":
            text += fill.pick((".", ".", "", "!"))
    return text


def ask(fill, tools):
    """(tool, text without final mark, arguments)"""
    tool = fill.pick(tools)
    arguments, phrases = P.ask_values(fill, tool.parameters)
    return tool, request_text(fill, tool, tools, phrases), arguments


RESULT_KEYS = """result value answer status total state name code info output data size place time
price count level note""".split()


def result_and_answer(fill, tool):
    """What the tool gives back, and what the model says about it."""
    roll = fill.random.random()
    if roll < 0.08:
        reason = fill.pick(("not found", "no access", "timeout", "busy", "not allowed",
                            "unknown " + fill.noun(), fill.word() + " failed"))
        return {"error": reason}, f"That did not work: {reason}."
    if not tool.query and roll < 0.6:
        result = fill.pick(({"ok": True}, {"status": "ok"}, {"success": True}, {"status": "done"},
                            {"result": "done"}, "done", "ok"))
        return result, "Done."
    if not tool.query and roll < 0.8:
        key, code = fill.pick(("id", "code", "number", "reference")), fill.label()
        return {"ok": True, key: code}, f"Done. The {key} is {code}."
    result = {}
    for _ in range(fill.random.choices((1, 2, 3), (60, 30, 10))[0]):
        key = fill.pick(RESULT_KEYS) if fill.chance(0.5) else fill.noun()
        if key in result:
            continue
        value = fill.pick((fill.label, lambda: fill.number(0, 300), lambda: fill.decimal(0, 100),
                           fill.word, fill.person))()
        result[key] = value
    # Results are shown with sorted keys, and told in that order.
    parts = [f"the {key} is {result[key]}" for key in sorted(result, key=str.lower)]
    text = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    if fill.chance(0.05):
        return compact_json(result), capital(text) + "."
    return result, capital(text) + "."


def system_text(fill):
    if fill.chance(0.5):
        return ""
    return fill.pick(SYSTEMS).format(person=fill.person(), city=fill.city(), noun=fill.noun())


def approximate_tokens(conversation):
    return sum(len(text) for text, _ in render(conversation)) / 3


def add_exchange(fill, conversation, tools):
    """One thing that a user says, and everything up to the next."""
    roll = fill.random.random()
    if roll < 0.05:
        question, answer = fill.pick(THANKS)
        conversation.user(question)
        conversation.model(answer)
        return
    if roll < 0.10:
        _add_refusal(fill, conversation, tools)
        return
    tool, text, arguments = ask(fill, tools)
    if roll < 0.15 and tool.parameters:
        first = tool.parameters[0]
        if first.required and not first.slots:
            _add_question_back(fill, conversation, tool, tools)
            return
    calls = [(tool, arguments)]
    if roll > 0.86:
        other, more, its_arguments = ask(fill, tools)
        if (other.name, its_arguments) != (tool.name, arguments):
            text = text.rstrip("?") + fill.pick((" and ", ", and ", ". Also ", "; then ", ", then ",
                                                 " and also ")) + more
            calls.append((other, its_arguments))
    conversation.user(finish(fill, text))
    conversation.model(calls=[(t.name, a) for t, a in calls],
                       name_weight=NAME_WEIGHT if len(tools) > 1 else None)
    pairs = [result_and_answer(fill, t) for t, _ in calls]
    conversation.results([result for result, _ in pairs])
    conversation.model(" ".join(answer for _, answer in pairs))


def _add_refusal(fill, conversation, tools):
    """Something that no tool of the set does: neither its verb nor its thing is in the set."""
    words = {word for t in tools for word in (*t.thing.split(), t.verb[0])}
    while True:
        verb, thing = fill.pick(fill.verbs), fill.noun()
        if not words & {verb[0], thing}:
            break
    other = Tool(verb, thing, fill.chance(0.3), parameters=P.parameters(fill, fill.pick((0, 1))))
    _, phrases = P.ask_values(fill, other.parameters)
    conversation.user(finish(fill, request_text(fill, other, [other, *tools], phrases)))
    conversation.model(REFUSAL)


def _add_question_back(fill, conversation, tool, tools):
    """The first required value is missing: the model asks for it, and calls when it has it."""
    missing, *rest = tool.parameters
    arguments, phrases = P.ask_values(fill, rest)
    conversation.user(finish(fill, request_text(fill, tool, tools, phrases)))
    conversation.model(f"Please tell me the {missing.called}.")
    value = missing.make(fill)
    if isinstance(value, bool):
        spoken = "yes" if value else "no"
    else:
        spoken = P.speak_value(fill, value)
    text = fill.pick(("{v}", "{v}", "{v}, please", "It is {v}", "the {w} is {v}"))
    conversation.user(text.format(v=spoken, w=missing.called))
    conversation.model(calls=[(tool.name, {missing.name: value, **arguments})])
    result, answer = result_and_answer(fill, tool)
    conversation.results([result])
    conversation.model(answer)


def make(fill, size, n=None):
    """A conversation about one set of tools, filled up to about `size` tokens. A third of the sets
    have hardly any parameters: more choices in as many tokens."""
    if n is None and fill.chance(0.33):
        tools = tool_set(fill, fill.random.randint(2, 6), fill.pick((0, 0, 1)))
    else:
        tools = tool_set(fill, n)
    conversation = Conversation(system=system_text(fill),
                                tools=[tool.declaration for tool in tools])
    length = approximate_tokens(conversation)
    while True:
        before = len(conversation.messages)
        add_exchange(fill, conversation, tools)
        length += sum(message_length(m) for m in conversation.messages[before:]) / 3
        if length > size * 0.85:
            return conversation


def message_length(message):
    """In characters, with what stands around it."""
    length = 12 + len(str(message["content"]))
    for call in message.get("tool_calls", ()):
        length += 12 + len(call["function"]["name"]) + len(str(call["function"]["arguments"]))
    return length

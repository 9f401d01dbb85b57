"""O3: tools."""

import json

from openai import OpenAI

from rows import BASE, KEY, WEATHER, check, done, model

client = OpenAI(base_url=f"{BASE}/v1", api_key=KEY)
QUESTION = [{"role": "user", "content": "How warm is it in Paris?"}]
TOOLS = [{"type": "function", "function": WEATHER}]


def ask(script, **change):
    change.setdefault("messages", QUESTION)
    return client.chat.completions.create(model=model(script), tools=TOOLS,
                                          max_completion_tokens=300, **change).choices[0]


@check("required")
def _():
    choice = ask("one-call", tool_choice="required")
    assert choice.finish_reason == "tool_calls"
    assert isinstance(json.loads(choice.message.tool_calls[0].function.arguments), dict)


@check("a round trip", scripted=True)
def _():
    first = ask("parallel-calls").message
    assert [json.loads(c.function.arguments)["city"] for c in first.tool_calls] == ["Paris", "Rome"]
    results = [{"role": "tool", "tool_call_id": call.id, "content": degrees}
               for call, degrees in zip(first.tool_calls, ("21", "25"))]
    assert ask("parallel-calls", messages=[*QUESTION, first, *results]).message.content == \
        "Paris 21, Rome 25."


@check("a streamed call", scripted=True)
def _():
    with client.chat.completions.stream(model=model("one-call"), messages=QUESTION,
                                        tools=TOOLS) as stream:
        for _event in stream:
            pass
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}


done()

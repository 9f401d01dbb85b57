"""O6: responses."""

import json

from openai import OpenAI

from rows import BASE, IS_SCRIPTED, KEY, WEATHER, check, done, model

client = OpenAI(base_url=f"{BASE}/v1", api_key=KEY)


@check("create and stream")
def _():
    reply = client.responses.create(model=model("plain"), input="Hi", max_output_tokens=60,
                                    temperature=0)
    assert reply.output_text and reply.usage.total_tokens > 0
    with client.responses.stream(model=model("plain"), input="Hi", temperature=0,
                                 max_output_tokens=300) as stream:
        types = [event.type for event in stream]
        if IS_SCRIPTED:
            assert stream.get_final_response().output_text == reply.output_text
    assert types[0] == "response.created" and types[-1] in ("response.completed",
                                                            "response.incomplete")


@check("reasoning", scripted=True)
def _():
    with client.responses.stream(model=model("plain"), input="Hi", reasoning={"effort": "low"},
                                 max_output_tokens=400) as stream:
        for _event in stream:
            pass
        final = stream.get_final_response()
    assert [item.type for item in final.output] == ["reasoning", "message"]


@check("a call and its result", scripted=True)
def _():
    tools = [{"type": "function", "strict": False, **WEATHER}]
    first = client.responses.create(model=model("one-call"), input="How warm is it?", tools=tools)
    call = first.output[-1]
    assert json.loads(call.arguments) == {"city": "Paris"}
    second = client.responses.create(
        model=model("one-call"), tools=tools, previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}])
    assert second.output_text == "It is 21 degrees in Paris."


done()

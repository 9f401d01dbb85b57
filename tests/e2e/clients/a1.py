"""A1: the Messages API."""

import anthropic

from rows import BASE, IS_SCRIPTED, KEY, WEATHER, check, done, error_of, model

client = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0)
USER = [{"role": "user", "content": "Hi"}]
TOOLS = [{"name": "get_weather", "description": "Weather.", "input_schema": WEATHER["parameters"]}]


def ask(script, **change):
    change.setdefault("messages", USER)
    change.setdefault("max_tokens", 300)
    return client.messages.create(model=model(script), **change)


@check("create and stream")
def _():
    whole = ask("plain", max_tokens=60, extra_body={"temperature": 0})
    assert whole.content[0].text and whole.stop_reason in ("end_turn", "max_tokens")
    with client.messages.stream(model=model("plain"), max_tokens=60,
                                extra_body={"temperature": 0}, messages=USER) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        assert stream.get_final_message().usage.output_tokens == whole.usage.output_tokens


@check("tool use and its result", scripted=True)
def _():
    first = ask("one-call", tools=TOOLS)
    use = first.content[-1]
    assert first.stop_reason == "tool_use" and use.input == {"city": "Paris"}
    reply = ask("one-call", tools=TOOLS, messages=[
        *USER, {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id,
                                      "content": [{"type": "text", "text": "21 degrees"}]}]}])
    assert reply.content[0].text == "It is 21 degrees in Paris."


@check("thinking", scripted=True)
def _():
    reply = ask("plain", thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    assert [block.type for block in reply.content] == ["thinking", "text"]


@check("count_tokens")
def _():
    count = client.messages.count_tokens(model=model("plain"), messages=USER, tools=TOOLS)
    usage = ask("plain", tools=TOOLS, max_tokens=4).usage
    assert count.input_tokens == usage.input_tokens + usage.cache_read_input_tokens


@check("errors")
def _():
    assert error_of(lambda: ask("plain", extra_body={"temperature": 2}), anthropic.BadRequestError)
    assert error_of(lambda: client.messages.create(model="nobody", max_tokens=9, messages=USER),
                    anthropic.NotFoundError)
    if IS_SCRIPTED:
        assert error_of(lambda: ask("rate-limited"), anthropic.RateLimitError)


done()

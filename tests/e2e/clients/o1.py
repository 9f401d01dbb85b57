"""O1: chat completions, whole and streamed; the asynchronous client too."""

from openai import AsyncOpenAI, OpenAI

from rows import BASE, IS_SCRIPTED, KEY, check, done, model

client = OpenAI(base_url=f"{BASE}/v1", api_key=KEY)
USER = [{"role": "user", "content": "Hi"}]
PLAIN = ("The pump runs at six. Then the fan turns for ten minutes, and the vent stays open until "
         "noon.")


def ask(script="plain", **change):
    change.setdefault("max_completion_tokens", 60)
    return client.chat.completions.create(model=model(script), messages=USER, **change)


@check("an answer")
def _():
    reply = ask(temperature=0)
    assert reply.choices[0].message.content and reply.choices[0].finish_reason in ("stop", "length")
    usage = reply.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert reply._request_id
    if IS_SCRIPTED:
        assert reply.choices[0].message.content == PLAIN


@check("a stream with usage")
def _():
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert sum(bool(c.finish_reason) for chunk in chunks for c in chunk.choices) == 1


@check("the stream helper")
def _():
    whole = ask(temperature=0)
    with client.chat.completions.stream(model=model("plain"), messages=USER, temperature=0,
                                        max_completion_tokens=60) as stream:
        for _event in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content


@check("thoughts, n, stop, logprobs", scripted=True)
def _():
    reply = ask(reasoning_effort="low", max_completion_tokens=400)
    assert reply.choices[0].message.reasoning_content.startswith("The user wants")
    assert len(ask(n=2).choices) == 2
    assert ask(stop="ten minutes").choices[0].message.content == PLAIN[:PLAIN.index("ten minutes")]
    content = ask(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert bytes(b for token in content for b in token.bytes).decode() == PLAIN


@check("the asynchronous client")
async def _():
    async with AsyncOpenAI(base_url=f"{BASE}/v1", api_key=KEY) as other:
        reply = await other.chat.completions.create(
            model=model("plain"), messages=USER, temperature=0, max_completion_tokens=60)
        text = ""
        async for chunk in await other.chat.completions.create(
                model=model("plain"), messages=USER, temperature=0, max_completion_tokens=60,
                stream=True):
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        assert text == reply.choices[0].message.content


done()

"""G11: what G1 to G9 ask, in Python: models, answers, streams, chats, tools, schemas, files, caches."""

import asyncio
import io
import pathlib
import tempfile

import pydantic
from google import genai
from google.genai import errors, types

from rows import BASE, IS_SCRIPTED, KEY, WEATHER, check, done, error_of, model, until_idle

client = genai.Client(api_key=KEY, http_options={"base_url": BASE})
PLAIN = ("The pump runs at six. Then the fan turns for ten minutes, and the vent stays open until "
         "noon.")


def ask(script, contents="Hi", **config):
    config.setdefault("max_output_tokens", 300)
    return client.models.generate_content(model=model(script), contents=contents, config=config)


def adds_up(usage):
    return usage.total_token_count == (usage.prompt_token_count +
                                       (usage.candidates_token_count or 0) +
                                       (usage.thoughts_token_count or 0))


@check("models")
def _():
    names = [item.name for item in client.models.list(config={"page_size": 2})]
    assert f"models/{model('plain')}" in names, names
    assert len(set(names)) == len(names)
    assert client.models.get(model=model("plain")).input_token_limit > 1000
    assert list(client.models.list(config={"query_base": False})) is not None


@check("an answer")
def _():
    reply = ask("plain", temperature=0, system_instruction="Be kind.", seed=1)
    assert reply.text and adds_up(reply.usage_metadata)
    assert reply.candidates[0].finish_reason in (types.FinishReason.STOP,
                                                 types.FinishReason.MAX_TOKENS)
    if IS_SCRIPTED:
        assert reply.text == PLAIN


@check("stop, candidates, log probabilities", scripted=True)
def _():
    assert ask("plain", stop_sequences=["ten minutes"]).text == PLAIN[:PLAIN.index("ten minutes")]
    assert len(ask("plain", candidate_count=2).candidates) == 2
    logprobs = ask("plain", response_logprobs=True, logprobs=2).candidates[0].logprobs_result
    assert len(logprobs.chosen_candidates) == len(logprobs.top_candidates) > 3


@check("a stream")
def _():
    chunks = list(client.models.generate_content_stream(
        model=model("plain"), contents="Hi", config={"max_output_tokens": 60}))
    assert len(chunks) > 1
    assert all(chunk.candidates[0].content.parts for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason
    assert adds_up(chunks[-1].usage_metadata)


@check("an asynchronous answer and stream")
async def _():
    reply = await client.aio.models.generate_content(
        model=model("plain"), contents="Hi", config={"max_output_tokens": 60, "temperature": 0})
    text = ""
    async for chunk in await client.aio.models.generate_content_stream(
            model=model("plain"), contents="Hi",
            config={"max_output_tokens": 60, "temperature": 0}):
        text += chunk.text or ""
    assert text == reply.text and text


@check("thoughts by snake-case dictionaries", scripted=True)
def _():
    reply = ask("plain", thinking_config={"include_thoughts": True, "thinking_budget": 200})
    parts = reply.candidates[0].content.parts
    assert parts[0].thought and parts[0].text and not parts[-1].thought
    assert reply.text == PLAIN and reply.usage_metadata.thoughts_token_count > 0
    assert not ask("plain", thinking_config={"thinking_budget": 0}).usage_metadata.thoughts_token_count


@check("chats remember")
def _():
    for streamed in (False, True):
        chat = client.chats.create(model=model("memory"), config={"max_output_tokens": 100})
        length, answers = 0, []
        for message in ("I am Ada.", "Is the fan on?", "Who am I?"):
            if streamed:
                answers.append("".join(c.text or "" for c in chat.send_message_stream(message)))
            else:
                answers.append(chat.send_message(message).text)
            assert len(chat.get_history(curated=True)) >= length + 2
            length = len(chat.get_history(curated=True))
        if IS_SCRIPTED:
            assert answers == ["Good day, Ada.", "The fan is on.", "You are Ada."], answers


@check("a Python function as a tool, until the loop ends", scripted=True)
def _():
    asked = []

    def get_weather(city: str) -> int:
        """Tells the weather of a city."""
        asked.append(city)
        return 21

    assert ask("one-call", tools=[get_weather]).text == "It is 21 degrees in Paris."
    assert asked == ["Paris"]


@check("calls and modes")
def _():
    tools = [{"function_declarations": [
        {"name": "get_weather", "description": "Weather.", "parameters_json_schema": WEATHER["parameters"]}]}]
    reply = ask("one-call", "How warm is it in Paris?", tools=tools,
                tool_config={"function_calling_config": {"mode": "any"}})
    call = reply.function_calls[0]
    assert call.name == "get_weather" and isinstance(call.args, dict) and call.id
    if not IS_SCRIPTED:
        return
    assert call.args == {"city": "Paris"}
    two = ask("parallel-calls", tools=tools).function_calls
    assert [c.args["city"] for c in two] == ["Paris", "Rome"]
    none = ask("plain", tools=tools, tool_config={"function_calling_config": {"mode": "NONE"}})
    assert none.function_calls is None and none.text == PLAIN


class Person(pydantic.BaseModel):
    name: str
    age: int


@check("a pydantic response_schema gives .parsed")
def _():
    for budget in (0, 200):
        reply = ask("schema", "Who?", response_mime_type="application/json", response_schema=Person,
                    thinking_config={"thinking_budget": budget})
        assert isinstance(reply.parsed, Person), reply.text
        if IS_SCRIPTED:
            assert reply.parsed == Person(name="Ada", age=36)
    text = ask("enum", "Which?", response_mime_type="text/x.enum",
               response_schema={"type": "STRING", "enum": ["red", "green"]}).text
    assert text in ("red", "green"), text


@check("text as bytes, in the URL-safe alphabet")
def _():
    data = "Zone drei: größer? ja>>>???".encode()
    part = types.Part.from_bytes(data=data, mime_type="text/plain")
    reply = ask("echo", [part, "What is it?"])
    if IS_SCRIPTED:
        assert data.decode() in reply.text, reply.text


@check("media are refused by name")
def _():
    for mime_type in ("image/png", "audio/wav", "video/mp4"):
        part = types.Part.from_bytes(data=b"\xff\xfe?>", mime_type=mime_type)
        error = error_of(lambda: ask("plain", [part, "What is it?"]), errors.ClientError)
        assert error.code == 400 and "parts[0]" in error.message, error


def upload_and_use(file, config):
    sent = client.files.upload(file=file, config=config)
    assert sent.uri.startswith(BASE), sent.uri  # reachable as it is written
    assert client.files.get(name=sent.name).name == sent.name
    assert sent.name in [item.name for item in client.files.list(config={"page_size": 2})]
    return sent


@check("files: a path, an IOBase object, an empty one")
def _():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "notes.txt"
        path.write_text("Zone three.")
        sent = upload_and_use(path, {"display_name": "notes"})
        assert sent.display_name == "notes" and sent.size_bytes == 11
        reply = ask("echo", [sent, "Where?"])
        if IS_SCRIPTED:
            assert "Zone three." in reply.text
        client.files.delete(name=sent.name)
    sent = upload_and_use(io.BytesIO(b"x" * (9 << 20)), {"mime_type": "text/plain"})
    assert sent.size_bytes == 9 << 20
    client.files.delete(name=sent.name)
    sent = client.files.upload(file=io.BytesIO(b""), config={"mime_type": "text/plain"})
    assert not sent.size_bytes
    client.files.delete(name=sent.name)
    assert error_of(lambda: client.files.get(name=sent.name), errors.ClientError).code == 404


@check("cached contents")
def _():
    cache = client.caches.create(model=model("echo"), config={
        "contents": ["The pump of zone three runs at six. " * 40], "ttl": "300s",
        "system_instruction": "Be short."})
    reply = ask("echo", "When?", cached_content=cache.name)
    assert reply.usage_metadata.cached_content_token_count > 200
    assert client.caches.update(name=cache.name, config={"ttl": "900s"}).expire_time > cache.expire_time
    assert cache.name in [item.name for item in client.caches.list()]
    client.caches.delete(name=cache.name)
    assert error_of(lambda: client.caches.get(name=cache.name), errors.ClientError).code == 404


@check("countTokens equals the prompt")
def _():
    contents = [types.Content(role="user", parts=[types.Part(text="Grüße 日本")])]
    count = client.models.count_tokens(model=model("plain"), contents=contents).total_tokens
    assert count == ask("plain", contents).usage_metadata.prompt_token_count


@check("errors")
def _():
    for change, code, status in (
            (dict(script="plain", temperature=7), 400, "INVALID_ARGUMENT"),
            (dict(script="rate-limited"), 429, "RESOURCE_EXHAUSTED"),
            (dict(script="queue-full"), 503, "UNAVAILABLE")):
        if not IS_SCRIPTED and code != 400:
            continue
        error = error_of(lambda: ask(**change), errors.APIError)
        assert (error.code, error.status) == (code, status), error
    error = error_of(lambda: client.models.generate_content(model="nobody", contents="Hi"),
                     errors.ClientError)
    assert (error.code, error.status) == (404, "NOT_FOUND")
    error = error_of(lambda: client.models.embed_content(model=model("plain"), contents="Hi"),
                     errors.ClientError)
    assert error.code == 400 and "does not support embedContent" in error.message


@check("an error in mid-stream", scripted=True)
def _():
    said = []

    def read():
        for chunk in client.models.generate_content_stream(model=model("fails"), contents="Hi"):
            said.append(chunk.text)
    error = error_of(read, errors.ServerError)
    assert error.code == 500 and "".join(said)


@check("a client that leaves frees its slot", scripted=True)
async def _():
    leaving = genai.Client(api_key=KEY, http_options={"base_url": BASE}).aio
    stream = await leaving.models.generate_content_stream(model=model("slow"), contents="Count.")
    async for _chunk in stream:
        break
    await leaving.aclose()  # closes its connections
    await asyncio.to_thread(until_idle, 2.0)


done()

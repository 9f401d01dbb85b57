"""L1: lists, chats, thinking, tools, formats; the asynchronous client too."""

import json

import ollama

from rows import BASE, IS_SCRIPTED, WEATHER, check, done, error_of, model

client = ollama.Client(host=BASE)
USER = [{"role": "user", "content": "Hi"}]


def ask(script, messages=None, **change):
    change.setdefault("think", False)
    change.setdefault("options", {"num_predict": 600})
    return client.chat(model=model(script), messages=messages or USER, **change)


@check("list, show, ps")
def _():
    names = [item.model for item in client.list().models]
    assert any(name.startswith(model("plain")) for name in names), names
    shown = client.show(names[0])
    assert shown.modelinfo["general.architecture"] and "completion" in shown.capabilities
    ask("plain")
    assert client.ps().models


@check("chat, and streamed")
def _():
    options = {"temperature": 0, "num_predict": 60}
    whole = ask("plain", options=options)
    pieces = list(ask("plain", options=options, stream=True))
    assert "".join(piece.message.content for piece in pieces) == whole.message.content
    assert pieces[-1].done and pieces[-1].eval_count == whole.eval_count


@check("think", scripted=True)
def _():
    for think in (True, "high"):
        assert ask("plain", think=think).message.thinking.startswith("The user wants")
    assert not ask("plain").message.thinking


@check("a Python callable as a tool, and a dictionary", scripted=True)
def _():
    def get_weather(city: str) -> str:
        """Tells the weather of a city.

        Args:
          city: its name
        """
        return city

    for tool in (get_weather, {"type": "function", "function": WEATHER}):
        first = ask("one-call", tools=[tool])
        call = first.message.tool_calls[0].function
        assert call.name == "get_weather" and call.arguments == {"city": "Paris"}
        result = {"role": "tool", "content": "21 degrees", "tool_name": "get_weather"}
        reply = ask("one-call", [*USER, first.message, result], tools=[tool])
        assert reply.message.content == "It is 21 degrees in Paris.", reply


@check("an image is refused by name")
def _():
    error = error_of(lambda: ask("plain", [{"role": "user", "content": "What?", "images": [b"123"]}]),
                     ollama.ResponseError)
    assert error.status_code == 400 and "images[0]" in error.error, error


@check("format")
def _():
    schema = {"type": "object", "required": ["name", "age"],
              "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    value = json.loads(ask("schema", format=schema).message.content)
    assert list(value) == ["name", "age"]
    if IS_SCRIPTED:
        json.loads(ask("schema", format="json").message.content)


@check("the asynchronous client")
async def _():
    other = ollama.AsyncClient(host=BASE)
    options = {"temperature": 0, "num_predict": 60}
    whole = await other.chat(model=model("plain"), messages=USER, think=False, options=options)
    text = ""
    async for piece in await other.chat(model=model("plain"), messages=USER, think=False,
                                        options=options, stream=True):
        text += piece.message.content
    assert text == whole.message.content and text


done()

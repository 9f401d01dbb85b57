"""L2: generate, and models that are made."""

import os
import pathlib
import tempfile

import ollama

from rows import BASE, IS_SCRIPTED, check, done, error_of, model

client = ollama.Client(host=BASE)


def ask(script, **change):
    change.setdefault("prompt", "Hi")
    return client.generate(model=model(script), think=False,
                           options={"num_predict": 60, "temperature": 0}, **change)


@check("generate, and streamed")
def _():
    whole = ask("plain")
    assert "".join(piece.response for piece in ask("plain", stream=True)) == whole.response
    assert whole.context


@check("context")
def _():
    first = ask("memory", prompt="I am Ada.")
    second = ask("memory", prompt="Who am I?", context=first.context)
    if IS_SCRIPTED:
        assert second.response == "You are Ada."


@check("embed is refused by name")
def _():
    for body in (lambda: client.embed(model=model("plain"), input="Hi"),
                 lambda: client.embeddings(model=model("plain"), prompt="Hi")):
        error = error_of(body, ollama.ResponseError)
        assert error.status_code == 400 and "does not support embeddings" in error.error


@check("create, copy, delete")
def _():
    name = f"made-py-{os.getpid()}"
    assert client.create(model=name, from_=model("plain"), system="Be kind.").status == "success"
    client.copy(name, name + "-2")
    assert any(item.model.startswith(name + "-2") for item in client.list().models)
    for made in (name, name + "-2"):
        assert client.delete(made).status == "success"


@check("pull")
def _():
    assert client.pull(model("plain")).status == "success"
    assert [item.status for item in client.pull(model("plain"), stream=True)][-1] == "success"


@check("create_blob")
def _():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "blob"
        path.write_bytes(os.urandom(70_000))
        assert client.create_blob(path).startswith("sha256:")
        client.create_blob(path)  # it is there already


done()

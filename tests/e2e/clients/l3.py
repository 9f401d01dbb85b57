"""L3: errors, and the requests of Ollama's command line, replayed."""

import http.client
import json
import urllib.parse

import ollama

from rows import BASE, check, done, error_of, model

client = ollama.Client(host=BASE)
MESSAGES = [{"role": "user", "content": "Hi"}]


@check("a model nobody knows")
def _():
    error = error_of(lambda: client.chat(model="nobody", messages=MESSAGES), ollama.ResponseError)
    assert error.status_code == 404 and error.error == "model 'nobody' not found"


@check("an error line in mid-stream", scripted=True)
def _():
    assert error_of(lambda: list(client.chat(model=model("fails"), messages=MESSAGES, think=False,
                                             stream=True)), ollama.ResponseError).error


@check("ollama list, ps, run, replayed")
def _():
    server = http.client.HTTPConnection(urllib.parse.urlsplit(BASE).netloc, timeout=60)

    def send(method, path, body=None):
        headers = {"User-Agent": "ollama/0.12.6 (amd64 linux) Go/go1.24.1",
                   "Accept": "application/x-ndjson" if path == "/api/chat" else "application/json",
                   "Content-Type": "application/json"}
        server.request(method, path, body and json.dumps(body), headers, encode_chunked=False)
        reply = server.getresponse()
        return reply.status, reply.read()

    assert send("HEAD", "/") == (200, b"")
    status, text = send("GET", "/api/version")
    assert status == 200 and json.loads(text)["version"].count(".") == 2
    name = json.loads(send("GET", "/api/tags")[1])["models"][0]["name"]
    assert send("GET", "/api/ps")[0] == 200
    status, text = send("POST", "/api/show", {"model": name, "system": "", "template": "",
                                              "options": None, "name": name})
    assert status == 200 and json.loads(text)["capabilities"]
    # `run` loads first, with an empty prompt.
    status, text = send("POST", "/api/generate", {"model": name, "prompt": "", "options": {}})
    assert status == 200 and json.loads(text.splitlines()[-1])["done_reason"] == "load"
    status, text = send("POST", "/api/chat", {"model": model("plain"), "messages": MESSAGES,
                                              "format": "", "options": {"num_predict": 20},
                                              "think": False})
    lines = text.decode().split("\n")
    assert status == 200 and lines.pop() == "" and all(json.loads(line) for line in lines)
    assert json.loads(lines[-1])["done"] is True


done()

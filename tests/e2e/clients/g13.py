"""G13: curl, and the requests of the Go client replayed byte for byte."""

import json
import socket
import subprocess
import urllib.parse

from rows import BASE, IS_SCRIPTED, KEY, check, done, model

HOST, PORT = urllib.parse.urlsplit(BASE).hostname, urllib.parse.urlsplit(BASE).port
BODY = json.dumps({"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 60}})


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "-N", "--max-time", "60", *arguments], check=True,
                          capture_output=True)
    return done.stdout.decode()


@check("?key= and no Content-Type of its own")
def _():
    reply = json.loads(curl(f"{BASE}/v1beta/models/{model('plain')}:generateContent?key={KEY}", "-d", BODY))
    assert reply["candidates"][0]["content"]["parts"][0]["text"]
    assert reply["candidates"][0]["finishReason"] in ("STOP", "MAX_TOKENS")


@check("without alt the stream is an array that parses as it comes")
def _():
    text = curl(f"{BASE}/v1beta/models/{model('plain')}:streamGenerateContent?key={KEY}", "-d", BODY)
    assert len(json.loads(text)) > 1
    # A streaming parser: element by element, with nothing but white space and commas between.
    decoder, rest, elements = json.JSONDecoder(), text, []
    assert rest[0] == "["
    while rest[0] != "]":
        value, end = decoder.raw_decode(rest[1:].lstrip())
        elements.append(value)
        rest = rest[1:].lstrip()[end:].lstrip()
        assert rest[0] in ",]", rest[:20]
    assert elements == json.loads(text)
    assert elements[-1]["candidates"][0]["finishReason"]


@check("alt=SSE in any letter case")
def _():
    text = curl(f"{BASE}/v1beta/models/{model('plain')}:streamGenerateContent?alt=SSE&key={KEY}", "-d", BODY)
    assert text.startswith("data: {") and text.endswith("}\r\n\r\n"), text[:40]


@check("Expect: 100-continue")
def _():
    reply = json.loads(curl(f"{BASE}/v1beta/models/{model('plain')}:generateContent", "-H",
                            "Expect: 100-continue", "-H", f"x-goog-api-key: {KEY}", "-d", BODY))
    assert reply["candidates"]


def send(request):
    with socket.create_connection((HOST, PORT), timeout=60) as peer:
        peer.sendall(request)
        data = b""
        while piece := peer.recv(65536):
            data += piece
        return data


@check("Go's streamGenerateContent, chunked body, replayed")
def _():
    body = BODY.encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 40]), body[i:i + 40])
                      for i in range(0, len(body), 40)) + b"0\r\n\r\n"
    reply = send(
        f"POST /v1beta/models/{model('plain')}:streamGenerateContent?alt=sse HTTP/1.1\r\n"
        f"Host: {HOST}:{PORT}\r\nUser-Agent: google-genai-sdk/1.40.0 gl-go/go1.25\r\n"
        "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
        f"X-Goog-Api-Client: google-genai-sdk/1.40.0 gl-go/go1.25\r\nX-Goog-Api-Key: {KEY}\r\n"
        "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode() + chunks)
    head, _, rest = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    assert b"content-encoding" not in head.lower(), head
    assert b"data: {" in rest
    if IS_SCRIPTED:
        assert b'"finishReason":"STOP"' in rest or b'"finishReason":"MAX_TOKENS"' in rest


done()

"""`fourfold serve` as those meet it who run it: flags, streams, signals, operations. What clients
see is tested in tests/e2e."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import harness

KEEPER = harness.ROOT / "models" / "keeper" / "keeper.gguf"


class Server:
    """A running server; its address is read from the first line, as programs do."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        first = self.next_line()
        assert first.startswith("listening on http://"), first
        self.host, self.port = first.removeprefix("listening on http://").strip().rsplit(":", 1)

    def next_line(self):
        self.lines.append(self.process.stderr.readline().decode())
        return self.lines[-1]

    def wait_for(self, text):
        while text not in self.next_line():
            assert self.lines[-1], "".join(self.lines)
        return self.lines[-1]

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=60)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        reply.text = reply.read().decode()
        connection.close()
        return reply

    def json(self, method, path, body=None, headers=None):
        return json.loads(self.ask(method, path, body, headers).text)


class ServeTest(harness.ProgramTest):
    @contextlib.contextmanager
    def serve(self, *flags, env=None, ready=True):
        process = self.start("serve", *flags, "--port", "0", env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            server = Server(process)
            if ready:
                server.wait_for("ready\n")
            yield server
        finally:
            process.kill()
            process.communicate()

    def test_listens_then_loads_then_is_ready(self):
        with self.serve(KEEPER) as server:
            self.assertTrue(server.lines[0].startswith("listening on http://127.0.0.1:"))
            health = server.ask("GET", "/health")
            self.assertEqual((health.status, json.loads(health.text)), (200, {"status": "ok"}))
            for path in ("/v1/health", "/live", "/ready"):
                self.assertEqual(server.ask("GET", path).status, 200, path)
            self.assertTrue(health.headers["x-request-id"])

    def test_offers_the_default_body_without_a_model(self):
        with self.serve() as server:
            models = server.json("GET", "/v1/models")
            self.assertEqual([model["id"] for model in models["data"]], ["keeper"])

    def test_says_what_it_is(self):
        with self.serve(KEEPER) as server:
            props = server.json("GET", "/props")
            self.assertEqual(props["model_alias"], "keeper")
            self.assertEqual(props["model_path"], "keeper.gguf")
            self.assertEqual(props["modalities"], {"vision": False, "audio": False, "video": False})
            self.assertEqual(props["default_generation_settings"]["n_ctx"], 4096)
            slots = server.json("GET", "/slots")
            self.assertFalse(any(slot["is_processing"] for slot in slots))
            self.assertEqual(server.json("GET", "/lora-adapters"), [])
            self.assertEqual(server.ask("POST", "/lora-adapters", [{"id": 0}]).status, 404)
            self.assertEqual(server.ask("POST", "/completion", {}).status, 501)
            self.assertEqual(server.ask("GET", "/props?model=nobody").status, 404)

    def test_turns_text_into_tokens_and_back(self):
        with self.serve(KEEPER) as server:
            tokens = server.json("POST", "/tokenize", {"content": "Does mint like the sun?"})
            text = server.json("POST", "/detokenize", tokens)
            self.assertEqual(text["content"], "Does mint like the sun?")
            with_bos = server.json("POST", "/tokenize", {"content": "Hi", "add_special": True})
            self.assertEqual(with_bos["tokens"][0], 2)
            pieces = server.json("POST", "/tokenize", {"content": "<bos>é", "with_pieces": True})
            self.assertEqual(pieces["tokens"][0], {"id": 2, "piece": "<bos>"})
            plain = server.json("POST", "/tokenize", {"content": "<bos>", "parse_special": False})
            self.assertNotEqual(plain["tokens"], [2])
            self.assertEqual(server.ask("POST", "/tokenize", {}).status, 400)
            self.assertEqual(server.ask("POST", "/detokenize", {"tokens": [99999]}).status, 400)
            self.assertEqual(server.ask("POST", "/tokenize", "{").status, 400)

    def test_shows_the_prompt_of_a_request(self):
        with self.serve(KEEPER) as server:
            messages = [{"role": "user", "content": "Hi"}]
            shown = server.json("POST", "/apply-template", {"messages": messages})
            self.assertIn("<|turn>user\nHi<turn|>", shown["prompt"])
            self.assertEqual(shown["tokens"][0], 2)

    def test_counts_what_it_does(self):
        with self.serve(KEEPER, "--metrics-alias", "llamacpp,vllm") as server:
            answer = server.json("POST", "/v1/chat/completions",
                                 {"model": "keeper", "max_tokens": 8, "temperature": 0,
                                  "messages": [{"role": "user", "content": "Hello"}]})
            server.wait_for("openai.chat 200")
            reply = server.ask("GET", "/metrics")
            self.assertEqual(reply.headers["Content-Type"],
                             "text/plain; version=0.0.4; charset=utf-8")
            values = dict(line.rsplit(" ", 1) for line in reply.text.splitlines()
                          if not line.startswith("#"))
            usage = answer["usage"]
            self.assertEqual(int(values['fourfold_prompt_tokens_total{model="keeper"}']),
                             usage["prompt_tokens"])
            self.assertEqual(int(values['fourfold_request_seconds_count{model="keeper"}']), 1)
            self.assertEqual(int(values["llamacpp:prompt_tokens_total"]), usage["prompt_tokens"])
            self.assertIn('vllm:num_requests_running{model_name="keeper",engine="0"}', values)

    def test_writes_json_logs_and_an_audit_file(self):
        with tempfile.TemporaryDirectory() as folder:
            audit = pathlib.Path(folder) / "audit.jsonl"
            with self.serve(KEEPER, "--log-format", "json", "--audit", audit) as server:
                server.ask("GET", "/v1/models?key=very-secret", headers={"x-request-id": "mine"})
                line = json.loads(server.wait_for("openai.models"))
                self.assertEqual((line["request_id"], line["status"]), ("mine", 200))
                server.ask("GET", "/nothing?key=very-secret")
                self.assertEqual(json.loads(server.wait_for("refused"))["status"], 404)
                server.process.terminate()  # all that is at work is written to the end
                server.process.wait(10)
            entries = [json.loads(line) for line in audit.read_text().splitlines()]
            self.assertEqual([entry["route"] for entry in entries], ["openai.models", "refused"])
            self.assertNotIn("very-secret", audit.read_text() + "".join(server.lines))

    def test_stops_when_told_and_ends_well(self):
        for ending in (signal.SIGTERM, signal.SIGINT):
            with self.serve(KEEPER) as server:
                server.process.send_signal(ending)
                self.assertEqual(server.process.wait(10), 0)

    def test_lets_answers_finish_unless_told_twice(self):
        body = {"model": "keeper", "stream": True, "ignore_eos": True, "max_tokens": 3000,
                "messages": [{"role": "user", "content": "Hello"}]}
        with self.serve(KEEPER) as server:
            address = (server.host, int(server.port))
            with contextlib.closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
                connection.request("POST", "/v1/chat/completions", json.dumps(body))
                connection.getresponse().read(10)
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(10), 0)

    def test_reads_its_keys_again(self):
        with tempfile.TemporaryDirectory() as folder:
            keys = pathlib.Path(folder) / "keys"
            keys.write_text("first-key-of-all\n")
            keys.chmod(0o600)
            with self.serve(KEEPER, "--api-key-file", keys) as server:
                def status(key):
                    return server.ask("GET", "/v1/models",
                                      headers={"Authorization": f"Bearer {key}"}).status

                self.assertEqual(server.ask("GET", "/v1/models").status, 401)
                self.assertEqual(server.ask("GET", "/health").status, 200)
                self.assertEqual(status("first-key-of-all"), 200)
                keys.write_text("second-key-of-all\n")
                server.process.send_signal(signal.SIGHUP)
                server.wait_for("the keys were read again")
                self.assertEqual((status("first-key-of-all"), status("second-key-of-all")),
                                 (401, 200))

    def test_takes_a_key_from_the_environment_and_keeps_it_there_no_longer(self):
        with self.serve(KEEPER, env={"FOURFOLD_API_KEY": "a-key-that-hides"}) as server:
            self.assertEqual(server.ask("GET", "/v1/models").status, 401)
            self.assertEqual(server.ask("GET", "/v1/models",
                                        headers={"x-api-key": "a-key-that-hides"}).status, 200)
            environment = pathlib.Path(f"/proc/{server.process.pid}/environ").read_bytes()
            self.assertNotIn(b"a-key-that-hides", environment)

    def test_reads_a_settings_file(self):
        with tempfile.TemporaryDirectory() as folder:
            settings = pathlib.Path(folder) / "settings.toml"
            settings.write_text("[serve]\nlog_format = 'json'\nalias = ['gpt-4o=keeper']\n")
            with self.serve(KEEPER, "--config", settings) as server:
                reply = server.ask("POST", "/tokenize", {"content": "x", "model": "gpt-4o"})
                self.assertEqual(reply.status, 200)
                self.assertEqual(json.loads(server.next_line())["route"], "ops.tokenize")
        self.assertEqual(self.call("serve", KEEPER, "--config", "/nowhere").status, 2)

    def test_keys_are_no_arguments(self):
        answer = self.call("serve", KEEPER, "--api-key", "secret-as-can-be")
        self.assertEqual(answer.status, 2)
        self.assertIn("--api-key-file", answer.err)
        self.assertIn("FOURFOLD_API_KEY", answer.err)
        self.assertNotIn("secret-as-can-be", answer.err)

    def test_other_hosts_want_keys(self):
        answer = self.call("serve", KEEPER, "--host", "0.0.0.0", "--port", "0")
        self.assertEqual(answer.status, 1)
        self.assertIn("--no-auth", answer.err)
        with self.serve(KEEPER, "--host", "0.0.0.0", "--no-auth") as server:
            self.assertEqual(server.ask("GET", "/health").status, 200)

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            answer = self.call("serve", KEEPER, "--port", port)
        self.assertEqual(answer.status, 1)
        self.assertIn(f"port {port}", answer.err)

    def test_refuses_what_it_does_not_understand(self):
        for flags, hint in ((["--keep-alive", "soon"], "5m"), (["--log-format", "xml"], "json"),
                            (["--think-default", "openai=perhaps"], "on or off"),
                            (["--think-default", "klingon=on"], "ollama"),
                            (["--metrics-alias", "nagios"], "vllm"),
                            (["--origins", "not an origin"], ""), (["--port", "70000"], "65535"),
                            (["--alias", "x"], "NAME=MODEL"),
                            (["--fetch-urls", "a.example:443"], "fetches no URLs")):
            answer = self.call("serve", KEEPER, *flags)
            self.assertEqual(answer.status, 2, flags)
            self.assertIn(hint, answer.err)

    def test_a_model_that_is_not_there_ends_it(self):
        for model in ("/nowhere/model.gguf", __file__):
            answer = self.call("serve", model, "--port", "0")
            self.assertEqual(answer.status, 1)
            self.assertIn("fourfold: error: ", answer.err)

    def test_tells_systemd_when_it_is_ready(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
                listener.bind(path)
                listener.settimeout(10)
                with self.serve(KEEPER, env={"NOTIFY_SOCKET": path}) as server:
                    self.assertEqual(listener.recv(100), b"READY=1")
                    server.process.send_signal(signal.SIGTERM)
                    self.assertEqual(listener.recv(100), b"STOPPING=1")

    def test_serves_every_name_of_a_model(self):
        with self.serve(f"mine={KEEPER}", "--alias", "gpt-4o=mine") as server:
            for name in ("mine", "MINE:latest", "models/mine", "keeper", "gpt-4o"):
                reply = server.ask("POST", "/tokenize", {"content": "x", "model": name})
                self.assertEqual(reply.status, 200, name)
            reply = server.ask("POST", "/tokenize", {"content": "x", "model": "gpt-5"})
            self.assertEqual(reply.status, 404)


if __name__ == "__main__":
    harness.main()

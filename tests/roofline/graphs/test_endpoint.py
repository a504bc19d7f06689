"""The agent behind an endpoint, against a local scripted server."""

import json
import re
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from roofline.cli import run
from roofline.graphs.search.proposers.endpoint import Endpoint
from spec_files import SpecError

KEY = "sk-a-secret-of-the-test-0123456789"
GOOD = {
    "graphs": [
        {
            "nodes": [
                {"name": "one", "role": "assistant", "model": "3b"},
                {"name": "two", "role": "assistant", "model": "3b"},
                {"name": "last", "role": "assistant", "model": "3b"},
                {"name": "sink", "role": "sink", "model": "3b"},
            ],
            "edges": [["one", "last"], ["two", "last"], ["last", "sink"]],
        }
    ],
    "probabilities": [{"from": "1", "to": "sink", "probability": 0.05}],
}


class Server:
    """Answers with each scripted thing in turn, the last of them for ever."""

    def __init__(self, script):
        self.script, self.asked, self.keys = list(script), [], []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append((self.path, body))
                server.keys.append(self.headers.get("Authorization"))
                script = server.script
                step = script.pop(0) if len(script) > 1 else script[0]
                with suppress(BrokenPipeError, ConnectionResetError):
                    step(self, body)

            def log_message(self, *words):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@contextmanager
def serving(*script):
    server = Server(script)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


def send(handler, data, status=200):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def says(content):
    """A completion with this text."""
    text = content if isinstance(content, str) else json.dumps(content)
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    answer = {
        "id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]
    }  # fmt: skip
    return lambda handler, body: send(handler, answer)


def refuses(status):
    """An error whose text repeats the key, as some servers' do."""
    return lambda handler, body: send(
        handler, {"error": {"message": f"bad key {handler.headers['Authorization']}"}}, status
    )


def sleeps(handler, body):
    time.sleep(4)


def trickles(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    for _ in range(80):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def echoes_key(handler, body):
    says(f"no JSON but {handler.headers['Authorization']}")(handler, body)


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def graph(server, *more):
    return run([
        "graph", "--task", "math", "--budget", "18", "--endpoint", server.url,
        "--endpoint-model", "tiny", "--evaluations", "9", *more,
    ])  # fmt: skip


def test_an_endpoint_proposes_graphs(tmp_path, capsys):
    with serving(says("Here it is:\n```json\n" + json.dumps(GOOD) + "\n```")) as server:
        code = graph(server, "-o", str(tmp_path / "out"), "--json", "--on-failure", "rules")
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert found["about"]["graph"] == "1 3b; 2 3b; 3 3b < 1 2; sink < 3"
    assert found["about"]["evaluations"] == 9
    path, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert body["model"] == "tiny"
    told = json.loads(body["messages"][1]["content"])
    assert told["task"] == "MATH"
    assert told["budget"] == "18 units"
    assert {each["score"] for each in told["rounds"]} > {0.49}
    assert server.keys[0] == f"Bearer {KEY}"
    history = (tmp_path / "out" / "history.csv").read_text()
    assert "1 3b; 2 3b; 3 3b < 1 2; sink < 3,endpoint" in history


def test_the_key_is_written_nowhere(tmp_path, capsys):
    answers = [says(GOOD), echoes_key, refuses(401)]
    for number, script in enumerate([answers, [refuses(401)], [echoes_key]]):
        out = tmp_path / str(number)
        with serving(*script) as server:
            graph(server, "-o", str(out), "--json", "--on-failure", "rules")
        said = capsys.readouterr()
        assert KEY not in said.out + said.err
        files = list(out.iterdir())
        assert len(files) == 4
        assert not any(KEY.encode() in file.read_bytes() for file in files)


UNUSABLE = {
    "nonsense": ([says("I would rather talk about the weather.")], "is no JSON object"),
    "other JSON": ([says('{"answer": 42}')], "the answer: .*"),
    "a cycle": (
        [says({"graphs": [{**GOOD["graphs"][0], "edges": [["one", "two"], ["two", "one"],
               ["two", "last"], ["last", "sink"]]}]})],
        "it has a cycle, two -> one -> two",
    ),
    "too dear": (
        [says({"graphs": [{"nodes": [{"name": "a", "model": "8b"}, {"name": "b", "model": "8b"},
               {"name": "s", "role": "sink", "model": "3b"}],
               "edges": [["a", "b"], ["b", "s"]]}]})],
        "the budget is 18 units",
    ),
    "unknown model": (
        [says({"graphs": [{"nodes": [{"name": "a", "model": "gpt"},
               {"name": "s", "role": "sink", "model": "3b"}], "edges": [["a", "s"]]}]})],
        "no model 'gpt' in the pool",
    ),
    "no completion": ([lambda h, b: send(h, {"choices": []})], "what is no completion"),
    "no JSON at all": ([lambda h, b: send(h, b"<html>")], "endpoint http"),
    "refused": ([refuses(401)], "it refuses with status 401"),
    "overloaded": ([refuses(503)], "it refuses with status 503"),
    "silence": ([sleeps], "no answer within 1 s"),
    "a trickle": ([trickles], "no answer within 1 s"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_stops_or_goes_on_by_rules(name, tmp_path, capsys):
    script, expected = UNUSABLE[name]
    out = tmp_path / "stopped"
    patience = "1s" if "no answer" in expected else "60s"
    with serving(*script) as server:
        code = graph(server, "-o", str(out), "--endpoint-timeout", patience)
        said = capsys.readouterr()
        assert code == 2
        error = said.err.strip()
        assert error.count("\n") == 0
        assert error.startswith("roofline: endpoint http://127.0.0.1")
        assert re.search(expected, error)
        assert "which stopped early" in said.out  # what it has is shown, and kept
        assert json.loads((out / "graph.json").read_text())["about"]["units"] < 18
        assert len((out / "history.csv").read_text().splitlines()) == 1 + 3

        code = graph(server, "--json", "--endpoint-timeout", patience, "--on-failure", "rules")
    said = capsys.readouterr()
    assert code == 0
    assert json.loads(said.out)["about"]["evaluations"] == 9
    assert "The search goes on by rules." in " ".join(said.err.split())


def test_an_answer_is_asked_for_once_more(capsys):
    with serving(says("hm"), says(GOOD)) as server:
        assert graph(server, "--evaluations", "4", "--json") == 0
    assert "That cannot be used" in server.asked[1][1]["messages"][-1]["content"]
    assert json.loads(capsys.readouterr().out)["about"]["accuracy"] == pytest.approx(0.56, abs=0.01)


def test_nobody_there(capsys):
    code = run([
        "graph", "--task", "math", "--budget", "18", "--endpoint", "http://127.0.0.1:9/v1",
        "--endpoint-model", "tiny",
    ])  # fmt: skip
    assert code == 2
    assert "endpoint http://127.0.0.1:9/v1: nobody answers there." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "model", "key"),
    [
        ("ftp://host/v1", "m", "OPENAI_API_KEY"),
        ("localhost:8000", "m", "OPENAI_API_KEY"),
        (f"http://user:{KEY}@host/v1", "m", "OPENAI_API_KEY"),
        (f"http://host/v1?key={KEY}", "m", "OPENAI_API_KEY"),
        ("http://host/v1", "", "OPENAI_API_KEY"),
        ("http://host/v1", "m", KEY),
    ],
)
def test_an_address_that_cannot_be_is_refused_and_no_key_repeated(url, model, key):
    with pytest.raises(SpecError, match=r"--endpoint|--key-variable") as raised:
        Endpoint(url, model, key=key)
    assert KEY not in str(raised.value)

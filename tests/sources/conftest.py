"""Small wheels, archives and a web server on this machine, so that no test of a source needs a network."""

import functools
import http.server
import threading

import pytest
from tests.sources.samples import CSV, make_wheel


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of our own and of the hub client."""
    monkeypatch.setenv("LIGHTEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIGHTEN_MAX_SOURCE_BYTES", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index made of a folder: what pip sees instead of a network."""
    folder = tmp_path / "index"
    make_wheel(folder, "tinydata", "1.0", {"tinydata/a.csv": CSV, "tinydata/model/config.json": b"{}"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def server(tmp_path):
    """A web server over a folder; gives the folder, the address and the list of answers it sent."""
    folder = tmp_path / "www"
    folder.mkdir()
    answers = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code="-", size="-"):
            answers.append(int(code))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{web.server_port}", answers
        web.shutdown()
        thread.join()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A snapshot in the hub client's cache, as an earlier download left it."""
    constants = pytest.importorskip("huggingface_hub.constants")
    home = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home))
    commit = "0123456789abcdef0123456789abcdef01234567"
    for kind, name, content in (("models", "tiny", b"{}"), ("datasets", "rows", CSV)):
        repo = home / f"{kind}--owner--{name}"
        snapshot = repo / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (repo / "refs").mkdir()
        (repo / "refs" / "main").write_text(commit)
        (snapshot / ("config.json" if kind == "models" else "a.csv")).write_bytes(content)
        if kind == "models":
            (snapshot / "model.safetensors").write_bytes(b"\0" * 8)
    return home

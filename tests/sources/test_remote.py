import base64
import http.server
import os
import socket
import threading

import pytest
from tests.sources.samples import CSV

from lighten.errors import SourceError
from lighten.progress import Progress
from lighten.sources import remote, resolve


class Notes(Progress):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_an_unchanged_file_is_not_sent_again_and_a_changed_one_is(server):
    folder, address, answers = server
    (folder / "a.csv").write_bytes(CSV)
    os.utime(folder / "a.csv", (1_000_000_000, 1_000_000_000))
    first = resolve(f"{address}/a.csv")
    assert resolve(f"{address}/a.csv") == first
    assert answers == [200, 304]
    (folder / "a.csv").write_bytes(CSV + b"more,fresh\n")
    second = resolve(f"{address}/a.csv")
    assert answers == [200, 304, 200]
    assert second.fingerprint != first.fingerprint
    assert second.paths[0].read_bytes().endswith(b"more,fresh\n")


def test_the_kept_copy_serves_when_the_server_is_gone(tmp_path):
    notes = Notes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CSV)))
            self.end_headers()
            self.wfile.write(CSV)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
        source = f"http://127.0.0.1:{web.server_port}/a.csv"
        first = resolve(source)
        web.shutdown()
    assert resolve(source, progress=notes) == first
    assert "copy of an earlier run" in notes.notes[0]


def test_half_a_download_never_counts(cache):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            peer, _ = listener.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(SourceError, match="cannot be reached"):
            resolve(f"http://127.0.0.1:{listener.getsockname()[1]}/a.csv")
    assert list((cache / "sources").iterdir()) == []


def test_secrets_are_sent_to_the_host_and_never_shown(cache):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(200 if self.path.startswith("/a") else 404)
            self.end_headers()
            self.wfile.write(CSV)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
        host = f"127.0.0.1:{web.server_port}"
        resolve(f"http://me:secret@{host}/a.csv?token=secret")
        with pytest.raises(SourceError) as failure:
            resolve(f"http://me:secret@{host}/b.csv?token=secret")
        web.shutdown()
    assert seen[0] == ("/a.csv?token=secret", "Basic " + base64.b64encode(b"me:secret").decode())
    assert "secret" not in str(failure.value) and "404" in str(failure.value)
    assert not any("secret" in path.read_text() for path in cache.rglob("source.json"))


def test_file_names_are_safe():
    assert remote.file_name("https://h/x/a%20b.csv?q=1") == "a_b.csv"
    assert remote.file_name("https://h/..%2f..%2fetc") == "etc"
    assert remote.file_name("https://h/") == "download"


@pytest.mark.parametrize("source", ["https:///a.csv", "http://[bad/a.csv", "nosuchprotocol://a/b"])
def test_bad_urls(source):
    with pytest.raises(SourceError):
        resolve(source)

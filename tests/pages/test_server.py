"""The pages' server: who is answered, and what is refused."""

import contextlib
import http.client
import socket
import time
import urllib.parse

import pytest

from catpose.errors import InputError
from catpose.pages import server
from tests.support import pages


def echo(query, body):
    return server.json_reply({"query": dict(query), "body": body.decode()})


def refuse(query, body):
    raise InputError("that is wrong; do this")


def fail(query, body):
    raise KeyError("wrong inside")


@pytest.fixture(scope="module")
def address():
    site = server.Site(
        "label",
        get={"echo": echo, "refuse": refuse, "fail": fail},
        post={"echo": echo, "picture": echo},
        uploads=frozenset({"picture"}),
    )
    with pages.serving(site) as found:
        yield urllib.parse.urlsplit(found)


def ask(address, name, *, body=None, secret=None, kind="application/json", **headers):
    """Status, headers and body of an answer; a `name_` header is `Name`, with - for _."""
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    sent = {"Content-Type": kind} if body is not None else {}
    sent |= {header.replace("_", "-"): value for header, value in headers.items()}
    path = (address.path if secret is None else f"/{secret}/") + name
    try:
        connection.request("GET" if body is None else "POST", path, body, sent)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read().decode()
    finally:
        connection.close()


def test_it_listens_on_this_machine_alone(address):
    assert address.hostname == "127.0.0.1"
    assert address.port > 0
    assert len(address.path) > 20


def test_a_page_and_its_questions(address):
    status, headers, body = ask(address, "")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<title>catpose label</title>" in body
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert ask(address, "style.css")[0] == 200
    assert ask(address, "echo?a=1")[2] == '{"query": {"a": "1"}, "body": ""}'
    assert ask(address, "echo", body="{}")[2] == '{"query": {}, "body": "{}"}'


@pytest.mark.parametrize("secret", ["", "x", "../"])
@pytest.mark.parametrize("name", ["", "echo", "style.css"])
def test_without_the_secret_nothing_is_answered(address, secret, name):
    assert ask(address, name, secret=secret)[0] == 403
    assert ask(address, name, secret=secret, body="{}")[0] == 403


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_host_is_refused(address, name):
    assert ask(address, "echo", Host=name)[0] == 403


def test_a_tunnel_may_have_another_port(address):
    assert ask(address, "echo", Host="localhost:8080", Origin="http://localhost:8080")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_another_page_can_neither_read_nor_write(address, headers):
    assert ask(address, "echo", **headers)[0] == 403
    assert ask(address, "echo", body="{}", **headers)[0] == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_form_is_refused(address, kind):
    assert ask(address, "echo", body="{}", kind=kind)[0] == 403


def test_bodies_are_limited(address):
    large = b" " * (server.MAX_JSON + 1)
    assert ask(address, "echo", body=large)[0] == 413
    picture = "application/octet-stream"
    assert ask(address, "picture", body=large, kind=picture)[0] == 200
    assert ask(address, "picture", body=b"", kind=picture, Content_Length=str(1 << 40))[0] == 413
    assert ask(address, "echo", body=b"", Content_Length="-1")[0] == 411
    assert ask(address, "echo", body=b"{}", Transfer_Encoding="chunked")[0] == 411


@pytest.mark.parametrize(
    "name",
    [
        "../server.py",
        "%2e%2e/server.py",
        "static/page.js",
        "..%2fserver.py",
        "x",
        "/etc/passwd",
        "label",
        "label.html",
        "label/../style.css",
        "//etc/passwd",
        "style.css/",
        ".",
        "..",
        "label/start.js%00.css",
    ],
)
def test_only_the_pages_own_files_are_given(address, name):
    assert ask(address, name)[0] == 404


def test_errors_are_words(address, capsys):
    assert ask(address, "refuse")[::2] == (400, '{"error": "that is wrong; do this"}')
    status, _, body = ask(address, "fail")
    assert status == 500
    assert "inside" not in body
    assert "KeyError: 'wrong inside'" in capsys.readouterr().err


def test_open_connections_are_limited(address):
    idle = [socket.create_connection(address[1].split(":")) for _ in range(server._CONNECTIONS)]
    with pytest.raises(ConnectionError):
        ask(address, "echo")
    for each in idle:
        each.close()
    for _ in range(100):
        with contextlib.suppress(OSError):
            assert ask(address, "echo")[0] == 200
            return
        time.sleep(0.05)
    pytest.fail("connections that are closed still count")


@pytest.mark.parametrize("host", ["", "0.0.0.0"])
def test_any_address_is_no_address(host):
    with pytest.raises(InputError, match="give this machine's own"):
        server.listen(server.Site("label", {}, {}), host)


def test_a_foreign_address_cannot_be_listened_at():
    with pytest.raises(InputError, match="cannot listen at 203.0.113.9:0"):
        server.listen(server.Site("label", {}, {}), "203.0.113.9")

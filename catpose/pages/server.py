"""A small web server for one person's browser: pages, files and functions behind a secret address.

Only requests whose path begins with the secret are answered, and only those addressed to this
machine by its own name, since other web pages can make a browser send requests, and other names can
lead here. What changes something must come from one of the server's own pages.
"""

import hmac
import http.server
import json
import pathlib
import secrets
import socket
import string
import sys
import threading
import traceback
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from catpose import errors
from catpose.errors import InputError

MAX_JSON = 1 << 20  # bytes of a question
MAX_PICTURE = 64 << 20  # of an uploaded photo
_DRAINED = 1 << 30  # of one that is refused; a larger one ends in a closed connection
_CONNECTIONS = 200  # at once; each browser keeps some open
_SECONDS = 60  # without a word from a browser that has begun to speak
_STATIC = pathlib.Path(__file__).parent / "static"
_FRAME = "page.html"  # of all pages: its $name, and its $body, what NAME.html has
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Pages load nothing from elsewhere, and no other page may show, read or embed them.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Reply(NamedTuple):
    """An answer.

    Attributes:
      body: its bytes.
      kind: its media type.
      status: of HTTP.
      headers: further ones.
    """

    body: bytes
    kind: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = {}


# What answers: the address' query and the body (b"" of GET) -> the answer. An InputError is
# answered with its words.
Handler = Callable[[Mapping[str, str], bytes], Reply]


class Site(NamedTuple):
    """What a server answers.

    Attributes:
      page: the name of what the bare address shows, see `page`.
      get: by name, what changes nothing.
      post: by name, what may change something; its body is JSON.
      uploads: names of `post` whose body is a picture.
    """

    page: str
    get: Mapping[str, Handler]
    post: Mapping[str, Handler]
    uploads: frozenset[str] = frozenset()


def json_reply(value: Any, status: int = 200) -> Reply:
    """An answer in JSON."""
    return Reply(json.dumps(value, allow_nan=False).encode(), status=status)


def listen(
    site: Site, host: str = "127.0.0.1", port: int = 0
) -> tuple[http.server.ThreadingHTTPServer, str]:
    """A server that is ready for `serve_forever`, and the address to open in a browser.

    Args:
      site: what it answers.
      host: a name or address of this machine; other than 127.0.0.1, others in the network reach it
        by this name.
      port: 0 takes a free one.

    Raises:
      InputError: the host is not this machine's, or the port is taken.
    """
    if host in ("", "0.0.0.0"):
        raise InputError(
            f"'{host}' is no address that a browser can open; give this machine's own, such as "
            "192.168.0.7"
        )
    secret = secrets.token_urlsafe(18)
    names = {host, "127.0.0.1", "localhost"} if host in ("127.0.0.1", "localhost") else {host}
    try:
        server = _Server((host, port), _Handler)
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen at {host}:{port}: {errors.reason(error)}") from error
    server.site, server.secret, server.names = site, secret, names
    return server, f"http://{host}:{server.server_address[1]}/{secret}/"


class _Server(http.server.ThreadingHTTPServer):
    site: Site
    secret: str
    names: set[str]
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._free = threading.BoundedSemaphore(_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own; closed at once where there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Until it is closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closed its window is no news."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def server_bind(self) -> None:
        """Without asking the network for the machine's name, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def version_string(self) -> str:
        return "catpose"

    def log_message(self, *_: Any) -> None:
        """Says nothing: the address has the secret."""

    def _answer(self, respond: Callable[[str, Mapping[str, str]], Reply]) -> None:
        reply = self._refusal()
        if reply is None:
            found = urllib.parse.urlsplit(self.path)
            name = urllib.parse.unquote(found.path.partition("/")[2].partition("/")[2])
            query = dict(urllib.parse.parse_qsl(found.query, keep_blank_values=True))
            try:
                reply = respond(name, query)
            except InputError as error:
                reply = json_reply({"error": str(error)}, 400)
            except Exception:
                traceback.print_exc()
                words = "catpose has a defect here; the terminal that it runs in says more"
                reply = json_reply({"error": words}, 500)
        if reply.status in (403, 404, 411, 413):
            self.close_connection = True  # its body is not read
        self.send_response(reply.status)
        lengths = {"Content-Type": reply.kind, "Content-Length": str(len(reply.body))}
        closing = {"Connection": "close"} if self.close_connection else {}
        for header, value in {**_HEADERS, **reply.headers, **lengths, **closing}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def _refusal(self) -> Reply | None:
        """Why a request is not looked at; None where it is."""
        host = self.headers.get("Host", "")
        given = self.path.split("/")[1] if self.path.startswith("/") else ""
        origin = self.headers.get("Origin")
        # The port may be another one: that of a tunnel.
        if host.rpartition(":")[0] not in self.server.names and host not in self.server.names:
            return _refused("this name does not belong to the server")
        if not hmac.compare_digest(given.encode(), self.server.secret.encode()):
            return _refused("open the address that the terminal shows")
        if origin is not None and origin != f"http://{host}":
            return _refused("another page may not ask here")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return _refused("another page may not ask here")
        return None

    def _get(self, name: str, query: Mapping[str, str]) -> Reply:
        if name in self.server.site.get:
            return self.server.site.get[name](query, b"")
        return static(name) if name else page(self.server.site.page)

    def _post(self, name: str, query: Mapping[str, str]) -> Reply:
        if name not in self.server.site.post:
            return _missing(name)
        is_picture = name in self.server.site.uploads
        kind = self.headers.get("Content-Type", "")
        # A form of another page can send neither of the two.
        if kind != ("application/octet-stream" if is_picture else "application/json"):
            return _refused("only catpose's own pages may ask here")
        length, most = (
            self.headers.get("Content-Length", ""),
            MAX_PICTURE if is_picture else MAX_JSON,
        )
        # A body of unstated length would be read as the next request.
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            return json_reply({"error": "the length of the request is missing"}, 411)
        if int(length) > most:
            self._drain(int(length))
            words = f"this has {int(length) / 1e6:.0f} MB; {most / 1e6:.0f} at most are taken"
            return json_reply({"error": words}, 413)
        return self.server.site.post[name](query, self.rfile.read(int(length)))

    def _drain(self, length: int) -> None:
        """Reads what is not wanted: a browser hears no answer before it has sent all."""
        while 0 < length <= _DRAINED:
            read = self.rfile.read(min(length, MAX_JSON))
            length = length - len(read) if read else 0


def page(name: str) -> Reply:
    """A page: what its own file has, in the frame of all."""
    frame = string.Template((_STATIC / _FRAME).read_text())
    body = (_STATIC / f"{name}.html").read_text()
    return Reply(frame.substitute(name=name, body=body).encode(), "text/html; charset=utf-8")


def static(name: str) -> Reply:
    """A file that pages load; not found where it is none of them."""
    files = {path.relative_to(_STATIC).as_posix(): path for path in _STATIC.rglob("*.*")}
    if name not in files or files[name].suffix not in _KINDS:
        return _missing(name)
    return Reply(files[name].read_bytes(), _KINDS[files[name].suffix])


def _refused(why: str) -> Reply:
    return json_reply({"error": why}, 403)


def _missing(name: str) -> Reply:
    return json_reply({"error": f"there is nothing at '{errors.printable(name)}'"}, 404)

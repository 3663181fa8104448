"""A request to another host over HTTP/1.1: one deadline, a limit of size, one checked address.

h11 parses the response. http.client, which urllib3 uses too, takes 103 (Early Hints) for the
response, refuses more than 100 headers, and limits each wait instead of the exchange.
"""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

IPAddress = IPv4Address | IPv6Address
DEADLINE_SECONDS = 10
MOST_HEADER_BYTES = 256 * 1024
# A host may have an IPv6 address to which there is no route.
MOST_ADDRESSES = 2
_CHUNK_BYTES = 64 * 1024
_PORTS = {"https": 443, "http": 80}
_VISIBLE = re.compile(r"[!-~]+")
# A name, or an IP address of either version.
_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]+")


class NoResponse(Exception):
    """The host gave no usable response. The message names the reason and never the URL, which may
    contain a key."""


class Response(NamedTuple):
    status: int
    body: bytes


class WebAddress(NamedTuple):
    """The parts of a URL; `target` is the path with its query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the Host header: without the default port (RFC 9110, 4.2.3)."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


def parse_url(url: str) -> WebAddress:
    """Return the parts of a URL. Raises ValueError, whose message completes "<field> ..."."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
        raise ValueError("must be a URL such as https://example.com/billing")
    if not _VISIBLE.fullmatch(url):
        raise ValueError("must have spaces and characters beyond ASCII percent-encoded")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must have no user name or password in it")
    if parts.fragment:
        raise ValueError("must have no fragment (#)")
    try:
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must have a port from 1 to 65535, or none")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebAddress(parts.scheme, host, port, target)


def check_url(url: str) -> str:
    """Return a URL that parse_url() takes. Raises ValueError."""
    parse_url(url)
    return url


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    most_bytes: int | None = None,
    allow: Callable[[IPAddress], bool] | None = None,
) -> Response:
    """Send one request and return the response, whatever its status; a redirect is not followed.

    The whole exchange ends within DEADLINE_SECONDS. A body of more than `most_bytes` is refused;
    without a limit the body is not read. With `allow`, every address of the host must be allowed,
    and the connection goes to one of those that were checked, whatever the name means by then.
    Raises NoResponse, ValueError for a URL that parse_url refuses.
    """
    address = parse_url(url)
    ends = time.monotonic() + DEADLINE_SECONDS
    try:
        with _connect(address, ends, allow) as channel:
            fields = {"Host": address.authority, "Connection": "close", **headers}
            if body:
                fields["Content-Length"] = str(len(body))
            encoded = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
            start = h11.Request(method=method, target=address.target, headers=encoded)
            return _exchange(channel, start, body, most_bytes)
    except ssl.SSLCertVerificationError as error:
        raise NoResponse(f"its certificate is refused: {error.verify_message}") from None
    except TimeoutError:
        raise NoResponse(f"it did not answer within {DEADLINE_SECONDS:g} seconds") from None
    except OSError as error:
        raise NoResponse(f"it could not be reached ({type(error).__name__})") from None
    except h11.RemoteProtocolError:
        raise NoResponse("its response was cut off, or is not valid HTTP") from None


class _Channel(NamedTuple):
    """A connected socket, whose operations together take no longer than the deadline."""

    socket: socket.socket
    ends: float

    def send(self, data: bytes) -> None:
        while data:
            self.socket.settimeout(_left(self.ends))
            data = data[self.socket.send(data) :]

    def receive(self) -> bytes:
        """Return the bytes that have come; none at the end of the stream."""
        self.socket.settimeout(_left(self.ends))
        return self.socket.recv(_CHUNK_BYTES)


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _exchange(channel: _Channel, start: h11.Request, body: bytes, most: int | None) -> Response:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEADER_BYTES)
    events = (start, h11.Data(data=body), h11.EndOfMessage())
    channel.send(b"".join(connection.send(event) or b"" for event in events))
    status, received = 0, bytearray()
    for answer in _events(connection, channel):
        match answer:
            case h11.Response():
                status = answer.status_code
                if most is None:
                    break
            case h11.Data():
                received += answer.data
                if most is not None and len(received) > most:
                    raise NoResponse(f"its response is larger than {most} bytes")
    return Response(status, bytes(received))


def _events(connection: h11.Connection, channel: _Channel) -> Iterator[object]:
    """Iterate over the parts of the response, with the interim responses before it."""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            connection.receive_data(channel.receive())
        else:
            yield event


@contextlib.contextmanager
def _connect(
    address: WebAddress, ends: float, allow: Callable[[IPAddress], bool] | None
) -> Iterator[_Channel]:
    numbers = _resolve(address, ends)
    # Not only those that are allowed: which one the host is reached by would be chance.
    if allow and not all(allow(ip_address(number)) for number in numbers):
        raise NoResponse("its address is not on the public internet")
    plain = _reach(numbers[:MOST_ADDRESSES], address.port, ends)
    with contextlib.ExitStack() as stack:
        stack.callback(plain.close)
        plain.settimeout(_left(ends))
        if address.scheme == "https":
            context = ssl.create_default_context()
            secure = context.wrap_socket(plain, server_hostname=address.host)
            stack.callback(secure.close)
            yield _Channel(secure, ends)
        else:
            yield _Channel(plain, ends)


def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, in the order to try them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(number[0]) for *_, number in found]


def _resolve(address: WebAddress, ends: float) -> list[str]:
    """Resolve within the deadline. A lookup has no timeout of its own and cannot be interrupted, so
    its thread may outlast the request."""
    found: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            found.set_result(resolve(address.host, address.port))
        except (OSError, UnicodeError) as error:
            found.set_exception(error if isinstance(error, OSError) else OSError(str(error)))

    Thread(target=look_up, daemon=True).start()
    return found.result(timeout=_left(ends))


def _reach(numbers: list[str], port: int, ends: float) -> socket.socket:
    *others, last = numbers
    for number in others:
        with contextlib.suppress(OSError):
            return socket.create_connection((number, port), timeout=_left(ends) / 2)
    return socket.create_connection((last, port), timeout=_left(ends))

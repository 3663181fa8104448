"""A request to another host ends in time, stays within its limits, and reaches only the address
that was checked."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from synaxis_billing import web
from synaxis_billing.web import NoResponse, Response, WebAddress, parse_url
from tests.support.certificates import certificate_of
from tests.support.speaking import Speaker, speaking

NAME = "rates.example.com"
HERE, INNER = "127.0.0.1", "169.254.169.254"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(params=["http", "https"])
def speaker(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Speaker]:
    certificate = None
    if request.param == "https":
        certificate = certificate_of(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with speaking(certificate) as speaker:
        speaker.url = f"{request.param}://127.0.0.1:{speaker.port}/rates?of=USD"
        yield speaker


def get(url: str, most_bytes: int | None = 1000, **more: Any) -> Response:
    return web.request("GET", url, headers={}, most_bytes=most_bytes, **more)


def test_a_response_is_returned_whatever_its_status(speaker: Speaker) -> None:
    for status in (200, 301, 404, 500):
        head = f"HTTP/1.1 {status} x\r\nlocation: {speaker.url}\r\ncontent-length: 2\r\n\r\n"
        speaker.script = [head.encode() + b"ok"]
        assert get(speaker.url) == (status, b"ok")
    # A redirect was not followed.
    assert len(speaker.requests) == 4


@pytest.mark.parametrize(
    "rest",
    [
        b"content-length: 10\r\n\r\n0123456789",
        b"transfer-encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n",
        b"\r\n0123456789",
    ],
    ids=["counted", "chunked", "to the end"],
)
def test_each_form_of_a_body_is_read(speaker: Speaker, rest: bytes) -> None:
    speaker.script = [OK + rest]
    assert get(speaker.url, most_bytes=10) == (200, b"0123456789")


def test_the_request_is_sent_as_given(speaker: Speaker) -> None:
    speaker.script = [OK + b"content-length: 0\r\n\r\n"]
    headers = {"Content-Type": "", "X-Name": "Jürgen"}
    assert web.request("PUT", speaker.url, headers=headers, body=b"text") == (200, b"")
    start, *fields = speaker.requests[0].partition("\r\n\r\n")[0].split("\r\n")
    assert start == "PUT /rates?of=USD HTTP/1.1"
    assert set(fields) == {
        f"Host: 127.0.0.1:{speaker.port}",
        "Connection: close",
        "Content-Type: ",
        "X-Name: Jürgen",
        "Content-Length: 4",
    }


def test_interim_responses_and_many_long_headers_are_no_obstacle(speaker: Speaker) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
    many = b"".join(b"x-%d: %s\r\n" % (number, b"z" * 500) for number in range(200))
    speaker.script = [b"HTTP/1.1 100 Continue\r\n\r\n" + hints * 5, OK + many, b"\r\nok"]
    assert get(speaker.url) == (200, b"ok")


@pytest.mark.parametrize(
    "script",
    [
        itertools.chain([OK + b"x-slow: "], itertools.repeat(b"z")),
        itertools.chain([OK + b"content-length: 1000000\r\n\r\n"], itertools.repeat(b"z")),
        itertools.repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        [],
    ],
    ids=["headers", "body", "interim responses", "nothing"],
)
def test_a_response_that_drips_ends_at_the_deadline(
    speaker: Speaker, script: Iterator[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "DEADLINE_SECONDS", 0.3)
    speaker.script, speaker.pause_seconds = script or [b"", b""], 0.02 if script else 60
    with pytest.raises(NoResponse, match=r"it did not answer within 0\.3 seconds"):
        get(speaker.url, most_bytes=1_000_000)
    assert not speaker.finished.is_set()


def test_a_handshake_and_a_lookup_without_an_end_end_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "DEADLINE_SECONDS", 0.2)
    with (
        socket.create_server((HERE, 0)) as silent,
        pytest.raises(NoResponse, match="did not answer"),
    ):
        get(f"https://{HERE}:{silent.getsockname()[1]}/")
    done = threading.Event()

    def wait(*_: object) -> list[str]:
        done.wait()
        return [HERE]

    monkeypatch.setattr(web, "resolve", wait)
    with pytest.raises(NoResponse, match="did not answer"):
        get("https://slow.example.com/")
    done.set()


@pytest.mark.parametrize(
    "rest",
    [
        b"content-length: 1001\r\n\r\n" + b"z" * 1001,
        b"transfer-encoding: chunked\r\n\r\n" + b"64\r\n%s\r\n" % (b"z" * 100) * 1000,
        b"\r\n" + b"z" * 1_000_000,
    ],
    ids=["counted", "chunked", "to the end"],
)
def test_a_body_above_the_limit_is_refused(speaker: Speaker, rest: bytes) -> None:
    speaker.script = [OK + rest]
    with pytest.raises(NoResponse, match="its response is larger than 1000 bytes"):
        get(speaker.url)
    # Without a limit only the status is of interest, and the body is not read.
    assert get(speaker.url, most_bytes=None) == (200, b"")


@pytest.mark.parametrize(
    "sent",
    [
        OK + b"content-length: 10\r\n\r\nonly",
        OK + b"x-long: " + b"z" * 1_000_000,
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"",
    ],
    ids=["cut off", "endless headers", "another protocol", "nothing"],
)
def test_a_response_that_is_not_whole_is_refused(speaker: Speaker, sent: bytes) -> None:
    speaker.script = [sent]
    with pytest.raises(NoResponse, match="cut off, or is not valid HTTP"):
        get(speaker.url)


@contextlib.contextmanager
def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> Iterator[list[str]]:
    """Have each lookup of NAME answered by the next of these lists; yield the lookups."""
    real, asked, following = socket.getaddrinfo, [], iter(answers)

    def look_up(host: str, port: int, *rest: Any, **more: Any) -> Any:
        if host != NAME:
            return real(host, port, *rest, **more)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in next(following)]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        yield asked


def test_a_name_that_changes_after_the_check_is_reached_where_it_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certificate_of(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    checked: list[str] = []

    def allow(ip: web.IPAddress) -> bool:
        checked.append(str(ip))
        return ip == ip_address(HERE)

    with (
        speaking(certificate) as speaker,
        names(monkeypatch, [HERE], [INNER], [HERE, INNER]) as asked,
    ):
        speaker.script = [OK + b"\r\nok"]
        url = f"https://{NAME}:{speaker.port}/"
        assert get(url, allow=allow) == (200, b"ok")
        # One lookup, whose answer was checked and used; the certificate is the name's.
        assert (asked, checked, speaker.names) == ([NAME], [HERE], [NAME])
        # The second answer is checked in its turn, and one refused address is enough.
        for _ in range(2):
            with pytest.raises(NoResponse, match="not on the public internet"):
                get(url, allow=allow)
        assert len(speaker.requests) == 1


def test_a_certificate_of_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certificate_of(tmp_path, "other.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with speaking(certificate) as speaker, names(monkeypatch, [HERE]):
        with pytest.raises(NoResponse, match="its certificate is refused: Hostname mismatch"):
            get(f"https://{NAME}:{speaker.port}/")
        assert speaker.requests == []


def test_the_next_address_is_tried_where_the_first_does_not_listen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with speaking() as speaker, names(monkeypatch, ["127.0.0.9", HERE]):
        speaker.script = [OK + b"\r\n"]
        assert get(f"http://{NAME}:{speaker.port}/").status == 200


def test_a_reason_never_shows_the_url() -> None:
    with socket.create_server((HERE, 0)) as closed:
        port = closed.getsockname()[1]
    for url in (f"http://{HERE}:{port}/secret-key", "http://nobody.invalid/secret-key"):
        with pytest.raises(NoResponse, match="could not be reached") as refused:
            get(url)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://example.com", WebAddress("https", "example.com", 443, "/")),
        ("https://EXAMPLE.com:8443/a?b=c", WebAddress("https", "example.com", 8443, "/a?b=c")),
        ("http://[::1]:80/x", WebAddress("http", "::1", 80, "/x")),
    ],
)
def test_a_url_is_taken_apart(url: str, address: WebAddress) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("ftp://example.com", "must be a URL"),
        ("file:///etc/passwd", "must be a URL"),
        ("https://", "must be a URL"),
        ("example.com", "must be a URL"),
        ("https://me:secret@example.com/", "user name"),
        ("https://example.com/#a", "fragment"),
        ("https://exam*ple.com/", "must be a URL"),
        ("https://[::1%25eth0]/", "must be a URL"),
        ("https://example.com:99999/", "port"),
        ("https://example.com:0/", "port"),
        ("https://[::1", "IPv6"),
        ("https://example.com/a b", "percent-encoded"),
        ("https://example.com/ä", "percent-encoded"),
    ],
)
def test_an_invalid_url_is_refused_by_its_rule(url: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_url(url)


def test_the_host_is_named_as_in_the_url() -> None:
    for url, authority in (
        ("https://example.com/", "example.com"),
        ("https://example.com:80/", "example.com:80"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ):
        assert parse_url(url).authority == authority

"""Events as API Gateway sends them, and answers as it takes them."""

import base64
import json

import pytest

from local.events import HttpRequest, HttpResponse, Routes, from_answer, to_event
from local.template import Route


def _request(**changes: object) -> HttpRequest:
    request = HttpRequest(
        "POST",
        "/path/to%20resource",
        "parameter1=value1&parameter1=value2&parameter2=a%26b",
        [("host", "id.execute-api.us-east-1.amazonaws.com"), ("user-agent", "agent")],
        b"",
        "192.0.2.1",
    )
    return request._replace(**changes)  # type: ignore[arg-type]


def test_an_event_has_the_shape_that_aws_documents() -> None:
    event = to_event(
        _request(
            headers=[
                ("host", "id.execute-api.us-east-1.amazonaws.com"),
                ("user-agent", "agent"),
                ("header2", "value1"),
                ("header2", "value2"),
                ("cookie", "cookie1=a; cookie2=b"),
                ("content-type", "application/json"),
            ],
            body=b'{"hello": "w\xc3\xb6rld"}',
        ),
        "POST /path/{to}",
        {"to": "to resource"},
        {"sub": "me", "scope": "a b"},
        "JKJaXmPLvHcESHA=",
    )
    assert event["version"] == "2.0"
    assert event["routeKey"] == "POST /path/{to}"
    assert event["rawPath"] == "/path/to resource"
    assert event["rawQueryString"] == "parameter1=value1&parameter1=value2&parameter2=a%26b"
    assert event["cookies"] == ["cookie1=a", "cookie2=b"]
    assert event["headers"]["header2"] == "value1,value2"
    assert "cookie" not in event["headers"]
    assert event["queryStringParameters"] == {"parameter1": "value1,value2", "parameter2": "a&b"}
    assert event["pathParameters"] == {"to": "to resource"}
    assert (event["body"], event["isBase64Encoded"]) == ('{"hello": "wörld"}', False)
    context = event["requestContext"]
    assert context["authorizer"] == {
        "jwt": {"claims": {"sub": "me", "scope": "a b"}, "scopes": None}
    }
    assert context["http"] == {
        "method": "POST",
        "path": "/path/to resource",
        "protocol": "HTTP/1.1",
        "sourceIp": "192.0.2.1",
        "userAgent": "agent",
    }
    assert (context["requestId"], context["stage"]) == ("JKJaXmPLvHcESHA=", "$default")
    assert context["timeEpoch"] > 1_700_000_000_000
    json.dumps(event)


def test_what_is_empty_is_left_out() -> None:
    event = to_event(_request(query=""), "POST /", {}, None, "id")
    absent = {"cookies", "queryStringParameters", "pathParameters", "body"}
    assert not absent & set(event)
    assert "authorizer" not in event["requestContext"]


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"),
    [
        ("application/json", b"{}", False),
        ("application/problem+json; charset=utf-8", b"{}", False),
        ("text/plain", b"x", False),
        ("application/octet-stream", b"x", True),
        ("application/x-www-form-urlencoded", b"a=b", True),
        ("", b"x", True),
        ("application/json", b"\xff", True),
    ],
)
def test_a_body_that_is_not_text_comes_in_base64(
    content_type: str, body: bytes, encoded: bool
) -> None:
    request = _request(body=body, headers=[("content-type", content_type)])
    event = to_event(request, "POST /", {}, None, "id")
    assert event["isBase64Encoded"] is encoded
    assert (base64.b64decode(event["body"]) if encoded else event["body"].encode()) == body


@pytest.mark.parametrize(
    ("answer", "response"),
    [
        (
            {"statusCode": 201, "headers": {"X-A": "b"}, "body": "hi", "cookies": ["c=1", "d=2"]},
            HttpResponse(
                201,
                [
                    ("x-a", "b"),
                    ("content-type", "text/plain;charset=UTF-8"),
                    ("set-cookie", "c=1"),
                    ("set-cookie", "d=2"),
                ],
                b"hi",
            ),
        ),
        (
            {
                "statusCode": 200,
                "headers": {"Content-Type": "a/b"},
                "body": "/w==",
                "isBase64Encoded": True,
            },
            HttpResponse(200, [("content-type", "a/b")], b"\xff"),
        ),
        ({"hello": 1}, HttpResponse(200, [("content-type", "application/json")], b'{"hello": 1}')),
        ("text", HttpResponse(200, [("content-type", "application/json")], b"text")),
    ],
)
def test_an_answer_is_sent_as_payload_2_says(answer: object, response: HttpResponse) -> None:
    assert from_answer(answer) == response


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "x"},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "*", "isBase64Encoded": True},
    ],
)
def test_a_malformed_answer_is_the_functions_failure(answer: object) -> None:
    with pytest.raises(ValueError):
        from_answer(answer)


def test_the_most_specific_route_is_taken() -> None:
    routes = Routes(
        {
            Route("GET /a/{id}", False): "one",
            Route("GET /a/me", True): "two",
            Route("POST /a/{id}", False): "three",
        }
    )
    found = routes.find("GET", "/a/me")
    assert found
    assert found[1] == "two"
    assert routes.find("GET", "/a/b%2Fc") == (Route("GET /a/{id}", False), "one", {"id": "b/c"})
    assert routes.find("DELETE", "/a/b") is None
    assert routes.find("GET", "/a/b/c") is None

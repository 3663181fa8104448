"""`make deploy` publishes the console so that no page ever lacks a file."""

import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.s3 import models

from local import console, deploy
from local.publish import KEPT, PAGE, RELEASES, publish
from local.target import Target

TARGET = Target("billing", {}, "eu-central-1", None)
TOKEN_URL = "https://billing-123456789012.auth.eu-central-1.amazoncognito.com/oauth2/token"
OUTPUTS = {
    "ConsoleFiles": "files",
    "ConsoleUrl": "https://billing.example.com/console/",
    "ConsoleClientId": "1example23456789",
    "TokenUrl": TOKEN_URL,
}


class Bucket:
    def __init__(self) -> None:
        self.s3 = boto3.client("s3", region_name="eu-central-1")
        self.s3.create_bucket(
            Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )

    def get(self, key: str) -> Any:
        return self.s3.get_object(Bucket="files", Key=key)

    def keys(self) -> set[str]:
        return {one["Key"] for one in self.s3.list_objects_v2(Bucket="files")["Contents"]}

    def releases(self) -> set[str]:
        return {key.split("/")[2] for key in self.keys() if key.startswith(RELEASES)}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield Bucket()


def change(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """The name of a release with another file."""
    changed = {**{"icon.svg": b"<svg/>"}, "app.js": text.encode()}
    monkeypatch.setattr(console, "files", lambda: changed)
    return console.release(changed)


def test_the_page_names_its_release_and_the_user_pool(bucket: Bucket) -> None:
    assert publish(TARGET, OUTPUTS) == "https://billing.example.com/console/"
    page = bucket.get(PAGE)
    assert (page["CacheControl"], page["ContentType"]) == ("no-store", "text/html; charset=utf-8")
    text = page["Body"].read().decode()
    [settings] = re.findall(r'name="sign-in" content="([^"]+)"', text)
    pool = TOKEN_URL.removesuffix("/oauth2/token")
    assert json.loads(unescape(settings)) == {
        "authorization_endpoint": f"{pool}/oauth2/authorize",
        "token_endpoint": TOKEN_URL,
        "end_session_endpoint": f"{pool}/logout",
        "client_id": "1example23456789",
        "scope": "openid",
        "redirect_uri": "/console/",
    }
    named = set(re.findall(r'(?:href|src)="/([^"]+)"', text))
    assert named <= bucket.keys()
    assert "%" not in text


def test_a_releases_files_are_those_of_the_local_console_and_kept_for_ever(bucket: Bucket) -> None:
    publish(TARGET, OUTPUTS)
    contents = console.files()
    folder = f"{RELEASES}{console.release(contents)}/"
    assert bucket.keys() == {PAGE} | {folder + name for name in contents}
    for name, content in contents.items():
        stored = bucket.get(folder + name)
        assert stored["Body"].read() == content
        assert stored["CacheControl"] == "public, max-age=31536000, immutable"
        kind = console.content_type(console.media_type(name))
        assert stored["ContentType"] == kind
    kinds = {bucket.get(folder + name)["ContentType"] for name in ("app.js", "styles.css")}
    assert kinds == {"text/javascript; charset=utf-8", "text/css; charset=utf-8"}


def test_the_last_three_releases_are_kept(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    # S3 notes whole seconds: each write is one later here.
    seconds = itertools.count()
    start = datetime(2026, 11, 1, tzinfo=UTC)
    monkeypatch.setattr(models, "utcnow", lambda: start + timedelta(seconds=next(seconds)))
    names = []
    for text in "abcde":
        names.append(change(monkeypatch, text))
        publish(TARGET, OUTPUTS)
    assert KEPT == 3
    assert bucket.releases() == set(names[-3:])
    # The one before is published again, such as after a rollback of the code.
    change(monkeypatch, "d")
    publish(TARGET, OUTPUTS)
    assert bucket.releases() == set(names[-3:])
    names.append(change(monkeypatch, "f"))
    publish(TARGET, OUTPUTS)
    assert bucket.releases() == {names[3], names[4], names[5]}


def test_files_come_before_the_page_that_names_them(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(TARGET, OUTPUTS)
    before, page = bucket.keys(), bucket.get(PAGE)["Body"].read()
    change(monkeypatch, "broken")
    # The last file cannot be read.
    broken = {**console.files(), "vendor.js": object()}
    monkeypatch.setattr(console, "files", lambda: broken)
    monkeypatch.setattr(console, "release", lambda _: "broken")
    with pytest.raises(Exception, match="Body"):
        publish(TARGET, OUTPUTS)
    assert bucket.get(PAGE)["Body"].read() == page
    assert before < bucket.keys()


def test_a_stack_without_a_console_gets_none(bucket: Bucket) -> None:
    assert publish(TARGET, {"TokenUrl": TOKEN_URL}) is None
    assert "Contents" not in bucket.s3.list_objects_v2(Bucket="files")


def test_outputs_are_those_of_the_stack(bucket: Bucket) -> None:
    assert deploy.outputs_of(TARGET) == {}
    queue = {"Type": "AWS::SQS::Queue"}
    outputs = {name: {"Value": value} for name, value in OUTPUTS.items()}
    boto3.client("cloudformation", region_name="eu-central-1").create_stack(
        StackName="billing",
        TemplateBody=json.dumps({"Resources": {"Queue": queue}, "Outputs": outputs}),
    )
    assert deploy.outputs_of(TARGET) == OUTPUTS
    publish(TARGET, deploy.outputs_of(TARGET))
    assert bucket.get(PAGE)

"""Publishes the console of a deployed stack: the folder of this release, then the page that names
it. The folders of the last releases stay, for pages that are open."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from local import console
from local.target import Target

KEPT = 3
PAGE = "console/index.html"
RELEASES = console.RELEASES.removeprefix("/")


def publish(target: Target, outputs: Mapping[str, str]) -> str | None:
    """Return the console's address; None where the stack has no console.

    Killed at any point, it leaves the page on a release that is complete.
    """
    bucket = outputs.get("ConsoleFiles")
    if not bucket:
        return None
    s3 = target.session().client("s3")
    contents = console.files()
    name = console.release(contents)
    for file, content in contents.items():
        _put(s3, bucket, f"{RELEASES}{name}/{file}", content, console.CACHED_FOR_EVER)
    page = console.page(name, sign_in(outputs)).encode()
    _put(s3, bucket, PAGE, page, "no-store")
    _forget_old(s3, bucket, name)
    return outputs["ConsoleUrl"]


def sign_in(outputs: Mapping[str, str]) -> console.SignIn:
    """Return how people sign in at the stack's user pool."""
    origin = outputs["TokenUrl"].removesuffix("/oauth2/token")
    return console.SignIn(
        f"{origin}/oauth2/authorize",
        outputs["TokenUrl"],
        f"{origin}/logout",
        outputs["ConsoleClientId"],
    )


def _put(s3: Any, bucket: str, key: str, content: bytes, cached: str) -> None:
    kind = console.content_type(console.media_type(key))
    s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind, CacheControl=cached)


def _forget_old(s3: Any, bucket: str, current: str) -> None:
    """Delete the folders of all but the last releases, of which the current one is the newest."""
    keys: dict[str, list[str]] = {}
    written: dict[str, datetime] = {}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RELEASES)
    for one in (one for page in pages for one in page.get("Contents", [])):
        name = one["Key"].removeprefix(RELEASES).partition("/")[0]
        keys.setdefault(name, []).append(one["Key"])
        written[name] = max(written.get(name, one["LastModified"]), one["LastModified"])
    others = sorted(keys.keys() - {current}, key=written.__getitem__, reverse=True)
    for name in others[KEPT - 1 :]:
        for key in keys[name]:
            s3.delete_object(Bucket=bucket, Key=key)

"""What the console ships: its libraries, its page, its sizes. No browser is needed."""

import gzip
import hashlib
import re
import shutil
from pathlib import Path

import pytest

from local import console
from local.events import HttpRequest
from local.sign_in import SIGN_IN
from local.vendor import FOLDER, libraries

KILOBYTE = 1024
FIRST_PAGE = "pages/overview.js"


def _packed(names: list[str]) -> float:
    contents = console.files()
    return sum(len(gzip.compress(contents[name], 9)) for name in names) / KILOBYTE


def _preloaded() -> list[str]:
    return re.findall(
        r'modulepreload" href="%FILES%/([^"]+)"', (console.FOLDER / "index.html").read_text()
    )


def test_each_library_is_the_file_whose_sum_is_listed() -> None:
    listed = {of.to: of.sha256 for of in libraries()}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.js")
    }
    assert found == listed


def test_every_library_is_named_in_the_notice_and_has_a_licence_that_allows_it() -> None:
    notice = (console.FOLDER.parent / "NOTICE").read_text()
    for library in libraries():
        assert library.licence in ("MIT", "Apache-2.0")
        assert library.package.lower() in notice.lower()


def test_modules_import_only_files_that_are_there() -> None:
    contents = console.files()
    for name, content in contents.items():
        if not name.endswith(".js"):
            continue
        imported = re.findall(r'(?:from|import)\s*\(?"([^"\s,]+)"', content.decode())
        for path in imported:
            assert path.startswith("."), f"{name} imports {path}"
            target = (console.FOLDER / name).parent / path
            assert target.resolve().is_file(), f"{name} imports {path}"


def test_the_page_preloads_what_the_overview_needs_and_no_more() -> None:
    contents = console.files()
    needed, found = ["boot.js", "app.js"], set()
    while needed:
        name = needed.pop()
        if name not in found:
            found.add(name)
            # Static imports alone: other pages are loaded when they are opened.
            for path in re.findall(
                r'^\s*import[^(]*?"([^"]+)"|from"([^"]+)"', contents[name].decode(), re.M
            ):
                target = ((console.FOLDER / name).parent / "".join(path)).resolve()
                needed.append(target.relative_to(console.FOLDER).as_posix())
    assert set(_preloaded()) == found - {"boot.js"}


def test_nothing_is_inline() -> None:
    page = console.page("abc", SIGN_IN)
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|javascript:", page) == []
    for name, content in console.files().items():
        if name.endswith(".js") and not name.startswith("vendor/"):
            assert not re.search(r"innerHTML|\sstyle=|eval\(|new Function", content.decode()), name


def test_the_policy_allows_a_foreign_issuers_token_endpoint_and_no_other_host() -> None:
    assert "connect-src 'self';" in console.policy(SIGN_IN)
    foreign = SIGN_IN._replace(token_endpoint="https://sign-in.example.com/oauth2/token")
    assert "connect-src 'self' https://sign-in.example.com;" in console.policy(foreign)
    assert console.policy(foreign).count("https:") == 1


def test_a_release_is_named_by_its_files() -> None:
    contents = console.files()
    assert console.release(contents) == console.release(dict(contents))
    assert console.release(contents) != console.release(contents | {"app.js": b"other"})


def ask(path: str, accept_encoding: str) -> dict[str, str]:
    """The headers of an answer."""
    accepted = [("accept-encoding", accept_encoding)]
    request = HttpRequest("GET", path, "", accepted, b"", "127.0.0.1")
    return dict(console.answer(request, SIGN_IN).headers)


@pytest.mark.parametrize(("accepted", "packed"), [("gzip", True), ("gzip;q=0", False), ("", False)])
def test_files_and_page_are_compressed_for_who_takes_it(accepted: str, packed: bool) -> None:
    file = f"{console.RELEASES}{console.current(SIGN_IN).name}/app.js"
    for path in (file, "/console/"):
        found = ask(path, accepted)
        assert (found.get("content-encoding") == "gzip") is packed
        assert found["vary"] == "Accept-Encoding"


def test_files_are_read_again_after_a_change_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = shutil.copytree(console.FOLDER, tmp_path / "console")
    monkeypatch.setattr(console, "FOLDER", folder)
    first = console.current(SIGN_IN)
    assert console.current(SIGN_IN) is first
    (folder / "app.js").write_text("// another")
    assert console.current(SIGN_IN).files["app.js"] == b"// another"
    assert console.current(SIGN_IN).name != first.name


def test_sizes_stay_within_their_budgets() -> None:
    names = [*console.files()]
    overview = ["boot.js", "styles.css", "icon.svg", *_preloaded()]
    assert _packed(overview) <= 60
    assert _packed([name for name in names if name.startswith("vendor/")]) <= 15
    assert _packed(["styles.css"]) <= 8
    for name in names:
        if name.startswith("pages/"):
            assert _packed([name]) <= 5, name

"""The documents name what exists, and keep their form."""

import re
import tomllib
from pathlib import Path

import pytest

from local.template import ROOT

TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
}
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))


def _names(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_every_test_that_the_security_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/security.md").read_text()))
    assert len(named) > 20
    assert named <= TESTS, named - TESTS


@pytest.mark.parametrize("page", PAGES, ids=_names)
def test_a_link_leads_to_a_page_and_to_a_heading_of_it(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        if "://" not in target:
            linked = page.parent / target if target else page
            assert linked.exists(), target
            if heading:
                assert heading in _anchors(linked), f"{target}#{heading}"


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_the_index_of_the_documents_lists_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text()
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


@pytest.mark.parametrize("page", DECISIONS, ids=_names)
def test_a_decision_has_a_status_a_date_and_its_sections(page: Path) -> None:
    text = page.read_text()
    assert re.match(
        rf"# {int(page.name[:4])}\. .+\n"
        r"- Status: (proposed|accepted|superseded by \d+)\n- Date: \d{4}-\d\d-\d\d\n\n",
        text,
    )
    sections = re.findall(r"^## (.+)$", text, re.M)
    assert sections == ["Context", "Decision", "Consequences", "Alternatives"]


def test_the_newest_version_of_the_changelog_is_the_projects() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - (?:Unreleased|\d{4}-\d\d-\d\d)$", changelog, re.M
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert versions[0] == project["version"]
    kinds = set(re.findall(r"^### (.+)$", changelog, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_licence_of_the_project_is_the_one_it_ships() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE", "NOTICE"]
    assert (
        "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()
    )


@pytest.mark.parametrize(
    "pattern",
    ["local/demo_data/*.csv", "local/demo_data/*.json", "tests/data/*", "shared/**/*.pem"],
)
def test_the_notice_names_every_included_work_of_others(pattern: str) -> None:
    notice = (ROOT / "NOTICE").read_text().splitlines()
    works = {_names(path) for path in ROOT.glob(pattern)}
    assert works
    assert works <= set(notice), works - set(notice)


def test_the_layout_of_the_readme_names_what_is_there() -> None:
    layout = (ROOT / "README.md").read_text().partition("## Layout")[2].partition("##")[0]
    core = ROOT / "shared/synaxis_billing"
    rows = re.findall(r"^    (  )?(\S.*?)  +\S", layout, re.M)
    assert len(rows) > 8
    for inside, names in rows:
        for name in re.split(r",? ", names):
            assert ((core if inside else ROOT) / name).exists(), name


def test_the_recipes_name_files_that_exist() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text().partition("## Recipes")[2]
    named = set(re.findall(r"`([\w./]+/[\w./]*|[\w./]+\.(?:py|sql|yaml|toml))`", recipes))
    assert len(named) > 10
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "shared/synaxis_billing" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=_names)
def test_a_page_names_files_and_targets_that_exist(page: Path) -> None:
    text = page.read_text()
    made = (
        r"/health|/docs|/openapi\.json|/var/.*|\.local/.*|logs/|layers/documents/fonts|\.venv.*"
        r"|text/csv|\.sql|.*<.*|\.\.\./.*"
    )
    named = re.findall(r"`([\w./<>-]*/[\w./<>-]*|[\w./-]+\.(?:py|sql|yaml|toml|txt|md))`", text)
    folders = (ROOT, ROOT / "shared/synaxis_billing", page.parent)
    for name in named:
        exists = any((folder / name).exists() for folder in folders)
        assert exists or re.fullmatch(made, name), name
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"`make ([a-z-]+)", text):
        assert target in targets, target

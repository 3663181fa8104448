"""The bugs that `make planted` plants can still be planted."""

from local.template import ROOT
from tests.chaos.planted import BUGS, PRODUCT


def test_each_bug_finds_its_text_once_and_its_test() -> None:
    for bug in BUGS:
        assert (ROOT / PRODUCT / bug.file).read_text().count(bug.text) == 1, bug.name
        file, _, name = bug.test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text() or not name, bug.name

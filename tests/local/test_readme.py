"""The commands of the README and of the guide print the outputs that these pages show.

The blocks of a page that are marked `sh` run in one shell, in order. A block marked `text` is the
output of the block before it, where `...` stands for anything; line breaks and spaces do not count.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from local.template import ROOT
from tests.support.running import start, stop, wait_until_ready

URL = "http://127.0.0.1:3000"
# The product that the other commands of a page talk to is started by the test.
START = "make run\n"
END = "end of the output"


class Step(NamedTuple):
    """A block of commands, and the output that the page shows; None if it shows none."""

    commands: str
    shown: str | None


def steps_of(page: str) -> Iterator[Step]:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.M | re.S)
    for (language, text), (following, shown) in pairwise([*blocks, ("", "")]):
        if language == "sh":
            yield Step(text, shown if following == "text" else None)


def matches(shown: str, output: str) -> bool:
    left_out = {'"..."': '"[^"]*"', "...": ".*"}
    pattern = "".join(
        left_out.get(part) or re.escape("".join(part.split()))
        for part in re.split(r'("\.\.\."|\.\.\.)', shown)
    )
    return re.fullmatch(pattern, "".join(output.split())) is not None


def _outputs(steps: list[Step]) -> list[str]:
    script = "\n".join(f"{step.commands}\necho '{END}'" for step in steps)
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert not done.stderr
    *outputs, _ = done.stdout.split(f"{END}\n")
    return outputs


@pytest.mark.parametrize("name", ["README.md", "docs/integrate.md"])
def test_the_commands_of_a_page_print_what_it_shows(
    name: str, folders: Callable[[str], Path]
) -> None:
    state = folders("page")
    process = start(state)
    try:
        url = wait_until_ready(process, state)
        steps = list(steps_of((ROOT / name).read_text().replace(URL, url)))
        outputs = iter(_outputs([step for step in steps if step.commands != START]))
    finally:
        printed, _ = stop(process)
    assert sum(step.shown is not None for step in steps) > 5
    for step in steps:
        output = printed if step.commands == START else next(outputs)
        if step.shown is not None:
            assert matches(step.shown, output), f"{step.commands}\nprints\n{output}"


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ('{"id":"...",...,"a":"1"}', '{"id": "x", "b": 2, "a": "1"}\n', True),
        ('{"id":"...",...,"a":"1"}', '{"id": "x", "b": 2, "a": "2"}\n', False),
        ('{"id":"...","a":"1"}', '{"id": "x", "b": 2, "a": "1"}\n', False),
        ('{"a":"1",...}', '{"a":"1.0","b":2}', False),
    ],
)
def test_an_output_is_compared_but_for_what_is_left_out(
    shown: str, output: str, same: bool
) -> None:
    assert matches(shown, output) is same

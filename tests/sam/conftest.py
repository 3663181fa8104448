"""Skips the tests in containers, with the reason, unless `-m sam` asks for them."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "sam" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("sam"):
                item.add_marker(pytest.mark.skip("needs Docker: make sam-test"))

"""What runs in containers is left out, and said to be, where it is not asked for."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "sam" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("sam"):
                item.add_marker(pytest.mark.skip("needs Docker: make sam-test"))

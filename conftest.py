"""What tests of both packages share."""

from typing import Any

pytest_plugins = ["sharing"]  # in tests/

# They hold no examples, and as modules of one name two of them cannot be collected together.
collect_ignore_glob = ["tests/conftest.py", "tests/*/conftest.py"]


def pytest_configure(config: Any) -> None:
    """Fixtures that import torch: not in the process that only hands out tests to others."""
    if not config.getoption("numprocesses", default=None):
        config.pluginmanager.import_plugin("tiny_training")  # in tests/

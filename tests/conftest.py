"""What tests of several rooms share."""

import signal
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from eae_core.data import DatasetInfo, ImageSet

settings.register_profile("untimed", deadline=None)  # a busy machine is not a failure
settings.load_profile("untimed")

# As a shell, or nohup, has them for what runs behind it; the tests send both.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (1, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_collectstart() -> None:
    """Drawn data sets are known, whichever test runs first; who only hands out tests waits less."""
    import eae_book  # noqa: F401


def _reason(info: "DatasetInfo") -> str:
    from eae_core.data import data_root

    return (
        f"{info.title} is not prepared in {data_root()}: run `eae data prepare "
        f"{info.name}`, or see data/README.md"
    )


@pytest.fixture
def real_data() -> "Callable[..., ImageSet]":
    """`real_data(name, split="train", limit=None)`: a prepared set, or a skip that says what to do.

    Nothing is downloaded: tests work on what is there.
    """

    from eae_core.data import data_root, dataset_info, load_images

    def load(name: str, split: str = "train", limit: int | None = None) -> "ImageSet":
        info = dataset_info(name)
        if not info.embedded and not (data_root() / name / "meta.json").is_file():
            pytest.skip(_reason(info))
        return load_images(name, split, limit=limit, download=False)

    return load


@pytest.fixture
def script(request: pytest.FixtureRequest) -> ModuleType:
    """The script of workflow/ that a file `test_record_....py` is about."""
    return import_module(request.module.__name__.rpartition("test_")[2])

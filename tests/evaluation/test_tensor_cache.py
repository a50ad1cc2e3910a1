"""A cache gives back what was put in, or nothing: never anything else, never an error."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import save_file

from eae_core.evaluation.tensor_cache import cached_tensors, tensors_checksum

KEY = {"n": 3, "of": "squares"}


class Counted:
    """Makes the tensors, and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"x": torch.arange(3.0), "scalar": torch.tensor(7)}


@pytest.fixture
def compute():
    return Counted()


def test_who_asks_at_the_same_time_waits_and_has_the_same(tmp_path, compute):
    def slowly():
        time.sleep(0.5)
        return {"x": torch.rand(3), "calls": torch.tensor(compute.calls)} | compute()

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(cached_tensors, tmp_path, "a", KEY, slowly) for _ in range(4)]
    assert compute.calls == 1
    for found in asked[1:]:
        assert torch.equal(found.result()["x"], asked[0].result()["x"])
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]  # no lock is left


def test_computes_once(tmp_path, compute):
    first = cached_tensors(tmp_path / "new" / "folder", "a/b c", KEY, compute)
    second = cached_tensors(tmp_path / "new" / "folder", "a/b c", KEY, compute)
    assert compute.calls == 1
    for name, tensor in compute().items():
        assert torch.equal(first[name], tensor)
        assert torch.equal(second[name], tensor)
    (file,) = (tmp_path / "new" / "folder").iterdir()  # nothing half-written beside it
    assert file.name.startswith("a_b_c-")


def test_another_key_is_another_file(tmp_path, compute):
    cached_tensors(tmp_path, "x", KEY, compute)
    cached_tensors(tmp_path, "x", KEY | {"n": 4}, compute)
    assert compute.calls == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_damaged_files_are_made_anew(tmp_path, compute):
    cached_tensors(tmp_path, "x", KEY, compute)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1  # a bit of the last number
    stranger = tmp_path / "stranger"
    save_file({"x": torch.zeros(3)}, stranger)
    for content in (b"", whole[:-4], bytes(flipped), b"no tensors", stranger.read_bytes()):
        file.write_bytes(content)
        before = compute.calls
        again = cached_tensors(tmp_path, "x", KEY, compute)
        assert compute.calls == before + 1
        assert torch.equal(again["x"], torch.arange(3.0))
        cached_tensors(tmp_path, "x", KEY, compute)  # the file was replaced by a good one
        assert compute.calls == before + 1


def test_a_file_under_the_name_of_another_key_is_not_trusted(tmp_path, compute):
    cached_tensors(tmp_path, "x", KEY, compute)
    (file,) = tmp_path.iterdir()
    other = tmp_path / "other"
    cached_tensors(other, "x", KEY | {"n": 4}, lambda: {"x": torch.zeros(3)})
    file.write_bytes(next(other.iterdir()).read_bytes())
    assert torch.equal(cached_tensors(tmp_path, "x", KEY, compute)["x"], torch.arange(3.0))


def test_works_where_nothing_can_be_written(tmp_path, compute, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with caplog.at_level(logging.WARNING):
        found = cached_tensors(blocked / "cache", "x", KEY, compute)
    assert torch.equal(found["x"], torch.arange(3.0))
    assert "not kept" in caplog.text
    assert "writable" in caplog.text  # what to do about it


def test_an_error_in_the_making_leaves_no_file(tmp_path):
    def fail():
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        cached_tensors(tmp_path, "x", KEY, fail)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "other",
    [
        {"x": torch.tensor([1.0, 3.0])},
        {"y": torch.tensor([1.0, 2.0])},
        {"x": torch.tensor([[1.0, 2.0]])},
        {"x": torch.tensor([1.0, 2.0]).double()},
        {"x": torch.tensor([1.0, 2.0]), "z": torch.zeros(0)},
    ],
)
def test_checksum_tells_apart(other):
    assert tensors_checksum({"x": torch.tensor([1.0, 2.0])}) != tensors_checksum(other)

"""The command for a GPU, at toy size on a CPU: time runs out, and elsewhere it goes on."""

import gpu
import numpy as np
import packing
import pytest

from eae_book.records import load_records
from eae_core.training.checkpoints import read_checkpoint

EPOCHS = 30
MATRIX = f"""
models: [ae, wae]
profiles:
  toy:
    seeds: [0]
    defaults: {{width: 2, latent-dim: 3, batch-size: 50, limit: 200, samples: 50}}
    datasets:
      digits: {{}}
    by_model:
      ae: {{epochs: {EPOCHS}}}
      wae: {{epochs: 1}}
"""


class ShortClock(gpu.Clock):
    """Time that is out as soon as a checkpoint lies in a folder."""

    def __init__(self, work):
        super().__init__(minutes=60)
        self.work = work

    @property
    def left(self):
        return 0.0 if list(self.work.glob("cells/*/model.safetensors")) else 60.0


def test_what_time_cut_off_goes_on_in_another_place(tmp_path, capsys):
    matrix = tmp_path / "matrix.yml"
    matrix.write_text(MATRIX)
    words = ["--profile", "toy", "--matrix", str(matrix), "--no-benchmarks"]
    here, there = tmp_path / "here", tmp_path / "there"

    first = [*words, "--work", str(here), "--output", str(tmp_path / "out")]
    assert gpu.main(first, clock=ShortClock(here)) == 0
    said = capsys.readouterr().out
    assert "digits-ae-seed0: stopped (130)" in said
    assert "2 of 2 cells of toy: not measured yet" in said
    (path,) = here.glob("cells/*/model.safetensors")
    done = read_checkpoint(path).epoch
    assert 1 <= done < EPOCHS
    assert sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) < packing.MIB

    then = [*words, "--work", str(there), "--output", str(tmp_path / "more")]
    assert gpu.main([*then, "--carry", str(tmp_path / "out"), "--jobs", "2"]) == 0
    said = capsys.readouterr().out
    assert {"digits-ae-seed0: recorded", "digits-wae-seed0: recorded"} < set(said.splitlines())
    assert said.endswith("0 of 2 cells of toy: not measured yet\n")
    records = {record.run: record for record in load_records("models-toy", there / "records")}
    curve = records["digits-ae-seed0"].curves["loss"]
    assert len(curve) == EPOCHS
    assert len(list((there / "records" / "models-toy").glob("digits-ae-seed0.*"))) == 2  # a sheet

    # The epochs of the first place are in the curve, to the bit.
    assert curve[:done] == [epoch["loss"] for epoch in read_checkpoint(path).epochs]
    assert gpu.main([*then, "--carry", str(tmp_path / "more")]) == 0  # nothing is left to do
    assert "recorded" not in capsys.readouterr().out


def test_a_checkpoint_that_does_not_fit_stays_and_is_named(tmp_path, capsys):
    matrix = tmp_path / "matrix.yml"
    matrix.write_text(MATRIX)
    cell = gpu.load_cells("toy", path=matrix)[0]
    folder = gpu.cell_folder(cell, tmp_path)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(3 * packing.MIB))
    said = gpu.write_parts([cell], tmp_path, tmp_path / "out", 2)
    assert said == [f"{cell.run}: its checkpoint of 3 MiB stays in {tmp_path}"]


def test_benchmarks_run_once_or_are_said_to_be_missing(tmp_path, monkeypatch):
    small = ["--device", "cpu", "--points", "300", "--repeats", "1"]
    monkeypatch.setattr(gpu, "BENCHMARKS", {"entropy_gpu": small})
    over, ample = gpu.Clock(0), gpu.Clock(60)
    assert gpu.run_benchmarks(over, tmp_path) == ["benchmark entropy_gpu: not measured yet"]
    assert gpu.run_benchmarks(ample, tmp_path) == ["benchmark entropy_gpu: measured"]
    assert load_records("benchmarks", tmp_path)[0].run == "entropy-gpu-cpu"
    assert gpu.run_benchmarks(ample, tmp_path) == []


def test_cells_that_say_most_come_first():
    cells = gpu.by_value(gpu.load_cells("paper"))
    first = [(cell.dataset, cell.model, cell.seed) for cell in cells[:36]]
    assert first[0] == ("cifar10", "eae", 0)
    assert first[6] == ("celeba64", "eae", 0)
    assert {seed for *_, seed in first[:12]} == {0}
    assert {dataset for dataset, *_ in first} == {"cifar10", "celeba64"}
    assert len(cells) == len(gpu.load_cells("paper"))


def test_parts_travel_and_none_may_lack(tmp_path):
    content = np.random.default_rng(0).integers(256, size=3 * packing.MIB, dtype=np.uint8)
    (tmp_path / "a").write_bytes(content.tobytes())
    parts = packing.pack([(tmp_path / "a", "x/a")], tmp_path / "parts", part_mib=1)
    assert len(parts) == 4
    assert max(part.stat().st_size for part in parts) <= packing.MIB
    packing.unpack(tmp_path / "parts", tmp_path / "back")
    assert (tmp_path / "back" / "x" / "a").read_bytes() == content.tobytes()
    parts[1].unlink()
    with pytest.raises(FileNotFoundError, match="lacks 1 of the 4 parts of an archive: 2"):
        packing.unpack(tmp_path / "parts", tmp_path / "again")


@pytest.mark.parametrize("channels", [1, 3])
def test_shrunk_images_grow_back_to_the_bit(tmp_path, channels):
    images = np.random.default_rng(0).integers(256, size=(20, 16, 16, channels), dtype=np.uint8)
    folder = tmp_path / "set"
    folder.mkdir()
    np.save(folder / "train_images.npy", images)
    (folder / "meta.json").write_text("{}")
    packing.shrink(folder, tmp_path / "small")
    packing.grow(tmp_path / "small")
    assert (np.load(tmp_path / "small" / "train_images.npy") == images).all()
    assert (tmp_path / "small" / "meta.json").read_text() == "{}"
    before = (folder / "train_images.npy").read_bytes()  # meta.json holds its checksum
    assert (tmp_path / "small" / "train_images.npy").read_bytes() == before

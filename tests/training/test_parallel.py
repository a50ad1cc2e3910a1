"""One training in several processes: the weights of one process, and one end for all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_ranks
import torch
from torch import nn

from eae_core.training import TrainOptions, fit
from eae_core.training.checkpoints import read_checkpoint
from eae_core.training.parallel import ProcessLost, whole_batch


def run_ranks(job, count, folder, *, torchrun=False):
    """Start the program of tiny_ranks as a user does, once; it starts its other processes."""
    start = [sys.executable]
    if torchrun:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    words = [tiny_ranks.__file__, job, str(1 if torchrun else count), str(folder)]
    root = str(
        Path(tiny_ranks.__file__).parents[1]
    )  # beside tests/ a folder eae_book hides the package
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    environment["PYTHONPATH"] = root
    return subprocess.run(
        [*start, *words], capture_output=True, text=True, timeout=240, env=environment, check=False
    )


def found(job, folder):
    return torch.load(folder / f"{job}.pt", weights_only=True)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """Gradients of all models over two processes, and twelve steps of a training."""
    folder = tmp_path_factory.mktemp("ranks")
    done = run_ranks("first", 2, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_gradients_and_moments_are_those_of_one_process(two_ranks):
    parts, whole = found("first", two_ranks)["gradients"], tiny_ranks.gradients()
    assert parts.keys() == whole.keys()
    for name, gradients in whole.items():
        assert parts[name].keys() == gradients.keys()
        # Biases before a normalisation have no gradient but rounding, so all are taken together.
        both = [
            torch.cat([t.double().flatten() for t in g.values()]) for g in (parts[name], gradients)
        ]
        assert (both[0] - both[1]).norm() < 1e-4 * both[1].norm(), name


@pytest.mark.slow
def test_two_processes_then_four_end_with_the_weights_of_one(two_ranks):
    """Twenty steps with shares of 8 and 7, then of 4, 4, 4 and 3 images."""
    saved = read_checkpoint(two_ranks / "double.safetensors")
    assert (saved.epoch, saved.step, saved.options["devices"]) == (3, 0, 2)
    done = run_ranks("on", 4, two_ranks)
    assert done.returncode == 0, done.stderr
    weights, epochs, steps = found("on", two_ranks)["trained"]
    assert steps == 2 * 4  # the first twelve were not taken again
    whole, expected, _ = tiny_ranks.trained(5, 1, None)
    for name, tensor in whole.items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=1e-6, msg=name)
    for got, wanted in zip(epochs, expected, strict=True):
        for term in ("loss", "reconstruction", "entropy"):
            assert got[term] == pytest.approx(wanted[term], rel=1e-6)


@pytest.mark.slow
def test_a_process_that_dies_ends_the_training_with_a_message_and_a_checkpoint(tmp_path):
    done = run_ranks("death", 2, tmp_path)
    assert done.returncode != 0
    assert "ProcessLost: another process of this training ended in epoch 2, step 3" in done.stderr
    assert "double.safetensors is kept: start again" in done.stderr
    saved = read_checkpoint(tmp_path / "double.safetensors")
    assert (saved.epoch, saved.step, len(saved.terms["rows"])) == (1, 2, 2)
    weights, epochs, _ = tiny_ranks.trained(3, 1, tmp_path / "double.safetensors")
    whole, expected, _ = tiny_ranks.trained(3, 1, None)
    assert epochs[2]["loss"] == pytest.approx(expected[2]["loss"], rel=1e-6)
    torch.testing.assert_close(
        weights["eae.decoder.0.weight"], whole["eae.decoder.0.weight"], rtol=0, atol=1e-6
    )


def test_a_step_whose_gradients_were_lost_is_not_in_the_checkpoint(
    tiny, images, tiny_kind, tmp_path, monkeypatch
):
    """Its terms are noted by then: the other process ended after them."""

    def lost(gradient):
        raise RuntimeError("gloo: connection closed")

    class Losing(tiny_kind):
        def loss(self, x):
            terms = super().loss(x)
            if self.calls == 3:
                terms["loss"].register_hook(lost)
            return terms

    for module in ("run", "trainer"):
        monkeypatch.setattr(f"eae_core.training.{module}.is_lost_process", lambda error: True)
    path = tmp_path / "tiny.safetensors"
    options = TrainOptions(epochs=1, batch_size=5, device="cpu", progress=False)
    with pytest.raises(ProcessLost, match="epoch 1, step 3"):
        fit(tiny(kind=Losing), images(), options, checkpoint=path)
    saved = read_checkpoint(path)
    assert (saved.step, len(saved.terms["rows"])) == (2, 2)


@pytest.mark.regress  # the same training, begun in another way
def test_under_torchrun_the_processes_are_its_own(tmp_path):
    done = run_ranks("on", 2, tmp_path, torchrun=True)
    assert done.returncode == 0, done.stderr
    weights, _, steps = found("on", tmp_path)["trained"]
    assert steps == 5 * 4
    whole, _, _ = tiny_ranks.trained(5, 1, None)
    torch.testing.assert_close(weights, whole, rtol=0, atol=1e-6)


def test_layers_are_as_before_when_the_training_is_over():
    group = object()  # it is only passed on
    for _, model in tiny_ranks.models():
        kinds = [type(module) for module in model.modules()]
        with whole_batch(model, group):
            inside = [type(module) for module in model.modules()]
            assert model.group is group
            with whole_batch(model, None):
                assert [type(module) for module in model.modules()] == kinds
                assert model.group is None
            assert [type(module) for module in model.modules()] == inside != kinds
        assert [type(module) for module in model.modules()] == kinds
        assert model.group is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"devices": 0}, "devices must be a whole number of at least 1"),
        ({"strategy": "fsdp"}, "strategy must be auto, ddp or ddp_find_unused_parameters_true"),
        ({"devices": 2, "device": "cuda:1"}, "device must be auto, cpu or cuda where there are"),
    ],
)
def test_an_impossible_distribution_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainOptions(epochs=1, **changes)


def test_a_batch_must_have_an_image_for_each_process(tiny, images):
    options = TrainOptions(epochs=1, batch_size=5, devices=6, device="cpu", progress=False)
    with pytest.raises(ValueError, match=r"batch_size 5 is smaller than .* processes .* 6"):
        fit(tiny(), images(), options)


def test_cumulative_averages_of_a_whole_batch_norm(monkeypatch):
    """momentum=None, as update_bn sets it; the group is of one process here."""
    monkeypatch.setattr("eae_core.training.parallel.gather_rows", lambda rows, group: (rows, 0))
    plain, whole = nn.BatchNorm2d(3, momentum=None), nn.BatchNorm2d(3, momentum=None)
    generator = torch.Generator().manual_seed(0)
    with whole_batch(whole, object()):
        for size in (4, 7):
            x = torch.randn(size, 3, 2, 2, generator=generator)
            torch.testing.assert_close(whole(x), plain(x))
    torch.testing.assert_close(whole.state_dict(), plain.state_dict())

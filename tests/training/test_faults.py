"""What happens to files, machines and models while they train, and what is said of it."""

import os
import random
import re
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import eae_book.constraints  # noqa: F401 (makes them known by name)
from eae_core.data import load_images
from eae_core.entropy import DuplicatePointsError, knn_entropy
from eae_core.files import LockedError, locked
from eae_core.models import EAE, EAEOptions, build_model, build_networks
from eae_core.training import CheckpointError, TrainingError, TrainOptions, fit, load_model
from eae_core.training.checkpoints import _checksum, read_checkpoint, write_checkpoint


def options(**changes):
    values = {"epochs": 2, "batch_size": 5, "device": "cpu", "progress": False}
    return TrainOptions(**{**values, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "tiny.safetensors"


@pytest.fixture(scope="module")
def digits():
    return load_images("digits", limit=40)


def small(name="ae", **changes):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return build_model(name, (1, 32, 32), latent_dim=2, width=1, **changes)


# Damage


def test_no_flipped_bit_of_a_checkpoint_goes_unseen(digits, path):
    fit(small(), digits, options(epochs=1, batch_size=10), checkpoint=path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    draw = random.Random(0)
    places = [draw.randrange(header) for _ in range(60)]
    places += [draw.randrange(header, len(content)) for _ in range(60)]
    for place in [*places, 0, 7, 8, header - 1, header, len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(CheckpointError, match=r"tiny\.safetensors (is|has)"):
            load_model(path)
    path.write_bytes(content)
    load_model(path)


def test_a_damaged_checkpoint_is_not_gone_on_from_and_the_way_out_is_named(tiny, images, path):
    fit(tiny(), images(), options(epochs=1), checkpoint=path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    model = tiny()
    with pytest.raises(
        CheckpointError, match=r"is damaged .*checksum.*: restore a copy of it, or "
    ):
        fit(model, images(), options(), checkpoint=path)
    assert model.calls == 0
    fit(model, images(), options(), checkpoint=path, resume=False)
    load_model(path, model=tiny())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w | {"norm.running_var": torch.ones(4)}, r"running_var as float32 \(4,\), this"),
        (
            lambda w: w | {"decoder.bias": w["decoder.bias"].half()},
            r"bias as float16 .* as float32",
        ),
        (lambda w: {k: v for k, v in w.items() if k != "decoder.bias"}, r"lacks .*decoder\.bias"),
        (lambda w: w | {"colour": torch.ones(1)}, r"that this model lacks: colour"),
        (
            lambda w: w | {"decoder.bias": w["decoder.bias"] * torch.nan},
            r"tiny\.safetensors is bad: its weight decoder\.bias is not finite. Restore an earlier",
        ),
    ],
)
def test_weights_that_are_not_the_models_are_named_with_the_file(
    tiny, images, path, change, message
):
    fit(tiny(), images(), options(epochs=1, recompute_moments=False), checkpoint=path)
    saved = read_checkpoint(path)
    saved.__dict__["weights"] = change(saved.weights)
    write_checkpoint(path, saved)
    model = tiny()
    with pytest.raises(CheckpointError, match=message):
        load_model(path, model=tiny())
    with pytest.raises(CheckpointError, match=message):
        fit(model, images(), options(), checkpoint=path)
    assert model.calls == 0


def test_the_checksum_is_of_names_kinds_and_header_too():
    header, tensors = {"epoch": 1, "x": [0.1]}, {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    told = {
        _checksum(header, tensors),
        _checksum({**header, "epoch": 2}, tensors),
        _checksum(header, {"c": tensors["a"], "b": tensors["b"]}),
        _checksum(header, {**tensors, "a": torch.zeros(3, 2)}),
        _checksum(header, {**tensors, "a": torch.zeros(2, 3, dtype=torch.int32)}),
        _checksum(header, {"a": tensors["a"]}),
    }
    assert len(told) == 6


# Files


def test_two_trainings_of_one_file_do_not_mix(tiny, images, path):
    model = tiny()
    with locked(path), pytest.raises(LockedError, match=rf"written by process {os.getpid()} on"):
        fit(model, images(), options(), checkpoint=path)
    assert model.calls == 0
    fit(model, images(), options(), checkpoint=path)
    assert os.listdir(path.parent) == [path.name]


def test_what_a_killed_training_left_is_swept_by_the_next(tiny, images, path):
    path.parent.mkdir()
    (path.parent / f".{path.name}.1a2b.part").write_bytes(b"half a checkpoint")
    (path.parent / f".{path.name}.lock").write_text("process 1 on another machine")
    fit(tiny(), images(), options(), checkpoint=path)
    assert os.listdir(path.parent) == [path.name]


def test_room_for_the_checkpoint_is_asked_for_before_training(tiny, images, path, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    model = tiny()
    with pytest.raises(OSError, match=r"cannot write .*runs \(.* MB are needed and 0 MB free"):
        fit(model, images(), options(), checkpoint=path)
    assert model.calls == 0


def test_a_share_that_refuses_chmod_holds_a_checkpoint(tiny, images, path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    fit(tiny(), images(), options(), checkpoint=path)
    assert read_checkpoint(path).epoch == 2


# Own networks


def own(k: int = 1, weight: float = 1.0) -> EAE:
    encoder, decoder = build_networks((1, 32, 32), 2, width=1)
    return EAE(encoder, decoder, 2, EAEOptions(k=k, entropy_weight=weight))


def test_own_networks_come_back_with_a_model_to_take_them(digits, path):
    model = own()
    fit(model, digits, options(batch_size=10), checkpoint=path)
    with pytest.raises(CheckpointError, match=r"networks of your own.* load_model\(path, model="):
        load_model(path)
    loaded = load_model(path, model=own())
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda: own(weight=2.0), r"config\.options\.entropy_weight \(saved 1\.0, asked 2\.0\)"),
        (lambda: own(k=2), r"config\.options\.k \(saved 1, asked 2\)"),
        (
            lambda: EAE(nn.Sequential(*own().encoder, nn.Tanh()), own().decoder, 2),
            r"config\.layers",
        ),
    ],
)
def test_own_networks_with_another_objective_or_layer_are_another_run(digits, path, other, named):
    fit(own(), digits, options(epochs=1, batch_size=10), checkpoint=path)
    with pytest.raises(CheckpointError, match=named):
        fit(other(), digits, options(batch_size=10), checkpoint=path)


def test_plain_attributes_of_an_own_model_tell_runs_apart(tiny, images, path, tiny_kind):
    class Bare(tiny_kind):
        def __init__(self, penalty_weight=0.1):
            super().__init__(penalty_weight)
            del self.config

    fit(tiny(kind=Bare), images(), options(epochs=1), checkpoint=path)
    with pytest.raises(CheckpointError, match=r"config\.penalty_weight \(saved 0\.1, asked 0\.2\)"):
        fit(tiny(kind=Bare, penalty_weight=0.2), images(), options(), checkpoint=path)
    assert len(fit(tiny(kind=Bare), images(), options(), checkpoint=path).epochs) == 2


def test_what_could_not_be_loaded_is_refused_before_training(digits, tiny, images, path):
    changed = small()
    changed.encoder = build_networks((1, 32, 32), 2, width=2)[0]
    with pytest.raises(
        ValueError, match=r"says 'ae' as build_model makes it, but its networks are"
    ):
        fit(changed, digits, options(batch_size=10), checkpoint=path)
    changed.config = {}
    fit(changed, digits, options(epochs=1, batch_size=10), checkpoint=path)

    model = tiny()
    model.config = {"activation": torch.relu}
    with pytest.raises(TypeError, match="config goes into its checkpoint as JSON"):
        fit(model, images(), options(), checkpoint=path)
    model = tiny()
    model.register_buffer("graph", torch.eye(3).to_sparse())
    with pytest.raises(ValueError, match="graph of the model cannot be kept in a checkpoint"):
        fit(model, images(), options(), checkpoint=path)
    assert model.calls == 0


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("wrap", [lambda m: torch.compile(m, backend="eager"), nn.DataParallel])
def test_wrapped_models_are_kept_and_loaded_as_what_they_hold(digits, path, wrap):
    model = small()
    fit(wrap(model), digits, options(batch_size=10), checkpoint=path)
    assert not model.training
    for loaded in (load_model(path), load_model(path, model=small())):
        torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    wrapped = wrap(small())
    assert load_model(path, model=wrapped) is wrapped
    torch._dynamo.reset()


# Codes that coincide


def test_a_folder_is_no_checkpoint(tiny, images, tmp_path):
    inside = re.escape(str(tmp_path / "model.safetensors"))
    with pytest.raises(
        IsADirectoryError, match=f"is a folder: name a file in it, such as {inside}"
    ):
        fit(tiny(), images(), options(), checkpoint=tmp_path)
    with pytest.raises(FileNotFoundError, match=f"is a folder, name the file in it, {inside}"):
        load_model(tmp_path)


def test_another_model_in_the_file_is_named_without_its_options(digits, path):
    fit(small("eae"), digits, options(epochs=1), checkpoint=path)
    with pytest.raises(
        CheckpointError, match=r"differs in config\.name \(saved 'eae', asked 'vae'\)\. "
    ):
        fit(small("vae"), digits, options(epochs=1), checkpoint=path)


@pytest.mark.parametrize(
    ("returned", "kind", "message"),
    [
        (
            lambda loss: loss,
            TypeError,
            r"a dictionary of terms, such as \{'loss': loss\}, got Tensor",
        ),
        (
            lambda loss: {"loss": loss, "twice": 2.0},
            TypeError,
            "'twice' .* scalar tensor, got float",
        ),
        (lambda loss: {"loss": loss[None]}, TypeError, r"'loss' .* scalar tensor, got \(1,\)"),
        (lambda loss: {"cost": loss}, ValueError, "a term 'loss', got cost"),
    ],
)
def test_a_loss_of_another_form_is_explained(tiny, images, tiny_kind, returned, kind, message):
    class Other(tiny_kind):
        def loss(self, x):
            return returned(super().loss(x)["loss"])

    with pytest.raises(kind, match=message):
        fit(tiny(kind=Other), images(), options())


def test_a_model_without_a_loss_is_refused_at_once(images):
    with pytest.raises(TypeError, match=r"model\.loss\(x\) .* Linear has none"):
        fit(nn.Linear(2, 2), images(), options())


def test_training_has_gradients_also_within_no_grad(tiny, images):
    model, alone = tiny(), tiny()
    with torch.no_grad():
        fit(model, images(), options())
        assert not torch.is_grad_enabled()
    fit(alone, images(), options())
    torch.testing.assert_close(model.state_dict(), alone.state_dict(), rtol=0, atol=0)


def test_sizes_that_do_not_fit_say_what_would(digits):
    with pytest.raises(ValueError, match="has 40 images here; make it 40 or less"):
        fit(small(), digits, options(batch_size=50))
    with pytest.raises(ValueError, match=r"channels first, see x\.movedim\(-1, 1\)"):
        fit(small(), torch.rand(20, 32, 32, 1), options())


def test_repeated_images_are_left_out_of_the_entropy_counted_and_said(digits):
    pictures = digits.images[:20].repeat(2, 1, 1, 1)  # each twice: most batches have a pair
    model = small("eae")
    history = fit(model, pictures, options(batch_size=10))
    assert history.terms == ["loss", "reconstruction", "entropy", "coinciding"]
    assert max(history.curve("coinciding")) >= 1
    assert all(-30 < entropy < 10 for entropy in history.curve("entropy"))
    codes = model.encode(pictures[:40].float() / 255)
    with pytest.raises(DuplicatePointsError):  # the estimator itself stays strict
        knn_entropy(codes)


def test_left_out_codes_change_neither_value_nor_gradient_of_the_others():
    model = small("eae")
    z = torch.randn(12, 2, requires_grad=True)
    alone = model.entropy_terms(z)
    assert alone.keys() == {"entropy"}
    (expected,) = torch.autograd.grad(alone["entropy"], z)
    with_pairs = model.entropy_terms(torch.cat([z, z[:3].detach(), z[:1].detach()]))
    assert with_pairs["entropy"] == alone["entropy"]
    assert with_pairs["coinciding"] == 4
    assert torch.equal(torch.autograd.grad(with_pairs["entropy"], z)[0], expected)


@pytest.mark.parametrize("constraint", ["batch_norm", "l1_norm", "unit_mean", "box", "sphere"])
def test_an_entropy_that_is_only_reported_stops_no_run(digits, constraint):
    one = digits.images[:1].repeat(20, 1, 1, 1)  # twenty times the same picture
    chosen = EAEOptions(entropy_weight=0.0, constraint=constraint)
    history = fit(small("eae", options=chosen), one, options(batch_size=10))
    assert history.curve("coinciding") == [10, 10]
    assert all(-100 < entropy < 0 for entropy in history.curve("entropy"))


def test_codes_of_bf16_do_not_coincide():
    """With a code far from 0, where bf16 has few numbers."""
    torch.manual_seed(0)
    model = small("eae")
    with torch.no_grad():
        model.encoder[-1].bias += 8
    x = torch.rand(300, 1, 32, 32)
    distinct = []
    for kind in (type(model.encoder[-1]), nn.Linear):
        model.encoder[-1].__class__ = kind
        with torch.autocast("cpu", torch.bfloat16):
            z = model.encode(x)
        assert z.dtype == torch.float32  # the constraint is in float32 in both
        distinct.append(len(z.unique(dim=0)))
    assert distinct[0] == 300 > distinct[1] + 50


# The compiler


def test_a_missing_compiler_is_one_sentence_of_an_expected_kind(tiny, images, monkeypatch):
    from torch._inductor.exc import InvalidCxxCompiler

    def broken(module):
        def call(*_):
            raise InvalidCxxCompiler

        module.forward = call
        return module

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(TrainingError, match=r"needs a C\+\+ compiler .* compile=False"):
        fit(tiny(), images(), options(compile=True))

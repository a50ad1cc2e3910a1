"""All models by name: built, written down, rebuilt, and what cannot be."""

import json
from dataclasses import asdict, fields

import numpy as np
import pytest
import torch

from eae_core.models import (
    MODELS,
    AEOptions,
    EAEOptions,
    RAEOptions,
    TwoStageVAEOptions,
    build_model,
    published_options,
    rebuild_model,
)

NAMES = [
    *("ae", "ae_l2", "eae", "rae", "rae_l2", "rae_gp", "rae_sn"),
    *("vae", "cv_vae", "wae", "two_stage_vae"),
]
SHAPES = {"mnist": (1, 32, 32), "cifar10": (3, 32, 32), "celeba64": (3, 64, 64)}


def small(name, dataset="mnist", **changes):
    options = published_options(name, dataset)
    if name == "two_stage_vae":
        options = TwoStageVAEOptions(hidden=8)
    return build_model(name, SHAPES[dataset], 4, width=2, options=options, **changes)


def test_there_are_the_models_of_the_tables():
    assert sorted(MODELS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dataset", SHAPES)
def test_every_model_takes_a_step_on_every_shape(name, dataset, images):
    torch.manual_seed(0)
    model = small(name, dataset)
    x = images(6, SHAPES[dataset])
    terms = model.loss(x)
    assert list(terms)[:2] == ["loss", "reconstruction"]
    terms["loss"].backward()
    first = next(model.encoder.parameters())
    assert first.grad.abs().max() > 0
    for label, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), label
    model.eval()
    z = model.encode(x)
    assert z.shape == (6, 4)
    assert model.decode(z).shape == model(x).shape == x.shape
    assert model.draw_codes(5, generator=torch.Generator().manual_seed(0)).shape == (5, 4)


@pytest.mark.parametrize("shape", [(7,), (2, 20, 14)])
@pytest.mark.parametrize("name", NAMES)
def test_tables_and_images_of_any_size_train_and_are_rebuilt(name, shape):
    torch.manual_seed(0)
    options = TwoStageVAEOptions(hidden=8) if name == "two_stage_vae" else None
    if name.endswith("_l2") and len(shape) == 1:
        options = MODELS[name][1](decoder_l2_stem=True)  # all layers are linear ones
    model = build_model(name, shape, 3, width=2, options=options)
    x = torch.rand(12, *shape) * (1 if len(shape) > 1 else 100)  # a table has any range
    model.loss(x)["loss"].backward()
    assert next(model.encoder.parameters()).grad.isfinite().all()
    twin = rebuild_model(model.config)
    twin.load_state_dict(model.state_dict())
    assert twin.eval()(x).shape == x.shape


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_gives_the_same_terms_and_finite_gradients(name, images):
    torch.manual_seed(0)
    model, x = small(name), images(20)
    torch.manual_seed(1)
    exact = model.loss(x)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.loss(x)
    terms["loss"].backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), label
    for label, term in terms.items():
        assert term.dtype == torch.float32, label
        # bfloat16 keeps 8 bits, and an error of the code counts in all terms.
        torch.testing.assert_close(term, exact[label], rtol=0.1, atol=0.1, msg=label)


@pytest.mark.parametrize("name", NAMES)
def test_config_rebuilds_the_model(name, images):
    model = small(name)
    model.loss(images())
    twin = rebuild_model(model.config)
    assert twin.config == model.config
    assert twin.image_shape == (1, 32, 32)
    twin.load_state_dict(model.state_dict())
    x = images()
    assert torch.equal(twin.eval()(x), model.eval()(x))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_loss(name, images):
    values = []
    for _ in range(2):
        torch.manual_seed(3)
        values.append(small(name).loss(images())["loss"].item())
    assert values[0] == values[1]


def test_options_that_came_later_are_filled_in_when_a_file_is_read():
    other = build_model("eae", (1, 32, 32), 9, width=1, options=EAEOptions(entropy_map="redrawn"))
    assert other.config["options"] == asdict(EAEOptions(entropy_map="redrawn"))
    assert rebuild_model(other.config).config == other.config
    before = {**other.config, "options": {"entropy_weight": 2.0}}
    assert rebuild_model(before).config["options"] == asdict(EAEOptions(entropy_weight=2.0))


def test_options_can_be_written_as_json():
    plain = {bool, int, float, str}
    for _, options_class in MODELS.values():
        assert {type(getattr(options_class(), f.name)) for f in fields(options_class)} <= plain


def config(**changes):
    return {**build_model("vae", (1, 32, 32), 2, width=1).config, **changes}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: build_model("eea", (1, 32, 32), 4), ValueError, "did you mean 'eae'"),
        (
            lambda: build_model("gan", (1, 32, 32), 4),
            ValueError,
            f"unknown model 'gan'; possible: {', '.join(NAMES)}",
        ),
        (lambda: build_model("ae", (1, 32, 32), 0), ValueError, "latent_dim"),
        (lambda: build_model("vae", (1, 32, 32), 0), ValueError, "latent_dim"),
        (lambda: build_model("ae", (1, 32, 32), 4, width=0), ValueError, "width"),
        (lambda: build_model("wae", (1, 2, 28), 4), ValueError, r"no conv.* \(1, 2, 28\)"),
        (lambda: build_model("ae", (7,), 4, convolutions=2), ValueError, "no convolutions"),
        (
            lambda: build_model("ae", (1, 32, 32), 4, options=EAEOptions()),
            TypeError,
            "takes AEOptions",
        ),
        (  # a relative is another model too
            lambda: build_model("rae_l2", (1, 32, 32), 4, options=RAEOptions()),
            TypeError,
            "'rae_l2' takes RAEL2Options, got RAEOptions",
        ),
        (
            lambda: build_model("two_stage_vae", (1, 32, 32), 4, options=AEOptions()),
            TypeError,
            "takes TwoStageVAEOptions",
        ),
        (lambda: rebuild_model({"name": "ae"}), ValueError, "lacks image_shape, latent_dim"),
        (lambda: rebuild_model(config(name="gan")), ValueError, "unknown model 'gan'"),
        (
            lambda: rebuild_model(config(options={"gamma": 1.0})),
            ValueError,
            "this version's model 'vae' has no option gamma; it has beta",
        ),
    ],
)
def test_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_model_with_fewer_convolutions_is_rebuilt_with_as_many():
    model = build_model("eae", (3, 32, 32), 4, width=2, convolutions=2)
    again = rebuild_model(model.config)
    assert again.config == model.config
    assert str(again) == str(model)
    assert "convolutions" not in small("eae").config


def test_sizes_and_options_of_numpy_are_written_down_as_numbers():
    two = np.int64(2)
    model = build_model("eae", (two // 2, 32, 32), two, width=two, options=EAEOptions(k=two))
    assert json.loads(json.dumps(model.config)) == model.config
    assert rebuild_model(model.config).config == model.config

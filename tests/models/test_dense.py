"""Dense networks under every objective."""

import pytest
import torch
from torch import nn

from eae_core.models import (
    MODELS,
    AEL2Options,
    EAEOptions,
    RAEL2Options,
    TwoStageVAEOptions,
    build_dense_model,
)

SMALL = {
    "ae_l2": AEL2Options(decoder_l2_stem=True),
    "rae_l2": RAEL2Options(decoder_l2_stem=True),
    "two_stage_vae": TwoStageVAEOptions(hidden=8),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_objective_has_a_gradient(name, images):
    torch.manual_seed(0)
    model = build_dense_model(name, (3, 8, 6), 2, hidden=20, options=SMALL.get(name))
    x = images(shape=(3, 8, 6))
    assert model.encode(x).shape == (8, 2)
    assert model(x).shape == x.shape
    model.loss(x)["loss"].backward()
    first = next(model.encoder.parameters()).grad
    assert first.isfinite().all()
    assert first.abs().sum() > 0


def test_options_and_sizes_are_those_asked_for():
    options = EAEOptions(entropy_weight=0.25)
    model = build_dense_model("eae", (1, 4, 4), 3, hidden=7, options=options)
    assert model.options is options
    shapes = [m.weight.shape for m in model.modules() if isinstance(m, nn.Linear)]
    assert shapes == [(7, 16), (7, 7), (3, 7), (7, 3), (7, 7), (16, 7)]


@pytest.mark.parametrize("layers", [1, 3])
def test_depth_is_the_one_asked_for(layers):
    model = build_dense_model("ae", (1, 4, 4), 3, hidden=7, layers=layers)
    shapes = [m.weight.shape for m in model.modules() if isinstance(m, nn.Linear)]
    between = [(7, 7)] * (layers - 1)
    assert shapes == [(7, 16), *between, (3, 7), (7, 3), *between, (16, 7)]


@pytest.mark.parametrize(("normalize", "count"), [(True, 4), (False, 0)])
def test_batch_normalisation_can_be_left_out(normalize, count):
    model = build_dense_model("ae", (1, 4, 4), 3, hidden=7, normalize=normalize)
    assert sum(isinstance(m, nn.BatchNorm1d) for m in model.modules()) == count


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="did you mean 'vae'"):
        build_dense_model("vea", (1, 4, 4), 3)
    with pytest.raises(ValueError, match="hidden must be at least 1, got 0"):
        build_dense_model("ae", (1, 4, 4), 3, hidden=0)
    with pytest.raises(ValueError, match="layers must be at least 1, got 0"):
        build_dense_model("ae", (1, 4, 4), 3, layers=0)
    with pytest.raises(TypeError, match="takes AEOptions"):
        build_dense_model("ae", (1, 4, 4), 3, options=EAEOptions())

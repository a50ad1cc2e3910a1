"""The entropy of a decoder: closed forms, laws, faults."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap
from torch.profiler import ProfilerActivity, profile

from eae_book.studies.half_sphere import HALF_SPHERE_ENTROPY, half_sphere, half_sphere_moments
from eae_core import decoder_entropy
from eae_core.entropy import gaussian_entropy_bound, jacobian
from eae_core.entropy.decoder import RankDeficientError, RankDeficientWarning, log_volume
from eae_core.entropy.jacobian import (
    gram_singular_values,
    jacobian_singular_values,
    load_forward_mode,
    singular_value_blocks,
    try_decoder,
)

DOUBLE = {"dtype": torch.float64}


def random_matrix(rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def network(d=6, outputs=20, seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    layers = nn.Linear(d, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, outputs)
    model = nn.Sequential(*layers)
    model(torch.randn(200, d))  # moments to run with
    return model.eval().to(dtype)


def convolutions(d=5):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(d, 32), nn.ReLU(), nn.Unflatten(1, (8, 2, 2)), nn.ConvTranspose2d(8, 3, 4, 2, 1)
    ).eval()


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1e-3, 0.5])
@pytest.mark.parametrize(("d", "outputs"), [(1, 1), (3, 3), (4, 30)])
def test_a_linear_decoder_has_a_gaussian_s_entropy(d, outputs, scale):
    weight = random_matrix(outputs, d)
    result = decoder_entropy(lambda z: z @ weight.T + 1, d, scale=scale, **DOUBLE)
    gram = weight.T @ weight + scale**2 * torch.eye(d, dtype=torch.float64)
    volume = float(torch.logdet(gram)) / 2
    # Of the codes drawn only the mean of log p(z) is left to chance: |z|^2 has variance 2 d.
    assert result.standard_error == pytest.approx(math.sqrt(d / 2 / 1000), rel=0.15)
    assert abs(result.entropy - gaussian_entropy_bound(d) - volume) < 4 * result.standard_error
    same_codes = decoder_entropy(lambda z: z, d, scale=0, **DOUBLE)
    assert result.entropy - same_codes.entropy == pytest.approx(volume, abs=1e-9)


def test_an_orthogonal_embedding_leaves_the_entropy_as_it_is():
    decode = network(dtype=torch.float64)
    embed, _ = torch.linalg.qr(random_matrix(50, 20))
    plain, embedded = (
        decoder_entropy(each, 6, samples=50, scale=0.1, **DOUBLE)
        for each in (decode, lambda z: decode(z) @ embed.T)
    )
    assert torch.allclose(plain.values, embedded.values, rtol=0, atol=1e-10)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_scaling_the_output_adds_d_logarithms(factor):
    decode = network(dtype=torch.float64)
    plain = decoder_entropy(decode, 6, samples=50, scale=1e-4, **DOUBLE)
    scaled = decoder_entropy(
        lambda z: factor * decode(z), 6, samples=50, scale=1e-4 * factor, **DOUBLE
    )
    expected = plain.values + 6 * math.log(factor)
    assert torch.allclose(scaled.values, expected, rtol=0, atol=1e-10)


def test_rotating_the_codes_and_permuting_the_outputs_change_no_volume():
    decode, z = network(dtype=torch.float64), random_matrix(20, 6)
    turn, _ = torch.linalg.qr(random_matrix(6, 6, seed=1))
    order = torch.randperm(20)
    moved = log_volume(lambda z: decode(z @ turn)[:, order], z @ turn.T, scale=1e-3)
    assert torch.allclose(moved, log_volume(decode, z, scale=1e-3), rtol=0, atol=1e-10)


def test_volumes_of_a_chain_add_up_where_it_keeps_the_dimension():
    first, second = network(4, 4, dtype=torch.float64), network(4, 9, 1, dtype=torch.float64)
    z = random_matrix(30, 4)
    chained = log_volume(lambda z: second(first(z)), z, scale=0)
    apart = log_volume(first, z, scale=0) + log_volume(second, first(z).detach(), scale=0)
    assert torch.allclose(chained, apart, rtol=0, atol=1e-9)


@pytest.mark.parametrize("decode", [network(), convolutions()], ids=["dense", "convolutions"])
def test_the_jacobian_is_that_of_reverse_mode(decode):
    d = decode[0].in_features
    z = random_matrix(7, d).float()
    reverse = vmap(jacrev(lambda row: decode(row[None])[0].flatten()))(z).double()
    expected = torch.linalg.svdvals(reverse)
    assert torch.allclose(jacobian_singular_values(decode, z), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("name", ["pole", "rim", "cdf"])
def test_the_half_sphere(name, scale):
    result = decoder_entropy(half_sphere(name), 2, samples=20_000, scale=scale, **DOUBLE)
    mean, spread = half_sphere_moments(name, scale)
    # The spread comes from rare codes far out when the scale is small: leave room for few of them.
    assert abs(result.entropy - mean) < 4 * spread / math.sqrt(20_000)
    assert mean > HALF_SPHERE_ENTROPY


def test_the_gram_matrix_gives_the_same_values_of_a_jacobian_in_float32():
    jacobian = torch.stack([random_matrix(40, 8, seed) for seed in range(5)])
    jacobian = (jacobian * torch.logspace(0, -5, 8)).float().double()  # down to float32's rounding
    expected = torch.linalg.svdvals(jacobian)
    assert torch.allclose(gram_singular_values(jacobian), expected, rtol=1e-4, atol=0)
    wide = random_matrix(3, 8)[None]  # more dimensions than outputs
    assert torch.allclose(
        gram_singular_values(wide)[:, :3], torch.linalg.svdvals(wide), rtol=1e-9, atol=0
    )
    assert torch.equal(gram_singular_values(wide)[:, 3:], torch.zeros(1, 5).double())


def torus(z, major=2.0, minor=1.0):
    angle = math.pi * torch.erf(z / math.sqrt(2))  # uniform on (-pi, pi)
    ring = major + minor * angle[:, 1].cos()
    return torch.stack(
        [ring * angle[:, 0].cos(), ring * angle[:, 0].sin(), minor * angle[:, 1].sin()], 1
    )


def test_a_torus_has_the_density_of_the_change_of_variables():
    z = random_matrix(200, 2)
    # Uniform angles have density 1 / (2 pi)^2, and the surface element is r (R + r cos v).
    tube = math.pi * torch.erf(z[:, 1] / math.sqrt(2))
    log_density = -2 * math.log(2 * math.pi) - (2 + tube.cos()).log()
    minus = z.square().sum(1) / 2 + math.log(2 * math.pi) + log_volume(torus, z, scale=0)
    assert torch.allclose(-minus, log_density, rtol=0, atol=1e-9)
    # E log(R + r cos v) over the angle v is log((R + sqrt(R^2 - r^2)) / 2).
    entropy = 2 * math.log(2 * math.pi) + math.log((2 + math.sqrt(3)) / 2)
    result = decoder_entropy(torus, 2, samples=20_000, scale=0, **DOUBLE)
    assert abs(result.entropy - entropy) < 4 * result.standard_error


def test_a_sphere_has_the_density_of_the_change_of_variables():
    def project(z):  # the inverse stereographic projection onto the unit sphere
        square = z.square().sum(1, keepdim=True)
        return torch.cat([2 * z, square - 1], 1) / (square + 1)

    z = random_matrix(200, 4)  # into R^5: every direction is stretched by 2 / (1 + |z|^2)
    stretch = 2 / (1 + z.square().sum(1))
    assert torch.allclose(log_volume(project, z, scale=0), 4 * stretch.log(), rtol=0, atol=1e-9)
    values = jacobian_singular_values(project, z)
    assert torch.allclose(values, stretch[:, None].expand(-1, 4), rtol=0, atol=1e-9)


def test_the_estimate_falls_to_the_entropy_as_the_scale_goes_to_zero():
    decode = network(dtype=torch.float64)
    entropies = [
        decoder_entropy(decode, 6, samples=100, scale=s, **DOUBLE).entropy
        for s in (1.0, 1e-1, 1e-2, 1e-3, 1e-5, 0.0)
    ]
    assert entropies == sorted(entropies, reverse=True)
    gaps = np.diff(entropies[::-1])
    assert gaps[0] < 1e-6
    # Beside singular values well above it, the scale enters by its square.
    assert (entropies[2] - entropies[5]) / (entropies[3] - entropies[5]) == pytest.approx(
        100, rel=0.05
    )


def test_a_lost_dimension_is_finite_with_noise_and_is_said():
    weight = random_matrix(30, 5)
    weight[:, 4] = weight[:, :4].sum(1)  # rank 4
    decode = lambda z: z @ weight.T  # noqa: E731
    with pytest.warns(RankDeficientWarning, match=r"100 of 100 samples .* log\(0.0001\)"):
        result = decoder_entropy(decode, 5, samples=100, scale=1e-4, **DOUBLE)
    assert result.rank_deficient == 100
    kept = torch.linalg.svdvals(weight)[:4].log().sum()
    null = decoder_entropy(lambda z: z, 5, samples=100, scale=0, **DOUBLE)
    expected = float(kept) + math.log(1e-4)
    assert result.entropy - null.entropy == pytest.approx(expected, abs=1e-6)
    with pytest.raises(RankDeficientError, match=r"100 of 100.*minus infinity"):
        decoder_entropy(decode, 5, samples=100, scale=0, **DOUBLE)


def test_fewer_outputs_than_dimensions_lose_the_difference():
    z = random_matrix(4, 5)
    values = jacobian_singular_values(lambda z: 2 * z[:, :3], z)
    assert torch.equal(values, torch.tensor([[2.0, 2, 2, 0, 0]]).double().expand(4, -1))
    with pytest.warns(RankDeficientWarning):
        result = decoder_entropy(lambda z: 2 * z[:, :3], 5, samples=10, scale=0.1)
    assert result.rank_deficient == 10


def test_one_code_of_many_may_lose_a_dimension():
    decode = lambda z: torch.relu(z - 1.5)  # noqa: E731
    with pytest.warns(RankDeficientWarning, match=r"\d+ of 500") as caught:
        result = decoder_entropy(decode, 1, samples=500)
    z = result.values  # without noise log p(z) alone; with it far below
    assert result.rank_deficient == int((z < 0).sum())
    assert 0.9 < result.rank_deficient / 500 < 0.96  # P(z < 1.5) = 0.933
    assert len(caught) == 1


def test_single_and_double_precision_agree():
    single, double = network(), network(dtype=torch.float64)
    low, high = (decoder_entropy(each, 6, samples=200, scale=1e-4) for each in (single, double))
    assert low.values.dtype == torch.float64
    assert not torch.equal(low.values, high.values)
    assert torch.allclose(low.values, high.values, rtol=0, atol=1e-4)


def test_half_precision_is_lifted_for_the_determinant():
    decode = network().to(torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        result = decoder_entropy(decode, 6, samples=200)
    full = decoder_entropy(network(), 6, samples=200)
    assert abs(result.entropy - full.entropy) < 0.1


def test_autocast_is_known_by_its_output():
    model = network()

    def decode(z):
        with torch.autocast("cpu", torch.bfloat16):
            return model(z)

    precision = try_decoder(decode, torch.zeros(3, 6)).precision
    assert precision == torch.finfo(torch.bfloat16).eps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        result = decoder_entropy(decode, 6, samples=200)
    full = decoder_entropy(model, 6, samples=200)
    assert 1e-6 < abs(result.entropy - full.entropy) < 0.1
    assert full.rank_deficient == 0


def test_block_size_changes_nothing(monkeypatch):
    decode = convolutions()
    whole = decoder_entropy(decode, 5, samples=40).values
    monkeypatch.setitem(jacobian.BLOCK_BYTES, "cpu", 1)
    assert torch.allclose(whole, decoder_entropy(decode, 5, samples=40).values, rtol=0, atol=1e-5)


def test_codes_drawn_in_turns_are_those_drawn_together(monkeypatch):
    decode = network()
    whole = decoder_entropy(decode, 6, samples=40).values
    monkeypatch.setattr("eae_core.entropy.decoder.CHUNK", 8 * 6)
    assert torch.allclose(whole, decoder_entropy(decode, 6, samples=40).values, rtol=0, atol=1e-5)


def test_memory_does_not_follow_the_number_of_samples(monkeypatch):
    """Not even behind the decoder: tangents of a view take the size of what it is a view of."""
    load_forward_mode()
    trial, largest = try_decoder(torch.tanh, torch.zeros(1, 4)), []
    monkeypatch.setitem(jacobian.BLOCK_BYTES, "cpu", 8 * 8 * 4 * 4)
    for samples in (64, 640):
        z = torch.randn(samples, 4)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            list(singular_value_blocks(torch.tanh, z, trial))
        largest.append(max(event.cpu_memory_usage for event in seen.events()))
    assert largest[0] == largest[1] <= 8 * 4 * 4 * 8 + 64  # a Jacobian of 8 codes in float64


def test_more_samples_begin_with_the_same_codes():
    decode = network()
    few, many = (decoder_entropy(decode, 6, samples=n).values for n in (16, 64))
    assert torch.allclose(few, many[:16], rtol=0, atol=1e-5)
    assert not torch.equal(many, decoder_entropy(decode, 6, samples=64, seed=1).values)


def test_images_may_have_any_shape():
    flat = decoder_entropy(lambda z: torch.sin(z.repeat(1, 4)), 3, samples=20)
    image = decoder_entropy(lambda z: torch.sin(z.repeat(1, 4)).view(-1, 3, 2, 2), 3, samples=20)
    assert torch.equal(flat.values, image.values)


def test_a_module_is_put_into_evaluation_mode_and_back():
    model = network()
    expected = decoder_entropy(model, 6, samples=20)
    model.train()
    model[1].eval()  # the mode of each part comes back, not one for all
    before = model[1].running_mean.clone()
    for decode in (model, model.forward):
        assert torch.equal(decoder_entropy(decode, 6, samples=20).values, expected.values)
    assert [part.training for part in model] == [True, False, True, True]
    assert torch.equal(model[1].running_mean, before)


def test_moments_of_the_batch_are_refused():
    model = network().train()
    with pytest.raises(ValueError, match="evaluation mode"):
        decoder_entropy(lambda z: model(z), 6, samples=20)
    dropout = nn.Dropout().train()
    with pytest.raises(ValueError, match="from call to call"):
        decoder_entropy(lambda z: dropout(z), 6, samples=20)


def test_a_decoder_s_weights_keep_their_gradients():
    model = network()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    decoder_entropy(model, 6, samples=4)
    assert model[0].weight.requires_grad
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (lambda z: z[:-1], "first size must be"),
        (lambda z: z.sum(), "first size must be"),
        (lambda z: z / 0, "NaN or infinite"),
        (lambda z: z * torch.where(z > 0.5, math.nan, 1), "NaN or infinite"),
        (lambda z: z.detach(), "zero at all codes"),
        (lambda z: z.round(), "zero at all codes"),
        (lambda z: torch.ones_like(z), "zero at all codes"),
        (lambda z: (z - z).sqrt() + z, "derivative is NaN"),
    ],
)
def test_a_decoder_that_cannot_be_measured_is_refused(decode, message):
    with pytest.raises(ValueError, match=message):
        decoder_entropy(decode, 3, samples=20)


@pytest.mark.parametrize("decode", [lambda z: z.long(), lambda z: (z, z), lambda z: None])
def test_an_output_that_is_no_tensor_of_floats_is_refused(decode):
    with pytest.raises(TypeError, match="tensor of floats"):
        decoder_entropy(decode, 3, samples=20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "samples must be .* at least 2"),
        ({"samples": 10.0}, "samples must be a whole number"),
        ({"scale": -1e-4}, "scale must be"),
        ({"scale": math.nan}, "scale must be"),
        ({"scale": None}, "scale must be a finite number"),
        ({"dtype": "float32"}, r"such as torch\.float64, got 'float32'"),
        ({"scale": math.inf}, "scale must be"),
        ({"dtype": torch.int64}, "dtype must be one of floats"),
        ({"device": "gpu"}, "unknown device"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        decoder_entropy(lambda z: z, 3, **options)


def test_impossible_dimensions_and_codes_are_refused():
    with pytest.raises(ValueError, match="latent_dim must be"):
        decoder_entropy(lambda z: z, 0)
    for codes in (torch.zeros(3), torch.zeros(0, 2), torch.zeros(3, 2, dtype=torch.int64)):
        with pytest.raises(ValueError, match="floats of shape"):
            jacobian_singular_values(lambda z: z, codes)


def test_a_module_elsewhere_is_named():
    with pytest.raises(ValueError, match="lies on meta"):
        decoder_entropy(nn.Linear(2, 2, device="meta"), 2)


def test_the_bar_counts_codes(capsys):
    decoder_entropy(network(), 6, samples=30, progress=True)
    assert "30/30" in capsys.readouterr().err
    result = decoder_entropy(network(), 6, samples=30)
    assert capsys.readouterr().err == ""
    assert str(result).endswith("nats")


# --- rows, rank and derivatives of decoders of all kinds ------------------------------------------


def sequence(z):
    """A recurrent network that takes n codes for one sequence of n steps."""
    torch.manual_seed(0)
    return nn.GRU(3, 5)(z)[0]


def spread_over_rows(z):
    return z + z.roll(1, 0)


def from_the_third_row(z):
    return torch.cat([z[:2], z[2:] + z[1:-1]])


@pytest.mark.parametrize("decode", [sequence, spread_over_rows, from_the_third_row])
def test_rows_that_depend_on_others_are_refused_whichever_they_are(decode):
    with pytest.raises(ValueError, match="changes with the rows beside it"):
        decoder_entropy(decode, 3, samples=200)


def test_the_rank_test_does_not_grow_with_the_number_of_outputs():
    weight = torch.zeros(200_000, 2)
    weight[0, 0], weight[1, 1] = 1, 0.02
    result = decoder_entropy(lambda z: z @ weight.T, 2, samples=4, scale=0)
    codes = decoder_entropy(lambda z: z, 2, samples=4, scale=0)
    assert result.rank_deficient == 0
    assert result.entropy - codes.entropy == pytest.approx(math.log(0.02), abs=1e-5)


@pytest.mark.parametrize(("d", "outputs"), [(2, 200), (8, 784), (30, 60)])
def test_a_linear_layer_in_half_precision_has_full_rank(d, outputs):
    torch.manual_seed(0)
    layer = nn.Linear(d, outputs).bfloat16()
    result = decoder_entropy(layer, d, samples=4, scale=0)
    exact = torch.linalg.svdvals(layer.weight.detach().double()).log().sum()
    codes = decoder_entropy(lambda z: z, d, samples=4, scale=0, dtype=torch.bfloat16)
    assert result.rank_deficient == 0
    assert result.entropy - codes.entropy == pytest.approx(float(exact), abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("outputs", [12, 300])
def test_a_bottleneck_is_seen_in_every_precision(dtype, outputs):
    torch.manual_seed(0)
    layers = nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, outputs)
    with pytest.warns(RankDeficientWarning, match="50 of 50"):
        decoder_entropy(nn.Sequential(*layers, nn.Sigmoid()).to(dtype), 6, samples=50)


@pytest.mark.parametrize("scale", [1e-4, 1e-8, 1e-12, 1e-30])
def test_a_lost_dimension_counts_the_scale_however_small_it_is(scale):
    """Rounding leaves singular values near 1e-8 of the largest, which are not the scale."""
    torch.manual_seed(0)
    narrow = nn.Sequential(nn.Linear(4, 1), nn.Linear(1, 30))
    with pytest.warns(RankDeficientWarning, match=f"{scale:g}.*has less rounding"):
        single = decoder_entropy(narrow, 4, samples=50, scale=scale)
    with pytest.warns(RankDeficientWarning):
        double = decoder_entropy(narrow.double(), 4, samples=50, scale=scale)
    assert single.entropy == pytest.approx(double.entropy, abs=1e-4)


class Old(torch.autograd.Function):
    """As functions were written before torch.func."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sinh()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].cosh()


def decoders_without_a_plain_forward_derivative():
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    lstm = nn.LSTM(2, 5, batch_first=True).eval()
    grid = nn.functional.affine_grid(0.9 * torch.eye(2, 3)[None], (1, 1, 5, 5), False)

    def sampled(z):
        image = z.view(-1, 1, 2, 2)
        places = grid.expand(len(z), -1, -1, -1)
        return nn.functional.grid_sample(image, places, align_corners=False)

    return {
        "attention": (lambda z: block(z.view(-1, 2, 4)), 8),
        "LSTM": (lambda z: lstm(z.view(-1, 2, 2))[0], 4),
        "grid_sample": (sampled, 4),
        "an old function": (lambda z: Old.apply(z @ torch.arange(12.0).sin().view(4, 3)), 4),
        "cdist": (lambda z: torch.cdist(z[:, None], torch.eye(4).expand(len(z), -1, -1)), 4),
    }


@pytest.mark.parametrize("name", ["attention", "LSTM", "grid_sample", "an old function", "cdist"])
def test_decoders_that_torch_differentiates_one_way_only(name, monkeypatch):
    decode, d = decoders_without_a_plain_forward_derivative()[name]
    z = random_matrix(5, d).float()
    found = jacobian_singular_values(decode, z)
    step = 1e-2
    basis = torch.eye(d)
    moved = [(decode(z + step * e) - decode(z - step * e)).flatten(1) / (2 * step) for e in basis]
    expected = torch.linalg.svdvals(torch.stack(moved, 2).detach().double())
    torch.testing.assert_close(found[:, : expected.shape[1]], expected, rtol=0.02, atol=2e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        whole = decoder_entropy(decode, d, samples=12)
        monkeypatch.setitem(jacobian.BLOCK_BYTES, "cpu", 1)
        parts = decoder_entropy(decode, d, samples=12)
        assert torch.allclose(whole.values, parts.values, rtol=0, atol=1e-4)


def test_no_setting_of_torch_is_left_changed():
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.flash_sdp_enabled()
    jacobian_singular_values(torch.tanh, torch.zeros(2, 2))
    after = torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.flash_sdp_enabled()
    assert before == after


def test_sizes_may_be_numbers_of_numpy():
    result = decoder_entropy(torch.tanh, np.int64(2), samples=np.int64(5), scale=np.float32(0.5))
    assert torch.equal(result.values, decoder_entropy(torch.tanh, 2, samples=5, scale=0.5).values)

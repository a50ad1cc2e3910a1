"""The linear yardstick against an exact decomposition, and how many directions codes use."""

import dataclasses

import numpy as np
import pytest
import torch

from eae_book.studies.linear_code import fit_linear_code, used_dimensions
from eae_core.data import load_images


@pytest.fixture(scope="module")
def shapes():
    return load_images("shapes32", limit=400)


@pytest.fixture(scope="module")
def exact(shapes):
    """Mean and all components of the images by numpy, in float64."""
    x = shapes.batch(slice(None)).flatten(1).double().numpy()
    mean = x.mean(0)
    return mean, *np.linalg.svd(x - mean, full_matrices=False)[1:]


@pytest.mark.parametrize("d", [1, 8, 32])
def test_no_linear_code_of_that_size_is_better(shapes, exact, d):
    code = fit_linear_code(shapes, d)
    mean, values, rows = exact
    x = shapes.batch(slice(None)).flatten(1).double().numpy() - mean
    kept = x @ rows[:d].T @ rows[:d]
    best = np.square(x - kept).sum(1).mean()
    flat = (code.encode(shapes.batch(slice(None))) * code.scales) @ code.components
    error = np.square(x - flat.double().numpy()).sum(1).mean()
    assert best * (1 - 1e-6) <= error <= best * 1.003
    np.testing.assert_allclose(code.scales.numpy(), values[:d] / 20, rtol=0.02)


def test_its_code_meets_the_constraint_without_a_network(shapes):
    z = fit_linear_code(shapes, 12).encode(shapes.batch(slice(None))).double()
    torch.testing.assert_close(z.mean(0), torch.zeros(12).double(), atol=1e-4, rtol=0)
    identity = torch.eye(12).double()
    torch.testing.assert_close(z.T @ z / len(z), identity, atol=1e-2, rtol=0)


def test_images_of_codes_come_back_and_stay_in_range(shapes):
    code = fit_linear_code(shapes, 12)
    x = shapes.batch(slice(0, 7))
    rebuilt = code.reconstruct(x)
    assert rebuilt.shape == x.shape
    assert 0 <= rebuilt.min() <= rebuilt.max() <= 1
    error = code.reconstruction_error(shapes.subset(7), batch_size=3)
    assert error == pytest.approx((x - rebuilt).square().sum().item() / 7, rel=1e-5)


def test_samples_have_the_mean_of_the_images_and_depend_on_the_seed_alone(shapes):
    code = fit_linear_code(shapes, 12)
    samples = code.sample(2000, seed=3)
    assert torch.equal(samples, code.sample(2000, seed=3))
    assert not torch.equal(samples, code.sample(2000, seed=4))
    assert (samples.mean(0) - code.mean).abs().max() < 0.1


def test_the_global_generator_is_left_alone(shapes):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = fit_linear_code(shapes, 4)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.components, fit_linear_code(shapes, 4).components)


@pytest.mark.parametrize("d", [0, 400, 5000])
def test_impossible_sizes_are_refused(shapes, d):
    with pytest.raises(ValueError, match=f"below the numbers of images and of pixels.*got {d}"):
        fit_linear_code(shapes, d)


def test_images_without_so_many_dimensions_are_refused(shapes):
    same = dataclasses.replace(shapes, images=shapes.images[:1].repeat(50, 1, 1, 1), labels=None)
    with pytest.raises(ValueError, match="fill fewer than latent_dim = 3"):
        fit_linear_code(same, 3)


def test_used_dimensions_of_known_covariances():
    z = torch.randn(20000, 6, generator=torch.Generator().manual_seed(0))
    assert used_dimensions(z) == pytest.approx(6, rel=0.01)
    assert used_dimensions(z[:, [0, 0, 0]]) == pytest.approx(1)
    scales = torch.tensor([3.0, 1.0, 1.0, 1.0, 1.0, 1.0])  # variances 9, 1, 1, 1, 1, 1
    assert used_dimensions(z * scales) == pytest.approx(14**2 / (81 + 5), rel=0.03)
    assert used_dimensions(z * 7 + 100) == pytest.approx(used_dimensions(z), rel=1e-4)
    assert used_dimensions(z[:, :1]) == pytest.approx(1)


def test_codes_without_a_direction_are_refused():
    with pytest.raises(ValueError, match="all codes are the same"):
        used_dimensions(torch.ones(5, 2))
    with pytest.raises(ValueError, match="n must be at least 2"):
        used_dimensions(torch.ones(1, 2))

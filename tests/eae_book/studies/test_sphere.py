"""The estimator on the sphere, against areas of caps, its own exactness, and hand-made points."""

import math

import numpy as np
import pytest
import torch
from scipy import special
from torch.nn.functional import normalize

from eae_book.studies.sphere import sphere_knn_entropy, sphere_log_area
from eae_core.entropy import DuplicatePointsError, knn_entropy, unit_ball_log_volume


def on_sphere(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, d, generator=generator, dtype=dtype), dim=1)


def pair(d: int, angle: float) -> torch.Tensor:
    z = torch.zeros(2, d, dtype=torch.float64)
    z[:, 0] = 1
    z[1, :2] = torch.tensor([math.cos(angle), math.sin(angle)])
    return z


@pytest.mark.parametrize(
    ("d", "area"), [(2, 2 * math.pi), (3, 4 * math.pi), (4, 2 * math.pi**2), (6, math.pi**3)]
)
def test_areas_of_spheres(d, area):
    assert sphere_log_area(d) == pytest.approx(math.log(area), abs=1e-12)


@pytest.mark.parametrize("d", [2, 3, 8, 65, 256])
@pytest.mark.parametrize("angle", [1e-3, 0.1, 0.9, math.pi / 2, 2.5, 3.1])
def test_two_points_give_the_area_of_their_cap(d, angle):
    # With x = sin^2(angle / 2), the share of the sphere within the cap is I_x((d-1)/2, (d-1)/2).
    z = pair(d, angle)
    half, x = (d - 1) / 2, (z[0] - z[1]).square().sum().item() / 4
    if half * abs(math.log10(x)) > 290:
        # The share underflows. I_x(a, a) = x^a (1-x)^a F(2a, 1; a+1; x) / (a B(a, a)).
        series = float(special.hyp2f1(2 * half, 1, half + 1, x))
        log_share = half * (math.log(x) + math.log1p(-x)) + math.log(series / half)
        log_share -= float(special.betaln(half, half))
    else:
        log_share = math.log(special.betainc(half, half, x))
    expected = sphere_log_area(d) + log_share + 1  # psi(2) - psi(1) = 1
    assert sphere_knn_entropy(z).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("d", "n", "k"), [(2, 20, 1), (3, 100, 3), (16, 100, 1), (64, 50, 2)])
def test_no_bias_on_the_uniform_law_whatever_the_size(d, n, k):
    estimates = [sphere_knn_entropy(on_sphere(n, d, seed), k).item() for seed in range(300)]
    error = np.mean(estimates) - sphere_log_area(d)
    assert abs(error) < 4 * np.std(estimates, ddof=1) / math.sqrt(300)


def test_the_flat_ball_is_biased_in_high_dimension_and_the_plain_estimate_falls_for_ever():
    z = on_sphere(100, 16)
    assert sphere_knn_entropy(z, ball="flat") - sphere_log_area(16) > 0.5
    dense, sparse = on_sphere(8000, 3), on_sphere(500, 3)
    fall = knn_entropy(dense) - knn_entropy(sparse)
    assert fall.item() == pytest.approx(-0.5 * math.log(16), abs=0.25)  # -(3/2 - 1) log 16
    change = sphere_knn_entropy(dense) - sphere_knn_entropy(sparse)
    assert abs(change.item()) < 0.25


def test_flat_form_is_that_of_koleo_with_its_constants():
    z = on_sphere(40, 5)
    distances = torch.cdist(z, z) + torch.eye(40, dtype=torch.float64) * 9
    mean_log = distances.amin(1).log().mean().item()
    offset = float(special.digamma(40) - special.digamma(1))
    expected = 4 * mean_log + unit_ball_log_volume(4) + offset
    assert sphere_knn_entropy(z, ball="flat").item() == pytest.approx(expected, abs=1e-9)


def test_cap_and_flat_ball_agree_where_points_are_close():
    z = pair(7, 1e-4)
    flat = sphere_knn_entropy(z, ball="flat").item()
    assert sphere_knn_entropy(z).item() == pytest.approx(flat, abs=1e-6)


@pytest.mark.parametrize("ball", ["cap", "flat"])
def test_gradient_and_local_terms(ball):
    u = torch.randn(9, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda u: sphere_knn_entropy(normalize(u, dim=1), 2, ball=ball), u
    )
    local = sphere_knn_entropy(normalize(u, dim=1), 2, ball=ball, reduction="none")
    mean = sphere_knn_entropy(normalize(u, dim=1), 2, ball=ball)
    assert local.shape == (9,)
    assert local.mean().item() == pytest.approx(mean.item(), abs=1e-12)
    total = sphere_knn_entropy(normalize(u, dim=1), 2, ball=ball, reduction="sum")
    assert total.item() == pytest.approx(9 * mean.item(), abs=1e-12)


def test_invariant_under_rotation_and_keeps_its_dtype():
    z = on_sphere(60, 6)
    q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)).double()).Q
    assert sphere_knn_entropy(z @ q).item() == pytest.approx(sphere_knn_entropy(z).item(), abs=1e-9)
    single = sphere_knn_entropy(z.float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(sphere_knn_entropy(z).item(), abs=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert sphere_knn_entropy(z.float()).item() == single.item()


def test_antipodes_have_finite_value_and_gradient():
    z = pair(5, math.pi).requires_grad_()
    value = sphere_knn_entropy(z)
    value.backward()
    assert value.item() == pytest.approx(sphere_log_area(5) + 1, abs=1e-9)
    assert z.grad.isfinite().all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sphere_log_area(1), ValueError, "at least 2"),
        (lambda: sphere_knn_entropy(torch.tensor([[1.0], [-1.0]])), ValueError, "at least 2"),
        (lambda: sphere_knn_entropy(2 * on_sphere(5, 3)), ValueError, "5 of 5 rows.*normalize"),
        (lambda: sphere_knn_entropy(on_sphere(5, 3), 5), ValueError, "k must lie in"),
        (lambda: sphere_knn_entropy(on_sphere(5, 3), ball="round"), ValueError, "cap, flat"),
        (lambda: sphere_knn_entropy(on_sphere(5, 3), reduction="all"), ValueError, "sum, none"),
        (
            lambda: sphere_knn_entropy(on_sphere(5, 3).repeat(2, 1)),
            DuplicatePointsError,
            "coincide",
        ),
    ],
)
def test_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()

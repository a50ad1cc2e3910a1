"""Values against the published formulas, written once more in numpy, and against packages."""

import numpy as np
import pytest
import term_formulas as published
import torch
from term_table import SLICED, codes, directions, terms

from eae_core import regularizers as r
from eae_core.regularizers.wristband import wristband_parts

FORMULAS = {
    "knn_entropy": published.knn_entropy,
    "knn_entropy k=3": lambda z: published.knn_entropy(z, 3),
    "entropy_radial": published.entropy_radial,
    "radial": published.radial,
    "koleo": published.koleo,
    "koleo k=2": lambda z: published.koleo(z, 2),
    "sigreg": published.sigreg,
    "visreg": published.visreg,
    "sliced_wasserstein": published.sliced_wasserstein,
    "cramer_wold": published.cramer_wold,
    "cramer_wold exact": lambda z: published.cramer_wold(z, exact=True),
    "mmd": published.mmd,
    "mmd biased": lambda z: published.mmd(z, unbiased=False),
    "energy": published.energy,
    "energy biased": lambda z: published.energy(z, unbiased=False),
    "covariance": published.covariance,
    "covariance vicreg": lambda z: published.covariance(z, "vicreg"),
}


@pytest.mark.parametrize("d", [2, 16])
@pytest.mark.parametrize("name", FORMULAS)
def test_equals_the_formula(name, d):
    z = codes(20, d)
    extra = (directions(d).numpy(),) if name in SLICED else ()
    expected = FORMULAS[name](z.numpy(), *extra)
    # Where the Gaussian's side is a quadrature, each has its own, good to 1e-8 and better here.
    tolerance = 1e-7 if name.startswith(("mmd", "energy", "cramer_wold exact")) else 1e-10
    assert terms(d)[name](z).item() == pytest.approx(expected, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(("n", "d"), [(12, 3), (8, 20)])
def test_parts_of_the_wristband(n, d):
    """Also with more coordinates than rows, where the covariance has no inverse."""
    z = codes(n, d)
    found = [part.item() for part in wristband_parts(z, 8.0, (1 / 12) ** 0.5)]
    # Roots of eigenvalues that are 0 have an error of the root of 1e-16.
    np.testing.assert_allclose(found, published.wristband_parts(z.numpy()), rtol=1e-7)


def test_the_wristband_is_a_score_on_gaussian_batches():
    torch.manual_seed(3)
    values = torch.stack([r.wristband_loss(torch.randn(40, 4)) for _ in range(400)])
    # 400 values of mean 0 and variance 1: standard errors 0.05, and about 0.05 for the deviation,
    # whose own law has the calibration's error of 1,024 batches besides.
    assert values.mean().abs() < 0.2
    assert values.std().item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("d", [1, 3, 8, 300])
@pytest.mark.parametrize("name", ["mmd", "energy"])
def test_the_gaussian_side_is_that_of_many_draws(name, d):
    torch.manual_seed(0)
    term = terms(d)[name]
    values = torch.stack([term(torch.randn(20, d, dtype=torch.float64)) for _ in range(2000)])
    # A batch from N(0, I) has the mean 0, exactly, whatever n.
    assert values.mean().abs() < 4 * values.std() / 2000**0.5


def test_sigreg_with_endless_slices_is_the_exact_cramer_wold_distance():
    r"""2 pi n times it at gamma = 1/2, on the whole line."""
    torch.manual_seed(0)
    z = codes(40, 6)
    theta = torch.randn(6, 40_000, dtype=torch.float64)
    sliced = r.sigreg_loss(z, directions=theta, t_max=9.0, knots=61).item()
    exact = r.cramer_wold_loss(z, gamma=0.5, form="exact").item()
    # Its standard error over 40,000 directions is about 0.3 %.
    assert sliced == pytest.approx(2 * np.pi * 40 * exact, rel=0.015)


def package(name: str):
    if name.startswith("lightly"):
        from eae_core.torchvision_compat import import_torchvision

        import_torchvision()  # which lightly imports, also beside a torch without CUDA
    reason = f"{name.partition('.')[0]} is not installed: pip install it to compare with it"
    return pytest.importorskip(name, reason=reason)


@pytest.mark.filterwarnings("ignore")  # of the packages' own imports
class TestPackages:
    def test_koleo_of_lightly(self):
        z = codes(40, 8)
        theirs = package("lightly.loss.koleo_loss").KoLeoLoss()(z).item()
        # They add 1e-8 to a distance of about 0.5.
        assert r.koleo_loss(z).item() == pytest.approx(theirs, abs=1e-6)

    def test_sigreg_of_lightly(self):
        module = package("lightly.loss.lejepa_loss").SIGReg(num_vectors=32)
        z = codes(40, 8).float()
        torch.manual_seed(0)
        theirs = module(z).item()
        torch.manual_seed(0)
        assert r.sigreg_loss(z, slices=32).item() == pytest.approx(theirs, rel=1e-5)

    def test_visreg_of_lightly(self):
        loss = package("lightly.loss.visreg_loss")
        z = codes(40, 8).float()
        torch.manual_seed(0)
        theirs = loss.visreg_shape_loss(z, 32) + loss.visreg_scale_loss(z)
        theirs = theirs + loss.visreg_center_loss(z)
        torch.manual_seed(0)
        assert r.visreg_loss(z, slices=32).item() == pytest.approx(theirs.item(), rel=1e-5)

    def test_covariance_of_lightly(self):
        z = codes(40, 8)
        theirs = package("lightly.loss.vicreg_loss").covariance_loss(z).item()
        assert r.covariance_loss(z, form="vicreg").item() == pytest.approx(theirs, rel=1e-12)

    def test_cramer_wold_of_cw_torch(self):
        z = codes(40, 8)
        theirs = (
            package("cw_torch.metric")
            .cw_normality(z, torch.tensor(0.3, dtype=torch.float64))
            .item()
        )
        # Their factor 1 / (2 sqrt(pi)) has eleven digits, and z z^T is subtracted here.
        assert r.cramer_wold_loss(z, gamma=0.3).item() == pytest.approx(theirs, rel=1e-9)

    def test_energy_of_geomloss(self):
        """Theirs is half of it, between two samples: 3,000 draws stand for the Gaussian."""
        z = codes(40, 3)
        drawn = torch.randn(3000, 3, generator=torch.Generator().manual_seed(2)).double()
        loss = package("geomloss").SamplesLoss("energy", backend="tensorized")
        theirs = 2 * loss(z, drawn).item()
        # The draws have a bias of E|Z - Z'| / 3000 = 0.0008 and a standard error of about 0.01.
        assert r.energy_loss(z, unbiased=False).item() == pytest.approx(theirs, abs=0.04)

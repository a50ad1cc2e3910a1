"""Penalties of a decoder against the values of a linear one."""

import pytest
import torch
from torch import nn

from eae_core.models import decoder_l2, gradient_penalty


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def test_l2_sums_the_squares_of_kernels_alone():
    stem, widen, last = nn.Linear(2, 3), nn.ConvTranspose2d(3, 4, 2), nn.Conv2d(4, 1, 3)
    decoder = nn.Sequential(stem, widen, nn.BatchNorm2d(4), nn.ReLU(), last)
    for value, layer in ((2.0, stem), (3.0, widen), (0.5, last)):
        nn.init.constant_(layer.weight, value)
        nn.init.constant_(layer.bias, 100.0)
    convolutions = 9 * 3 * 4 * 2 * 2 + 0.25 * 4 * 1 * 3 * 3
    assert decoder_l2(decoder).item() == convolutions
    assert decoder_l2(decoder, stem=True).item() == convolutions + 4 * 2 * 3
    decoder_l2(decoder).backward()
    torch.testing.assert_close(last.weight.grad, 2 * last.weight.detach())
    assert stem.weight.grad is None


def test_l2_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no convolution"):
        decoder_l2(nn.Linear(2, 2))


def test_penalty_of_the_jacobian_is_the_squared_frobenius_norm_of_a_linear_decoder():
    """With orthogonal rows the random signs cancel exactly; in general only on average."""
    matrix = torch.diag(torch.tensor([1.0, 2.0, 3.0]))
    images, penalty = gradient_penalty(lambda z: z @ matrix.T, draw(5, 3), of="jacobian")
    assert penalty.item() == pytest.approx(1 + 4 + 9)
    torch.testing.assert_close(images, draw(5, 3) @ matrix.T)

    matrix, n = draw(4, 3, seed=1), 4000
    torch.manual_seed(0)
    _, penalty = gradient_penalty(lambda z: z @ matrix.T, draw(n, 3), of="jacobian")
    gram = (matrix @ matrix.T).double()
    off_diagonal = gram - gram.diag().diag()
    # Of v' M v with random signs v the variance is twice the squares off the diagonal.
    error = (2 * off_diagonal.square().sum() / n).sqrt()
    assert abs(penalty.item() - matrix.square().sum().item()) < 4 * error


def test_penalty_of_the_energy_is_that_of_a_quadratic():
    """D(z) = A z has the energy z' A'A z, of gradient 2 A'A z."""
    matrix, z = draw(4, 3, seed=1), draw(7, 3)
    _, penalty = gradient_penalty(lambda z: z @ matrix.T, z)
    expected = (2 * z @ matrix.T @ matrix).square().sum(1).mean()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-5)


def test_penalty_counts_what_batch_normalisation_shares():
    """Shifting all codes alike changes no image; shifting one changes them all."""
    layer = nn.BatchNorm1d(2, affine=False)
    z = draw(6, 2)
    torch.manual_seed(0)
    _, penalty = gradient_penalty(layer, z, of="jacobian")

    jacobian = torch.autograd.functional.jacobian(
        lambda z: nn.functional.batch_norm(z, None, None, training=True), z
    ).reshape(12, 12)
    torch.manual_seed(0)
    signs = torch.empty(6, 2).bernoulli_(0.5) * 2 - 1
    expected = (signs.flatten() @ jacobian).square().sum() / 6
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("of", ["energy", "jacobian"])
def test_gradient_of_the_penalty(of):
    """Double backward against the formula's own gradient."""
    matrix = torch.diag(torch.tensor([1.0, 2.0, 3.0])).requires_grad_()
    z = draw(5, 3).requires_grad_()
    gradient_penalty(lambda z: z @ matrix.T, z, of=of)[1].backward()
    again = matrix.detach().clone().requires_grad_()
    rows = z.detach().clone().requires_grad_()
    formula = (
        (2 * rows @ again.T @ again).square().sum(1).mean()
        if of == "energy"
        else again.square().sum()
    )
    formula.backward()
    expected = again.grad if of == "energy" else again.grad.diag().diag()
    found = matrix.grad if of == "energy" else matrix.grad.diag().diag()
    torch.testing.assert_close(found, expected)
    if of == "energy":
        torch.testing.assert_close(z.grad, rows.grad)


def test_without_gradient_the_value_is_the_same():
    z, matrix = draw(5, 3), draw(4, 3, seed=1).requires_grad_()
    _, wanted = gradient_penalty(lambda z: z @ matrix.T, z)
    with torch.no_grad():
        images, penalty = gradient_penalty(lambda z: z @ matrix.T, z)
    assert wanted.requires_grad
    assert not penalty.requires_grad
    assert not images.requires_grad
    assert penalty.item() == wanted.item()


def test_another_gradient_is_refused():
    with pytest.raises(ValueError, match="energy, jacobian, got 'hessian'"):
        gradient_penalty(nn.Identity(), torch.zeros(2, 2), of="hessian")

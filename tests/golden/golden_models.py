"""Three steps of every model and of both loops, and what all networks give."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from golden import Numbers, golden, looked_at
from torch import Tensor, nn

import eae_book.constraints  # noqa: F401 (makes them known by name)
from eae_book.gans import GENERATORS, AdversarialOptions, build_generator, fit_adversarial
from eae_book.gans.gan import AdversarialModel
from eae_book.gans.lee import lee_critic, lee_encoder, lee_generator
from eae_core.data import ImageSet
from eae_core.models import MODELS, build_dense_model, build_model, build_networks
from eae_core.training import History, TrainOptions, fit

N, D, SHAPE = 24, 3, (1, 8, 8)  # images, size of the code, shape of an image

# What a model does depends on its options: its defaults, and others that lead elsewhere.
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "ae": ({}, {"normalize_code": True}),
    "ae_l2": ({}, {"decoder_l2": 0.1, "decoder_l2_stem": True}),
    "eae": (
        *({}, {"k": 3}, {"spectral_norm": True, "decoder_l2": 0.1}, {"coordinates": "gaussian"}),
        *({"constraint": name} for name in ("l1_norm", "unit_mean", "box", "sphere")),
        *({"entropy_map": name, "entropy_dim": 2} for name in ("fixed", "redrawn")),
    ),
    "rae_l2": ({}, {"decoder_l2": 0.1, "decoder_l2_stem": True}),
    "rae_gp": ({}, *({"gradient": g, "gradient_penalty": 0.1} for g in ("energy", "jacobian"))),
    "wae": ({}, {"input_noise": 0.1}),
    "two_stage_vae": ({"hidden": 8, "layers": 2, "first_gamma": 0.5},),
    "wgan_gp": ({}, {"penalty_on": "logit"}),
}


def images(*shape: int, seed: int = 0) -> Tensor:
    """Fixed images in [0, 1]."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def bytes_of(x: Tensor) -> ImageSet:
    """These images as a set."""
    return ImageSet("golden", "train", (255 * x).to(torch.uint8))


def read(outputs: int) -> nn.Sequential:
    """Images to numbers, with the layers that objectives look at, and no part of the package.

    A layer in front of a normalisation has no bias: its gradient would be nothing but rounding.
    """
    return nn.Sequential(
        nn.Conv2d(1, 4, 4, stride=2, padding=1, bias=False),
        *(nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64, outputs)),
    )


def draw(inputs: int) -> nn.Sequential:
    """Numbers to images, likewise."""
    return nn.Sequential(
        *(nn.Linear(inputs, 64), nn.Unflatten(1, (4, 4, 4))),
        nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, bias=False),
        *(nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3, padding=1), nn.Sigmoid()),
    )


def descend(terms: dict[str, Tensor], network: nn.Module, found: Numbers, label: str) -> None:
    """Note the terms, and go one step down the gradient of "loss"."""
    for name, term in terms.items():
        kept = found.setdefault(f"{label}{name}", [])
        assert isinstance(kept, list)
        kept.append(term.item())
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    slopes = torch.autograd.grad(terms["loss"], weights, allow_unused=True)
    with torch.no_grad():
        for weight, slope in zip(weights, slopes, strict=True):
            if slope is not None:
                weight -= 1e-3 * slope


def ability(model: Any) -> list[float]:
    """What a trained model makes of its own codes, and of images."""
    model.eval()
    with torch.no_grad():
        codes = model.draw_codes(N, generator=torch.Generator().manual_seed(2))
        made = model.decode(codes.float())
        seen = [model.encode(images(N, *SHAPE, seed=1))] if hasattr(model, "encode") else []
    return looked_at(made, *seen)


def each_variant(name: str, steps: Any) -> Numbers:
    """The numbers of each variant of a model, whose options stand before their names."""
    found: Numbers = {}
    for options in VARIANTS.get(name, ({},)):
        label = ", ".join(f"{key} {value}" for key, value in options.items())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            numbers = steps(options)
        found |= {f"{label}: {key}" if label else key: value for key, value in numbers.items()}
    return found


def steps_of_autoencoder(model_class: Any, options: dict[str, Any]) -> Numbers:
    """Three steps, of each stage of a model that has two."""
    reader, writer = read(model_class.encoder_outputs_per_dim * D), draw(D)
    model = model_class(reader, writer, D, model_class.options_class(**options))
    x = images(N, *SHAPE)
    found: Numbers = {}
    for epoch in range(2 if model.name == "two_stage_vae" else 1):
        model.start_epoch(epoch, 2)
        for _ in range(3):
            descend(model.loss(x), model, found, "second " if epoch else "")
    return found | {"ability": ability(model)}


def steps_of_game(model_class: Any, options: dict[str, Any]) -> Numbers:
    """Three steps of critic and generator in turn."""
    model = model_class(draw(D), read(1), D, model_class.options_class(**options))
    found: Numbers = {}
    for _ in range(3):
        descend(model.critic_loss(images(N, *SHAPE)), model.critic, found, "critic ")
        model.after_critic_step()
        descend(model.generator_loss(N), model.generator, found, "generator ")
    return found | {"ability": ability(model)}


for _name, (_class, _) in MODELS.items():
    golden(f"model {_name}")(partial(each_variant, _name, partial(steps_of_autoencoder, _class)))
for _name, _generator in GENERATORS.items():
    _steps = steps_of_game if issubclass(_generator, AdversarialModel) else steps_of_autoencoder
    golden(f"generator {_name}")(partial(each_variant, _name, partial(_steps, _generator)))


@golden("networks")
def networks() -> Numbers:
    """First weights, shapes and outputs for each shape of images and each depth."""
    found: Numbers = {}
    shapes = [((1, 32, 32), None), ((3, 32, 32), None), ((3, 64, 64), None)]
    for shape, depth in [*shapes, *(((1, 32, 32), depth) for depth in (1, 2, 3))]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            encoder, decoder = build_networks(shape, D, width=2, convolutions=depth)
            model = build_model("ae", shape, D, width=2, convolutions=depth)
        found[f"{shape} {depth}: weights"] = [size(encoder), size(decoder), size(model)]
        found[f"{shape} {depth}"] = passed(encoder, shape) + passed(decoder, (D,))
        found[f"{shape} {depth}: model"] = passed(model, shape)
    return found


def passed(network: nn.Module, shape: tuple[int, ...]) -> list[float]:
    """What comes out, in training and after it."""
    x = images(6, *shape)
    with torch.no_grad():
        return looked_at(network(x), network.eval()(x))


def size(network: nn.Module) -> float:
    """How many numbers it learns."""
    return float(sum(p.numel() for p in network.parameters()))


@golden("dense networks")
def dense_networks() -> Numbers:
    """First weights and outputs, with normalisation and without."""
    found: Numbers = {}
    for normalize in (True, False):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build_dense_model("vae", SHAPE, D, hidden=8, normalize=normalize)
        found[f"normalize {normalize}"] = passed(model, SHAPE)
    return found


@golden("generator networks")
def generator_networks() -> Numbers:
    """First weights and outputs of each network, and of each generator that is made of them."""
    found: Numbers = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found["generator"] = passed(lee_generator(D, width=2), (D,))
        found["encoder"] = passed(lee_encoder(D, width=2), (1, 28, 28))
        found["critic"] = passed(lee_critic(width=2), (1, 28, 28))
        found["layer critic"] = passed(lee_critic(width=2, normalization="layer"), (1, 28, 28))
        for name in GENERATORS:
            model = build_generator(name, latent_dim=D, width=2)
            found[f"built {name}"] = [
                number
                for part, shape in (("generator", (D,)), ("critic", (1, 28, 28)))
                for number in (passed(getattr(model, part), shape) if hasattr(model, part) else [])
            ]
    return found


class Plain(nn.Module):
    """A linear code with noise, for a loop to train: no part of the package."""

    def __init__(self) -> None:
        super().__init__()
        self.config = {"image_shape": list(SHAPE)}
        self.weight = nn.Parameter(0.1 * images(64, D, seed=3))
        self.epochs_told: list[float] = []

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.epochs_told += [float(epoch), float(epochs)]

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        z = x.flatten(1) @ self.weight
        noisy = z + 0.1 * torch.randn(z.shape)
        error = (noisy @ self.weight.T - x.flatten(1)).square().sum(1).mean()
        return {"loss": error, "code": z.square().mean()}


@golden("training")
def training() -> Numbers:
    """Two epochs of three steps, and the weights that they leave."""
    model = Plain()
    options = TrainOptions(
        epochs=2, batch_size=7, learning_rate_decay=0.5, seed=1, device="cpu", progress=False
    )
    history = fit(model, bytes_of(images(N, *SHAPE)), options)  # type: ignore[arg-type]
    return means(history) | {"weights": looked_at(model.weight), "told": model.epochs_told}


def means(history: History) -> Numbers:
    """The epochs' means of every term."""
    names = [name for name in history.epochs[0] if name not in ("epoch", "seconds")]
    return {name: history.curve(name) for name in names}


class PlainGame(nn.Module):
    """A linear generator against a linear critic: no part of the package."""

    def __init__(self) -> None:
        super().__init__()
        self.config = {"image_shape": list(SHAPE)}
        self.generator, self.critic = nn.Linear(D, 64), nn.Linear(64, 1)
        for number, weight in enumerate(self.parameters()):
            weight.data = images(*weight.shape, seed=number) - 0.5

    def critic_loss(self, x: Tensor) -> dict[str, Tensor]:
        made = self.generator(torch.randn(len(x), D)).detach()
        return {"loss": self.critic(made).mean() - self.critic(x.flatten(1)).tanh().mean()}

    def generator_loss(self, n: int) -> dict[str, Tensor]:
        made = self.generator(torch.randn(n, D))
        return {"loss": made.square().mean() - self.critic(made).tanh().mean()}

    def after_critic_step(self) -> None:
        with torch.no_grad():
            self.critic.weight.clamp_(-0.4, 0.4)


@golden("adversarial training")
def adversarial_training() -> Numbers:
    """Two epochs of three steps of each side, and the weights that they leave."""
    model = PlainGame()
    options = AdversarialOptions(epochs=2, batch_size=7, seed=1, device="cpu", progress=False)
    history = fit_adversarial(model, bytes_of(images(N, *SHAPE)), options)  # type: ignore[arg-type]
    return means(history) | {"weights": looked_at(*model.parameters())}

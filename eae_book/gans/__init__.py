"""Generators trained against a critic, and a VAE of their size, for the chapter on coverage."""

from eae_book.gans.adversarial import AdversarialOptions, fit_adversarial
from eae_book.gans.gan import GAN, AdversarialModel
from eae_book.gans.generators import GENERATORS, GeneratorModel, build_generator, rebuild_generator
from eae_book.gans.lee_vae import LeeVAE
from eae_book.gans.loading import load_generator
from eae_book.gans.unpadded import unpadded_images
from eae_book.gans.wasserstein_gan import WGAN, WGANGP, CorrectedWGANGP, WGANGPOptions, WGANOptions

__all__ = [
    "GAN",
    "GENERATORS",
    "WGAN",
    "WGANGP",
    "AdversarialModel",
    "AdversarialOptions",
    "CorrectedWGANGP",
    "GeneratorModel",
    "LeeVAE",
    "WGANGPOptions",
    "WGANOptions",
    "build_generator",
    "fit_adversarial",
    "load_generator",
    "rebuild_generator",
    "unpadded_images",
]

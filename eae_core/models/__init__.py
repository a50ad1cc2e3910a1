"""Models: networks, the constraint, one objective a class; :func:`build_model` joins them."""

from eae_core.models.autoencoders import AE, AEOptions, Autoencoder, ModelOptions
from eae_core.models.building import (
    MODELS,
    build_dense_model,
    build_model,
    published_options,
    rebuild_model,
)
from eae_core.models.dense import dense_networks
from eae_core.models.entropic import EAE, EAEOptions
from eae_core.models.networks import build_networks
from eae_core.models.regularized import (
    AEL2,
    RAE,
    RAEGP,
    RAEL2,
    RAESN,
    AEL2Options,
    RAEGPOptions,
    RAEL2Options,
    RAEOptions,
    RAESNOptions,
)
from eae_core.models.smoothness import decoder_l2, gradient_penalty, spectrally_normalize
from eae_core.models.two_stage import TwoStageVAE, TwoStageVAEOptions
from eae_core.models.using import (
    decode_codes,
    encode_images,
    interpolate,
    reconstruct,
    reconstruction_error,
    sample_images,
)
from eae_core.models.variational import CVVAE, VAE, CVVAEOptions, VAEOptions, gaussian_kl
from eae_core.models.wasserstein import WAE, WAEOptions, imq_mmd

__all__ = [
    "AE", "AEL2", "CVVAE", "EAE", "MODELS", "RAE", "RAEGP", "RAEL2", "RAESN", "VAE", "WAE",
    "AEL2Options", "AEOptions", "Autoencoder", "CVVAEOptions", "EAEOptions", "ModelOptions",
    "RAEGPOptions", "RAEL2Options", "RAEOptions", "RAESNOptions", "TwoStageVAE",
    "TwoStageVAEOptions", "VAEOptions", "WAEOptions", "build_dense_model", "build_model",
    "build_networks", "decode_codes", "decoder_l2", "dense_networks", "encode_images",
    "gaussian_kl", "gradient_penalty", "imq_mmd", "interpolate", "published_options",
    "rebuild_model", "reconstruct", "reconstruction_error", "sample_images", "spectrally_normalize",
]  # fmt: skip

"""Features of the Inception network of 2015 that every published FID is computed with.

torch-fidelity holds the network, with the resizing of the original; the weights come from a file.
Papers take the 2048 features of the last layer. The 768 features of an earlier layer are as good a
yardstick between models of one run, but another one: a distance on them is named FID-768
everywhere, and no number of a paper stands beside it.
"""

from __future__ import annotations

import hashlib
import urllib.request
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from eae_core.data import DataCorruptedError, DataUnavailableError
from eae_core.entropy.samples import no_autocast
from eae_core.evaluation.tensor_cache import data_folder, tensors_checksum
from eae_core.files import expanded, replacing
from eae_core.hardware import resolve_device
from eae_core.torchvision_compat import import_torchvision

REVISION = 1  # 1: as first recorded; see eae_book.revisions

Dimension = Literal[768, 2048]

_FULL_DIGITS = "6726825d"  # first digits of the file's sha256
FULL_WEIGHTS = f"weights-inception-2015-12-05-{_FULL_DIGITS}.pth"
FULL_WEIGHTS_URL = (
    f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FULL_WEIGHTS}"
)
SHORT_WEIGHTS = "weights-inception-2015-12-05-768.pth"
_SHORT_CHECKSUM = (  # of the layers up to the 768 features, by tensors_checksum
    "93e719efd86e96afbb95c70729a6ed4ed69764c9eb6493eb2fb7861bfd9860e5"
)
_STALL_SECONDS = 30.0
_LAST_LAYERS = ("Mixed_7", "fc.")  # not used by the 768 features
_FED_IN = "8 bit, grey repeated"  # how images are fed in, a part of the checksum


def eight_bit(x: Tensor) -> Tensor:
    """Images in [0, 1] rounded to the 256 levels of a PNG file, uint8.

    Papers save samples as pictures first, and so are the real images stored. Values outside [0, 1]
    are cut off.

    Example:
        >>> eight_bit(torch.tensor([0.0, 0.5, 1.0, 1.2]))
        tensor([  0, 128, 255, 255], dtype=torch.uint8)
    """
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


@dataclass(frozen=True, eq=False)
class InceptionFeatures:
    """The Inception network as a feature extractor, see :func:`inception_features`."""

    net: nn.Module
    dimension: int  #: 768 or 2048
    checksum: str  #: of the weights in use and of how images are fed in
    batch_size: int = 50

    @property
    def name(self) -> str:
        """By its dimension: "FID-768" or "FID-2048"."""
        return f"FID-{self.dimension}"

    def features(self, x: Tensor) -> Tensor:
        """Features (n, p) in float32 on the CPU of images x (n, c, h, w) in [0, 1], c = 1 or 3.

        Images are rounded to eight bits, grey ones repeated in three channels, and resized to
        299 x 299 by the network's own bilinear rule. No TF32 and no autocast, so that machines
        agree to about six digits.
        """
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ValueError(f"images must be n x 1 or 3 x h x w, got shape {tuple(x.shape)}")
        device = next(self.net.parameters()).device
        with torch.no_grad(), no_autocast(device), _full_precision():
            parts = [
                self.net(eight_bit(part.to(device).float()).expand(-1, 3, -1, -1))[0].cpu()
                for part in x.split(self.batch_size)
            ]
        return torch.cat(parts)


def inception_features(
    dimension: Dimension = 768,
    *,
    weights: str | Path | None = None,
    device: str | torch.device = "auto",
    batch_size: int = 50,
    root: str | Path | None = None,
    download: bool = True,
) -> InceptionFeatures:
    """Load the network with weights from a file, and check that they are the right ones.

    Without ``weights``, files are sought in ``inception/`` in the data folder: the full weights,
    which are downloaded if need be and possible, serve both dimensions; a file of the layers up to
    768 serves these.

    Args:
        dimension: 768 or 2048 features.
        weights: the file.
        device: where the network runs; 0.1 to 0.2 seconds an image on a CPU core.
        batch_size: images at a time, each blown up to 299 x 299.
        root: the data folder; by default :func:`eae_core.data.data_root`.
        download: whether missing full weights (95 MB) may be downloaded.

    Raises:
        DataUnavailableError: no weights; says what to put where.
        DataCorruptedError: a file that holds other weights.

    Source:
        Heusel et al. (2017); the conversion to PyTorch is torch-fidelity's.
    """
    if dimension not in (768, 2048):
        raise ValueError(f"Inception features have dimension 768 or 2048, got {dimension}")
    folder = data_folder(root, "inception")
    short, full = folder / SHORT_WEIGHTS, folder / FULL_WEIGHTS
    path = short if dimension == 768 and short.is_file() and not full.is_file() else full
    path = expanded(weights) if weights else path
    if not path.is_file():
        if weights or not download:
            raise DataUnavailableError(f"there are no weights {path}\n{_how_to(folder)}")
        try:
            _download(path)
        except OSError as error:  # urllib's errors are among them
            raise DataUnavailableError(
                f"the Inception weights could not be downloaded ({error})\n{_how_to(folder)}"
            ) from error
    checksum = _check(path, dimension, folder)
    import_torchvision("datasets")  # torch-fidelity imports torchvision, which may need help
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    net = FeatureExtractorInceptionV3(
        f"inception-{dimension}", [str(dimension)], feature_extractor_weights_path=str(path)
    )
    # Channels last: the same features to six digits, in three fifths of the time on a CPU.
    net = net.to(resolve_device(device), memory_format=torch.channels_last)
    return InceptionFeatures(net, dimension, checksum, batch_size)


def _download(path: Path) -> None:
    """Into memory first (95 MB): what is not whole never gets a name."""
    content = bytearray()
    with (
        urllib.request.urlopen(FULL_WEIGHTS_URL, timeout=_STALL_SECONDS) as answer,
        tqdm(desc=path.name, unit="B", unit_scale=True) as bar,
    ):
        while part := answer.read(1 << 20):
            content += part
            bar.update(len(part))
    digits = hashlib.sha256(content).hexdigest()[: len(_FULL_DIGITS)]
    if digits != _FULL_DIGITS:
        raise OSError(f"what came has the sha256 {digits}..., not {_FULL_DIGITS}...")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _check(path: Path, dimension: Dimension, folder: Path) -> str:
    """The checksum of the layers in use, after a look whether they are the published ones."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        unused = () if dimension == 2048 else _LAST_LAYERS
        counts = "num_batches_tracked"  # of training, of no effect
        used = [k for k in state if not k.startswith(unused) and not k.endswith(counts)]
        found = tensors_checksum({name: state[name] for name in used})
    except Exception as error:  # what a file that is no state dictionary raises has no one type
        raise DataCorruptedError(
            f"{path} holds no weights ({error!r}): remove it\n{_how_to(folder)}"
        ) from error
    whole_file = hashlib.sha256(path.read_bytes()).hexdigest()
    if not whole_file.startswith(_FULL_DIGITS) and (dimension, found) != (768, _SHORT_CHECKSUM):
        raise DataCorruptedError(
            f"{path} does not hold the published weights for {dimension} features: remove it"
            f"\n{_how_to(folder)}"
        )
    return hashlib.sha256(f"{found} {_FED_IN}".encode()).hexdigest()


def _how_to(folder: Path) -> str:
    return (
        f"Put in place {folder / FULL_WEIGHTS}, downloaded from\n    {FULL_WEIGHTS_URL}\n"
        f"(for 2048 and 768 features), or {folder / SHORT_WEIGHTS}\n"
        "(for 768 features alone). Another folder: set EAE_DATA; another file: pass weights=..."
    )


def _full_precision() -> AbstractContextManager[None]:
    """Convolutions of a GPU in float32, where its default is TF32."""
    cudnn = torch.backends.cudnn
    same = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic")}
    flags: AbstractContextManager[None] = cudnn.flags(**same, allow_tf32=False)
    return flags

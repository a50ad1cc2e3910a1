"""The verbs sample, encode, reconstruct, interpolate and export: what a trained model is for."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from eae_core.cli.folders import CODES, save_arrays
from eae_core.cli.models import (
    check_pictures,
    data_for,
    first_of,
    model_file,
    open_model,
    read_images,
)
from eae_core.cli.tools import read_points
from eae_core.data import Images, ImageSet
from eae_core.errors import UsageError, refusing
from eae_core.evaluation import Density, eight_bit, fit_density
from eae_core.evaluation.sheets import COLUMNS, picture, write_grid
from eae_core.models import Autoencoder, decode_codes, encode_images
from eae_core.models.export import SUFFIXES, export_model
from eae_core.models.using import draw_codes
from eae_core.seeds import check_seed

AT_ONCE = 500  # images in memory
GRID_MOST, SHOWN_MOST, STEPS_MOST = 100, 20, 1000  # images, pairs, steps on one picture


def sample(arguments: argparse.Namespace) -> int:
    """Write new images into a folder."""
    model = open_model(arguments)
    formats = arguments.format or (["png", "grid"] if len(model.image_shape) == 3 else ["npz"])
    if formats != ["npz"]:
        check_pictures(model)
    codes, folder = _codes(model, arguments), arguments.output
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: name a new folder with -o, or empty it")
    folder.mkdir(parents=True, exist_ok=True)
    digits, kept = len(str(len(codes) - 1)), []
    for start in range(0, len(codes), AT_ONCE):
        images = decode_codes(model, codes[start : start + AT_ONCE])
        if "png" in formats:
            for number, image in enumerate(images, start):
                picture(image).save(folder / f"{number:0{digits}}.png")
        # What a grid or an array needs of them, in as few bytes as it can be.
        kept.append(eight_bit(images) if images.ndim == 4 else images)
    images = torch.cat(kept)
    if "grid" in formats:
        write_grid(images[:GRID_MOST] / 255, folder / "grid.png")
    if "npz" in formats:
        array = images.movedim(1, -1) if images.ndim == 4 else images
        save_arrays(folder / "samples.npz", images=array, codes=codes)
    files = {"png": f"{len(codes)} PNG files", "grid": "grid.png", "npz": "samples.npz"}
    written = ", ".join(files[kind] for kind in formats)
    print(f"{len(codes)} images of seed {arguments.seed} in {folder}: {written}")
    return 0


def encode(arguments: argparse.Namespace) -> int:
    """Write the codes of images as one array."""
    model = open_model(arguments)
    if arguments.output.suffix not in (".npy", ".npz"):
        raise UsageError(f"codes go into an .npy or .npz file, not {arguments.output}")
    images, files = _images(model, arguments, arguments.limit)
    codes = encode_images(model, images)
    more = {"files": files} if files and arguments.output.suffix == ".npz" else {}
    save_arrays(arguments.output, codes=codes, **more)
    print(f"{len(codes)} codes of {codes.shape[1]} numbers each in {arguments.output}")
    return 0


def reconstruct(arguments: argparse.Namespace) -> int:
    """Write a picture of images and, below each row, what the model makes of them."""
    model = _picture_model(arguments)
    images, _ = _images(model, arguments, arguments.limit or SHOWN_MOST)
    x = images.batch(slice(None))
    made = model.reconstruct(x)
    errors = (x - made).square().flatten(1).sum(1)
    rows = []
    for some in zip(x.split(COLUMNS), made.split(COLUMNS), strict=True):
        blank = x.new_ones(min(COLUMNS, len(x)) - len(some[0]), *x.shape[1:])
        rows += [some[0], blank, some[1], blank]
    path = write_grid(torch.cat(rows), arguments.output, columns=min(COLUMNS, len(x)))
    print(f"squared error of {len(x)} images: {float(errors.mean()):.4g} on average; see {path}")
    return 0


def interpolate(arguments: argparse.Namespace) -> int:
    """Write a picture of the images on the path between the codes of two."""
    model, steps = _picture_model(arguments), arguments.steps
    if not 2 <= steps <= STEPS_MOST:
        raise UsageError(f"--steps must lie in 2..{STEPS_MOST}, with the two ends, got {steps}")
    x = read_images(model, arguments.images)
    path = model.interpolate(x[:1], x[1:], steps=steps)[0]
    written = write_grid(path, arguments.output, columns=len(path))
    print(f"{len(path)} images on the path in {written}")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write encoder and decoder in the formats asked for, compared with the model."""
    kinds = [kind for kind in SUFFIXES if getattr(arguments, kind)]
    if not kinds:
        raise UsageError("say which: --onnx, --torch or --safetensors, or several")
    model = open_model(arguments)
    folder = arguments.output or model_file(arguments.model).parent
    files = export_model(model, folder, *kinds)
    shape, d = " x ".join(map(str, model.image_shape)), model.latent_dim
    print(f"encoder: n x {shape} in [0, 1] to n x {d}; decoder: back. Compared with the model:")
    for path in files:
        print(f"  {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _codes(model: Autoencoder, arguments: argparse.Namespace) -> Tensor:
    """The codes (n, d) of the images to make."""
    if arguments.n < 1:
        raise UsageError(f"-n must be at least 1, got {arguments.n}")
    with refusing():
        check_seed(arguments.seed, "--seed")
        if arguments.distribution != "own":
            return _density(model, arguments).sample(arguments.n, seed=arguments.seed)
    return draw_codes(model, arguments.n, seed=arguments.seed)


def _density(model: Autoencoder, arguments: argparse.Namespace) -> Density:
    """The density asked for, fitted to the codes that training left beside the model."""
    name: str = arguments.distribution
    if name == "standard":
        return fit_density(name, torch.zeros(2, model.latent_dim))
    path = model_file(arguments.model).with_name(CODES)
    if not path.exists():
        raise UsageError(
            f"--distribution {name} is fitted to the codes of training images, and there is no "
            f"{path}: make it with  encode {arguments.model} --data WHERE --split train -o {path}"
        )
    return fit_density(name, torch.from_numpy(read_points(path)))


def _images(
    model: Autoencoder, arguments: argparse.Namespace, limit: int | None
) -> tuple[Images, list[str]]:
    """The images that a verb is given, at most so many, and their files if they have some."""
    if bool(arguments.images) == bool(arguments.dataset):
        raise UsageError("name picture files, or data with --data: one of the two")
    if arguments.images:
        paths = arguments.images[:limit]
        return ImageSet("files", "all", read_images(model, paths)), list(map(str, paths))
    data = data_for(model, arguments)
    files: list[str] | None = getattr(data, "files", None)
    split = arguments.split or ("test" if files is None else "all")
    with refusing():
        images = first_of(data.images(split), limit)
    return images, (files or [])[: len(images)] if split == "all" else []


def _picture_model(arguments: argparse.Namespace) -> Autoencoder:
    """The model, whose images can be shown, and where the picture is to go can hold one."""
    model = open_model(arguments)
    check_pictures(model)
    if arguments.output.suffix not in (".png", ".webp"):
        raise UsageError(f"pictures go into a .png or .webp file, not {arguments.output}")
    return model

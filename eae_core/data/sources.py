"""From torchvision's data sets to prepared arrays: what happens the first time a set is used."""

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from eae_core.data.catalogue import DATASETS, SPLITS, DatasetInfo, Split, dataset_info
from eae_core.data.prepared import (
    DataCorruptedError,
    DataUnavailableError,
    filled_at_once,
    is_prepared,
    scratch_folder,
    seal_folder,
    verify_folder,
)
from eae_core.torchvision_compat import import_torchvision

CROP, SIDE = 140, 64  # CelebA: centre crop, then size
PROBE_SECONDS = 5.0  # how long to look for a network
STALL_SECONDS = 30.0  # how long a download may stand still
LARGEST_DOWNLOAD = 250_000_000  # bytes of one file; CIFAR-10 has 170 million
_AGAIN, _OFF = "remove them and try again", "downloading was switched off"


def prepare_folder(info: DatasetInfo, root: Path, *, download: bool) -> None:
    """Write the prepared arrays of a set to `root/<name>` unless they are there.

    Raises:
        DataUnavailableError: neither prepared arrays nor raw files, and no download.
        DataCorruptedError: the raw files are incomplete.
        OSError: the folder cannot be written.
    """
    folder, raw = root / info.name, root / "torchvision"
    if is_prepared(folder):
        return
    if folder.exists() and not folder.is_dir():
        raise DataCorruptedError(f"{folder} is a file where a folder should be: remove it")
    if list(folder.glob("*_images.npy")):
        raise DataUnavailableError(
            f"{folder} holds arrays but no meta.json. If they are complete, "
            f"eae_core.data.seal({info.name!r}, root={str(root)!r}) writes it; else remove them"
        )
    datasets = _open(info, raw)
    if datasets is None:
        _obtain(info, root, raw, download=download)
        datasets = _open(info, raw)
    if datasets is None:
        raise DataCorruptedError(f"the raw files of {info.title} in {raw} are incomplete: {_AGAIN}")
    with filled_at_once(folder) as scratch:
        for split in SPLITS:
            _write_split(info, split, datasets[split], scratch)
        seal_folder(scratch, info.name, f"torchvision.datasets.{info.source}")
        try:
            verify_folder(scratch, info)
        except DataCorruptedError as error:
            raise DataCorruptedError(
                f"the raw files in {raw} are not those of {info.title}: {_AGAIN} ({error})"
            ) from error


def _open(info: DatasetInfo, raw: Path) -> dict[Split, Any] | None:
    """Both splits as torchvision opens them, without a download; None if there are no raw files."""
    source = getattr(import_torchvision("datasets"), info.source)
    try:
        if info.source == "CelebA":
            return {split: source(raw, split=split, target_type=[]) for split in SPLITS}
        return {split: source(raw, train=split == "train") for split in SPLITS}
    except (RuntimeError, OSError, EOFError, ValueError, AssertionError) as error:
        if "download=True" in str(error):  # torchvision's way to say that files are missing
            return None
        raise DataCorruptedError(
            f"the raw files of {info.title} in {raw} cannot be read ({error!r}): {_AGAIN}"
        ) from error


def _origin(info: DatasetInfo) -> tuple[Any, dict[str, str], list[str]]:
    """Class in torchvision.datasets, md5 of each archive by its path, folders on the network."""
    source = getattr(import_torchvision("datasets"), info.source)
    if info.source == "CelebA":
        archives = {f"{source.base_folder}/{name}": md5 for _, md5, name in source.file_list}
        return source, archives, ["https://drive.google.com/"]
    if info.source == "CIFAR10":
        folder = source.url.removesuffix(source.filename)
        return source, {source.filename: source.tgz_md5}, [folder]
    archives = {f"{info.source}/raw/{name}": md5 for name, md5 in source.resources}
    return source, archives, list(source.mirrors)


def _obtain(info: DatasetInfo, root: Path, raw: Path, *, download: bool) -> None:
    """Unpack the archives that are there, and download the others."""
    source, archives, addresses = _origin(info)
    present = [name for name in archives if (raw / name).exists()]
    missing = [name for name in archives if name not in present]
    for name in present:
        _check_archive(raw / name, archives[name])
    if missing:
        problems = [_probe(address) if download else _OFF for address in addresses]
        if all(problems):
            reason = f"cannot be had: {problems[0]}"
            raise DataUnavailableError(_how_to(info, root, archives, reason))
    # In a folder of its own, so that what is interrupted leaves no half-unpacked files behind.
    with scratch_folder(root, f"{info.name}-download") as scratch:
        for name in archives:
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        for name in present:
            shutil.copyfile(raw / name, scratch / name)
        try:
            if missing and info.source == "CelebA":  # from a drive that only gdown can read
                source(scratch, "train", target_type=[], download=True)
            else:
                for name in missing:
                    _download(addresses, scratch / name, archives[name])
                for name in archives:
                    _unpack(scratch / name)
        except Exception as error:  # each host and each library fails in its own way
            reason = f"could not be {'downloaded' if missing else 'unpacked'}: {error}"
            raise DataUnavailableError(_how_to(info, root, archives, reason)) from error
        for path in [path for path in scratch.rglob("*") if path.is_file()]:
            place = raw / path.relative_to(scratch)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)


def _check_archive(path: Path, md5: str) -> None:
    """Raise DataCorruptedError, naming both checksums, unless a file is what it should be."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
        file.seek(0)
        begins = file.read(24)
    if found != md5:
        raise DataCorruptedError(
            f"{path} is another file: its md5 is {found}, the right one {md5}, and it begins with "
            f"{begins!r}. Remove it, and prepare the set again"
        )


def _unpack(path: Path) -> None:
    """Unpack an archive where it lies; members that lead elsewhere are refused."""
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as archive:
            archive.extractall(path.parent, filter="data")
    elif path.suffix in (".gz", ".zip"):
        import_torchvision("datasets.utils").extract_archive(str(path))


def _download(addresses: list[str], path: Path, md5: str) -> None:
    """Fetch an archive from the first address that has it."""
    problems = []
    for address in addresses:
        try:
            _fetch(address + path.name, path)
            _check_archive(path, md5)
            return
        except (OSError, DataCorruptedError) as error:
            problems.append(f"{address}{path.name}: {error}")
    raise OSError("; ".join(problems))


def _fetch(address: str, path: Path) -> None:
    with (
        urllib.request.urlopen(address, timeout=STALL_SECONDS) as answer,
        path.open("wb") as file,
        tqdm(desc=path.name, unit="B", unit_scale=True) as bar,
    ):
        while part := answer.read(1 << 20):
            bar.update(file.write(part))
            if file.tell() > LARGEST_DOWNLOAD:
                raise OSError(f"it sends more than {LARGEST_DOWNLOAD:,} bytes, larger than any set")


def _probe(address: str) -> str:
    """Empty if the host answers, in whatever words; else what went wrong."""
    request = urllib.request.Request(address, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return ""
    except OSError as error:  # URLError and timeouts among them
        return f"{address}: {getattr(error, 'reason', error)}"


def _how_to(info: DatasetInfo, root: Path, archives: Iterable[str], reason: str) -> str:
    """Why a set can be had neither from disk nor from the network, and what to put where."""
    shape = " x ".join(map(str, info.stored_shape))
    raw = "".join(f"\n    {root / 'torchvision' / name}" for name in archives)
    always = ", ".join(name for name in DATASETS if dataset_info(name).embedded)
    return (
        f"{info.title} is not in {root / info.name}, and {reason}\n"
        f"To use it without a network, put in place either the prepared arrays\n"
        f"    {root / info.name}/{{train,test}}_images.npy (uint8, N x {shape}), "
        f"{{train,test}}_labels.npy and meta.json\n"
        f"or the files that torchvision downloads{raw}\n"
        f"(data/README.md tells how). To keep data elsewhere than in {root}, set EAE_DATA. "
        f"These sets need no files and always work: {always}"
    )


def _write_split(info: DatasetInfo, split: Split, dataset: Any, folder: Path) -> None:
    if len(dataset) != info.count(split):
        raise DataCorruptedError(
            f"the raw files of {info.title} hold {len(dataset)} {split} images instead of "
            f"{info.count(split)}: {_AGAIN}"
        )
    if info.source == "CelebA":
        _write_faces(split, dataset, folder)
        return
    images = np.asarray(dataset.data, dtype=np.uint8).reshape(-1, *info.stored_shape)
    np.save(folder / f"{split}_images.npy", images)
    np.save(folder / f"{split}_labels.npy", np.asarray(dataset.targets, dtype=np.int64))


def _write_faces(split: Split, dataset: Any, folder: Path) -> None:
    """Crop and shrink image by image: the whole set would not fit in a small memory."""
    transforms = import_torchvision("transforms")
    centre, shrink = transforms.CenterCrop(CROP), transforms.Resize(SIDE, antialias=True)
    images = np.lib.format.open_memmap(
        folder / f"{split}_images.npy", "w+", np.uint8, (len(dataset), SIDE, SIDE, 3)
    )
    for i in tqdm(range(len(dataset)), desc=f"celeba64 {split}", unit="image"):
        image, _ = dataset[i]
        images[i] = np.asarray(shrink(centre(image.convert("RGB"))))
    images.flush()
    image_ids = [int(Path(name).stem) for name in dataset.filename]
    np.save(folder / f"{split}_image_ids.npy", np.asarray(image_ids, np.int32))

"""From torchvision's data sets to prepared arrays: what happens the first time a set is used."""

import hashlib
import importlib.util
import shutil
import socket
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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


def prepare_folder(info: DatasetInfo, root: Path, *, download: bool) -> None:
    """Write the prepared arrays of a set to `root/<name>` unless they are there.

    Raises:
        DataUnavailableError: neither prepared arrays nor raw files, and no download.
        DataCorruptedError: the raw files are incomplete.
        OSError: the folder cannot be written.
    """
    folder = root / info.name
    if is_prepared(folder):
        return
    if folder.exists() and not folder.is_dir():
        raise DataCorruptedError(f"{folder} is a file where a folder should be: remove it")
    if list(folder.glob("*_images.npy")):
        raise DataUnavailableError(
            f"{folder} holds arrays but no meta.json. If they are complete, "
            f"eae_core.data.seal({info.name!r}, root={str(root)!r}) writes it; "
            "otherwise remove the folder and prepare the set again"
        )
    datasets = _open(info, root / "torchvision") or _obtain(info, root, download=download)
    with filled_at_once(folder) as scratch:
        for split in SPLITS:
            _write_split(info, split, datasets[split], scratch)
        seal_folder(scratch, info.name, f"torchvision.datasets.{info.source}")
        try:
            verify_folder(scratch, info)
        except DataCorruptedError as error:
            raise DataCorruptedError(
                f"the raw files in {root / 'torchvision'} are not those of {info.title}; remove "
                f"them and try again ({error})"
            ) from error


def how_to(info: DatasetInfo, root: Path) -> str:
    """What to put where when a set can be had neither from disk nor from the network."""
    shape = " x ".join(map(str, info.stored_shape))
    raw = "".join(f"\n    {root / 'torchvision' / name}" for name in info.raw_files)
    always = ", ".join(name for name in DATASETS if dataset_info(name).embedded)
    return (
        f"To use it without a network, put in place either the prepared arrays\n"
        f"    {root / info.name}/{{train,test}}_images.npy (uint8, N x {shape}), "
        f"{{train,test}}_labels.npy and meta.json\n"
        f"or the files that torchvision downloads{raw}\n"
        f"(data/README.md tells how). To keep data elsewhere than in {root}, set EAE_DATA. "
        f"These sets need no files and always work: {always}"
    )


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
            f"the raw files of {info.title} in {raw} cannot be read ({error!r}); remove them"
        ) from error


def _obtain(info: DatasetInfo, root: Path, *, download: bool) -> dict[Split, Any]:
    """Unpack the archives that are there, download the others, and open what came out."""
    raw = root / "torchvision"
    archives = _archives(info)
    present = [name for name in archives if (raw / name).exists()]
    for name in present:
        _check_archive(info, raw / name, archives[name])
    missing = {name: md5 for name, md5 in archives.items() if name not in present}
    if missing:
        _check_network(info, root, download=download)
    # In a folder of its own, so that what is interrupted leaves no half-unpacked files behind.
    with scratch_folder(root, f"{info.name}-download") as scratch:
        for name in present:
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(raw / name, scratch / name)
        try:
            if missing and info.source == "CelebA":
                _download_faces(scratch)
            else:
                _download(info, missing, scratch)
                _unpack(scratch, list(archives))
        except Exception as error:  # each host and each library fails in its own way
            raise DataUnavailableError(
                f"{info.title} could not be {'downloaded' if missing else 'unpacked'}: {error}\n"
                + how_to(info, root)
            ) from error
        _move_files(scratch, raw)
    datasets = _open(info, raw)
    if datasets is None:
        raise DataCorruptedError(
            f"the raw files of {info.title} in {raw} are incomplete; remove them and try again"
        )
    return datasets


def _check_archive(info: DatasetInfo, path: Path, md5: str) -> None:
    """Raise DataCorruptedError, naming both checksums, unless a file is what it should be."""
    with path.open("rb") as file:
        found, begins = hashlib.file_digest(file, "md5").hexdigest(), b""
        if found != md5:
            file.seek(0)
            begins = file.read(24)
    if found != md5:
        raise DataCorruptedError(
            f"{path} is not the file of {info.title}: its md5 is {found}, the right one {md5}, and "
            f"it begins with {begins!r}. Remove it, and prepare the set again"
        )


def _unpack(folder: Path, names: list[str]) -> None:
    """Unpack archives where they lie; members that lead elsewhere are refused."""
    extract = import_torchvision("datasets.utils").extract_archive
    before = getattr(tarfile.TarFile, "extraction_filter", None)
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        for name in names:
            if Path(name).suffix in (".gz", ".zip"):
                extract(str(folder / name))
    finally:
        tarfile.TarFile.extraction_filter = before


def _move_files(source: Path, target: Path) -> None:
    for path in [path for path in source.rglob("*") if path.is_file()]:
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


def _archives(info: DatasetInfo) -> dict[str, str]:
    """Path below the raw folder and md5 of each file that torchvision downloads."""
    source = getattr(import_torchvision("datasets"), info.source)
    if info.source == "CelebA":
        return {f"{source.base_folder}/{name}": md5 for _, md5, name in source.file_list}
    if info.source == "CIFAR10":
        return {source.filename: source.tgz_md5}
    return {f"{info.source}/raw/{name}": md5 for name, md5 in source.resources}


def _download(info: DatasetInfo, files: dict[str, str], folder: Path) -> None:
    """Fetch files (path below the folder to md5) from the first address that has them."""
    for name, md5 in files.items():
        problems = []
        for address in _addresses(info):
            whole = address if address.endswith(".gz") else address + Path(name).name
            try:
                _fetch(whole, folder / name)
                _check_archive(info, folder / name, md5)
                break
            except (OSError, DataCorruptedError) as error:
                problems.append(f"{whole}: {error}")
        else:
            raise OSError("; ".join(problems))


def _download_faces(folder: Path) -> None:
    """Download and unpack CelebA, from a drive that only torchvision and gdown can read."""
    with _socket_timeout(STALL_SECONDS):
        import_torchvision("datasets").CelebA(folder, "train", target_type=[], download=True)


def _fetch(address: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        urllib.request.urlopen(address, timeout=STALL_SECONDS) as answer,
        path.open("wb") as file,
        tqdm(desc=path.name, unit="B", unit_scale=True) as bar,
    ):
        while part := answer.read(1 << 20):
            bar.update(file.write(part))
            if file.tell() > LARGEST_DOWNLOAD:
                raise OSError(f"it sends more than {LARGEST_DOWNLOAD:,} bytes, larger than any set")


def _check_network(info: DatasetInfo, root: Path, *, download: bool) -> None:
    """Raise at once, with instructions, where a download cannot work."""
    reason = ""
    if not download:
        reason = "downloading was switched off"
    elif info.source == "CelebA" and importlib.util.find_spec("gdown") is None:
        reason = "downloading it needs the package gdown: pip install gdown"
    else:
        problems = [_probe(address) for address in _addresses(info)]
        if all(problems):
            reason = f"its source cannot be reached: {problems[0]}"
    if reason:
        raise DataUnavailableError(
            f"{info.title} is not in {root / info.name}, and {reason}\n{how_to(info, root)}"
        )


def _addresses(info: DatasetInfo) -> list[str]:
    source = getattr(import_torchvision("datasets"), info.source)
    if info.source == "CelebA":
        return ["https://drive.google.com/"]
    return [source.url] if info.source == "CIFAR10" else list(source.mirrors)


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


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _write_split(info: DatasetInfo, split: Split, dataset: Any, folder: Path) -> None:
    if len(dataset) != info.count(split):
        raise DataCorruptedError(
            f"the raw files of {info.title} hold {len(dataset)} {split} images instead of "
            f"{info.count(split)}; remove them and try again"
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

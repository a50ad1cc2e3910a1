"""What came out, for the first page: samples of four models and some findings, from the records.

The text is written when the book is staged, so its numbers are those of the committed records.
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from PIL import Image

from eae_book.long_runs import distance
from eae_book.records import Record, caption, recorded
from eae_book.sheets import read_recorded_rows
from eae_book.studies.sphere import expected_sphere_estimate
from eae_core.entropy.expectation import expected_gaussian_estimate

FRONT = "models-long"
VARIANTS = {
    "ae": "Plain autoencoder",
    "eae-w0": "Batch norm alone",
    "eae-w1": "EAE: entropy too",
    "eae-pin": "EAE, lengths held",
}
SETS = {
    "mnist": ("MNIST", "classifier"),
    "celeba64": ("faces", "cifar10"),
}
CHAPTER = "12_table_1_rebuilt"  # that shows all of these runs
GAP = 2  # pixels between the images of a strip


def front_files(root: Path) -> dict[str, str | bytes]:
    """Files to put beside the first page: strips of images, and two texts it includes, by name.

    A data set is shown once each variant is recorded on it: the first above the findings, the
    others below.

    Args:
        root: the folder of all records.
    """
    files: dict[str, str | bytes] = {"_answer.md": _answer(root)}
    parts = []
    for dataset, (title, features) in SETS.items():
        found = _runs(dataset, root)
        if len(found) == len(VARIANTS):
            strips = {f"_static/front/{r.run}.png": _strip(r, root) for r in found.values()}
            files.update(strips)
            parts.append(_figure(title, features, dict(zip(strips, found.items(), strict=True))))
    files["_front.md"] = "\n".join([*parts[:1], _findings(root), *parts[1:]])
    return files


def _runs(dataset: str, root: Path) -> dict[str, Record]:
    """The recorded run of each variant on a data set, if its pictures lie beside it."""
    records = recorded(FRONT, root)
    names = {variant: f"{dataset}-{variant}-seed0" for variant in VARIANTS}
    found = {variant: records[name] for variant, name in names.items() if name in records}
    return {
        variant: record for variant, record in found.items() if read_recorded_rows(record, root)
    }


def _strip(record: Record, root: Path) -> bytes:
    """Ten samples side by side: the same ten codes for every model whose codes are as long."""
    images = (read_recorded_rows(record, root)["own 1"] * 255).round().byte()
    count, _, height, width = images.shape
    strip = Image.new("RGBA", (count * (width + GAP) - GAP, height))
    for number, image in enumerate(images.expand(count, 3, height, width)):
        pixels = Image.fromarray(image.movedim(0, -1).contiguous().numpy())
        strip.paste(pixels, (number * (width + GAP), 0))
    buffer = io.BytesIO()
    strip.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _figure(title: str, features: str, strips: dict[str, tuple[str, Record]]) -> str:
    rows = "\n".join(
        f"<p><b>{VARIANTS[variant]}</b> {record.metrics[f'fd_{features}_standard']:.1f}</p>"
        f'<img class="dark-light" src="../{name}" alt="Ten images that the model {variant} drew '
        f'from ten Gaussian codes, trained on {title}.">'
        for name, (variant, record) in strips.items()
    )
    made = " ".join(dict.fromkeys(html.escape(caption(record)) for _, record in strips.values()))
    name = title.lower()
    return f"""```{{raw}} html
<figure class="front" id="fig-front-{name}">
<div class="front-rows">
{rows}
</div>
<figcaption>The same ten random Gaussian codes, decoded by four models trained on {title}; the \
last also holds the lengths of its codes to those of Gaussian vectors. The number \
is the Fréchet distance of many such samples to test images: lower is better. One run of each \
model, beside others in <a href="../notebooks/{CHAPTER}.html">Chapter 12</a>. {made}\
</figcaption>
</figure>
```
"""


def _answer(root: Path) -> str:
    """Does it work? With the numbers of the long runs, once they are recorded."""
    digits, faces, colour = (_distances(name, root) for name in ("mnist", "celeba64", "cifar10"))
    gain = ""
    if digits:
        gain = (
            ": the distance of samples from real ones (Fréchet, lower is better) falls from "
            f"{digits['eae-w0']:.0f} with batch normalisation alone to {_best(digits):.0f}"
        )
    small = f", from {faces['eae-w0']:.1f} to {_best(faces):.1f}" if faces else ""
    none = f" ({colour['eae-w0']:.0f} without it, {_best(colour):.0f} with it)" if colour else ""
    return (
        f"**Does it work?**\nOn digits, yes{gain}.\n"
        f"On faces a little{small}; on CIFAR-10 it hardly matters{none}; and no code here became "
        "quite Gaussian.\n"
    )


def _findings(root: Path) -> str:
    lines = "\n".join(f"{number}. {line}" for number, line in enumerate(findings(root), start=1))
    return f":::{{admonition}} What we found\n:class: tip\n\n{lines}\n:::\n"


def findings(root: Path) -> Iterator[str]:
    """The findings that a practitioner must know, each with its numbers from records."""
    digits, colour = (_distances(name, root) for name in ("mnist", "cifar10"))
    if digits:
        none, low = digits["eae-w0"], _best(digits)
        yield (
            "**The entropy term works on digits.** On MNIST, samples from $\\mathcal{N}(0, I)$ lie "
            f"at a distance of {none:.1f} with batch normalisation alone, and {low:.1f} with the "
            "term at its best: {ref}`Chapter 5 <ch-eae-mnist>`."
        )
        fitted = _distances("mnist", root, "mixture")
        yield (
            "**If you may fit a density afterwards, you do not need it.** With ten Gaussians "
            f"fitted to the codes the samples are better still, {fitted['ae']:.1f} for a plain "
            f"autoencoder and {_best(fitted):.1f} for the best with the term: "
            "{ref}`Chapter 12 <ch-table>`; how to fit one: {ref}`Chapter 11 <ch-ex-post-density>`."
        )
    if {*NEIGHBOURS} <= {*(terms := _contest("mnist", 16, root))}:
        others = {name: v for name, v in terms.items() if name in REGULARIZER_NAMES}
        term = min(others, key=lambda name: others[name])
        yield (
            "**Of today's terms, those that push neighbours apart draw the best digits.** With "
            f"codes of 16 numbers and a short training the distance is {terms['knn']:.1f} for the "
            f"entropy, {terms['pin']:.1f} with lengths held, {terms['koleo']:.1f} for KoLeo, and "
            f"{others[term]:.1f} for the best of the {len(others)} others, "
            f"{REGULARIZER_NAMES[term]}: {{ref}}`Chapter 20 <ch-better-term>`."
        )
    n, d = 100, 16
    gain = expected_sphere_estimate(d, n) - expected_gaussian_estimate(d, n)
    yield (
        f"**The batch term prefers a sphere.** At $n = {n}$, $d = {d}$ the mean estimate for "
        f"points on a sphere is {gain:.2f} nats higher than for a Gaussian: "
        "{ref}`Chapter 6 <ch-batch-rewards>`."
    )
    if fid := _inception(root):
        yield (
            "**A stronger metric sees less.** On faces, Inception's Fréchet distance of samples "
            f"(768 features) is {fid['eae-w0']:.2f} with batch normalisation alone and "
            f"{_best(fid):.2f} with the term, where reconstructions have {fid['rebuilt']:.2f}: "
            "{ref}`Chapter 9 <ch-eae-celeba>`."
        )
    if colour:
        yield (
            "**On small colour images it hardly matters.** On CIFAR-10 the distance is "
            f"{colour['eae-w0']:.1f} with batch normalisation alone and {_best(colour):.1f} at "
            "best with the term, in networks that reconstruct better than principal components: "
            "{ref}`Chapter 8 <ch-eae-cifar10>`."
        )


NEIGHBOURS = ("knn", "pin", "koleo")  # of the contest, terms of nearest neighbours
REGULARIZER_NAMES = {
    "cramer_wold": "Cramér-Wold", "mmd": "MMD", "sigreg": "SIGReg", "energy": "energy distance",
    "sliced_wasserstein": "sliced Wasserstein", "visreg": "VISReg", "wristband": "Wristband",
    "covariance": "covariance", "radial": "the lengths alone",
}  # fmt: skip


def _distances(dataset: str, root: Path, kind: str = "standard") -> dict[str, float]:
    """Distance of samples of each long run on a data set, by its name; empty if one lacks."""
    records = recorded(FRONT, root)
    names = ("ae", "eae-w0", "eae-w1", "eae-w3", "eae-pin")
    runs = [f"{dataset}-{name}-seed0" for name in names]
    if not set(runs) <= set(records):
        return {}
    return {n: distance(records[run], kind, root) for n, run in zip(names, runs, strict=True)}


def _best(distances: dict[str, float]) -> float:
    """The smallest distance of a run with the term."""
    return min(distances[name] for name in ("eae-w1", "eae-w3", "eae-pin"))


def _contest(dataset: str, d: int, root: Path) -> dict[str, float]:
    """Mean distance over seeds of each entry of the contest at n = 100, by name."""
    found: dict[str, list[float]] = {}
    start = f"{dataset}-eae-d{d}-n100-"
    for name, record in recorded("models-contest", root).items():
        if name.startswith(start):
            entry = name.removeprefix(start).rpartition("-seed")[0]
            found.setdefault(entry, []).append(record.metrics["fd_classifier_standard"])
    return {entry: mean(values) for entry, values in found.items()}


def _inception(root: Path) -> dict[str, float]:
    """Inception's distance of N(0, I) samples of faces, and of reconstructions ("rebuilt")."""
    records = recorded(f"models-inception-{FRONT.removeprefix('models-')}", root)
    names = ("eae-w0", "eae-w1", "eae-w3", "eae-pin")
    found = {name: records.get(f"celeba64-{name}-seed0") for name in names}
    if not all(found.values()):
        return {}
    distances = {name: float(r.metrics["fid_768_standard"]) for name, r in found.items() if r}
    plain = found["eae-w0"]
    return distances | {"rebuilt": float(plain.metrics["fid_768_reconstruction"]) if plain else 0.0}

"""What came out, for the first page: samples of four models and five findings, from the records.

The text is written when the book is staged, so its numbers are those of the committed records.
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from PIL import Image

from eae_book.records import Record, caption, recorded
from eae_book.sheets import read_recorded_rows
from eae_book.studies.sphere import expected_sphere_estimate
from eae_core.entropy.expectation import expected_gaussian_estimate

FRONT = "models-contest"
SIZE = "d16-n100"
VARIANTS = {
    "ae": "Plain autoencoder",
    "none": "Batch norm alone",
    "knn": "EAE: entropy too",
    "pin": "EAE, lengths held",
}
SETS = {
    "mnist": ("MNIST", "classifier"),
    "celeba64": ("faces", "cifar10"),
    "cifar10": ("CIFAR-10", "classifier"),
}
CONTEST = "20_a_term_that_prefers_the_gaussian"  # the chapter that the pictures are from
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
            rows = dict(zip(strips, found.items(), strict=True))
            parts.append(_figure(title, features, rows, _within_seeds(dataset, features, root)))
    files["_front.md"] = "\n".join([*parts[:1], _findings(root), *parts[1:]])
    return files


def _runs(dataset: str, root: Path) -> dict[str, Record]:
    """The recorded run of each variant on a data set, if its pictures lie beside it."""
    records = recorded(FRONT, root)
    names = {variant: f"{dataset}-{_run(variant)}-seed0" for variant in VARIANTS}
    found = {variant: records[name] for variant, name in names.items() if name in records}
    return {
        variant: record for variant, record in found.items() if read_recorded_rows(record, root)
    }


def _run(variant: str) -> str:
    return f"ae-{SIZE}" if variant == "ae" else f"eae-{SIZE}-{variant}"


def _within_seeds(dataset: str, features: str, root: Path) -> bool:
    """Whether two seeds of one model differ by more than the last two rows of a figure do."""
    records = recorded(FRONT, root)
    rows: list[list[float]] = [
        [
            record.metrics[f"fd_{features}_standard"]
            for name, record in sorted(records.items())
            if name.startswith(f"{dataset}-{_run(variant)}-seed")
        ]
        for variant in list(VARIANTS)[-2:]
    ]
    (first, *_), (second, *_) = rows
    return abs(first - second) < min(max(values) - min(values) for values in rows)


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


def _figure(
    title: str, features: str, strips: dict[str, tuple[str, Record]], within_seeds: bool
) -> str:
    rows = "\n".join(
        f"<p><b>{VARIANTS[variant]}</b> {record.metrics[f'fd_{features}_standard']:.1f}</p>"
        f'<img class="dark-light" src="../{name}" alt="Ten images that the model {variant} drew '
        f'from ten Gaussian codes, trained on {title}.">'
        for name, (variant, record) in strips.items()
    )
    made = html.escape(caption(next(record for _, record in strips.values())))
    name = title.lower()
    close = " The last two rows differ by less than seeds do." if within_seeds else ""
    return f"""```{{raw}} html
<figure class="front" id="fig-front-{name}">
<div class="front-rows">
{rows}
</div>
<figcaption>The same ten random Gaussian codes, decoded by four models trained on {title}; the \
last also holds the lengths of its codes to those of Gaussian vectors. The number \
is the Fréchet distance of many such samples to test images: lower is better. One seed, the first, \
of the contest in <a href="../notebooks/{CONTEST}.html">Chapter 20</a>; the distances in the box \
are means over seeds of other runs, on images held out from training.{close} {made}\
</figcaption>
</figure>
```
"""


def _answer(root: Path) -> str:
    """Does it work? With the first finding's numbers, once they are recorded."""
    scan = _by_weight("mnist", "classifier", root)
    gain = ""
    if scan:
        low = min(kinds["standard"] for kinds in scan.values())
        gain = (
            ": the distance of samples from real ones (Fréchet, lower is better) falls from "
            f"{scan[0.0]['standard']:.0f} with batch normalisation alone to {low:.0f}"
        )
    return (
        f"**Does it work?**\nOn digits, yes{gain}.\n"
        "On faces two networks that measure it disagree, on CIFAR-10 nothing is decided, and no "
        "code here became quite Gaussian.\n"
    )


def _findings(root: Path) -> str:
    lines = "\n".join(f"{number}. {line}" for number, line in enumerate(findings(root), start=1))
    return f":::{{admonition}} What we found\n:class: tip\n\n{lines}\n:::\n"


def findings(root: Path) -> Iterator[str]:
    """The findings that a practitioner must know, each with its numbers from records."""
    scan, colour = (_by_weight(name, "classifier", root) for name in ("mnist", "cifar10"))
    if scan:
        none = scan[0.0]["standard"]
        best = min(scan, key=lambda weight: scan[weight]["standard"])
        low = scan[best]["standard"]
        yield (
            "**The entropy term works.** On MNIST, samples from $\\mathcal{N}(0, I)$ lie at a "
            f"distance of {none:.1f} with batch normalisation alone, and {low:.1f} with the term "
            f"at its best weight ({best:g}): {{ref}}`Chapter 5 <ch-eae-mnist>`."
        )
        fitted = min(scan, key=lambda weight: scan[weight]["mixture"])
        yield (
            "**If you may fit a density afterwards, you may not need it.** With ten Gaussians "
            f"fitted to the codes the samples are better still, {scan[fitted]['mixture']:.1f} "
            f"against {low:.1f}, and then the best weight is {fitted:g}: "
            "{ref}`Chapter 5 <ch-eae-mnist>`; how to fit one: "
            "{ref}`Chapter 11 <ch-ex-post-density>`."
        )
    n, d = 100, 16
    gain = expected_sphere_estimate(d, n) - expected_gaussian_estimate(d, n)
    yield (
        f"**The batch term prefers a sphere.** At $n = {n}$, $d = {d}$ the mean estimate for "
        f"points on a sphere is {gain:.2f} nats higher than for a Gaussian: "
        "{ref}`Chapter 6 <ch-batch-rewards>`."
    )
    if kid := _inception(root):
        yield (
            "**A stronger metric says less.** On faces, Inception's kernel distance of samples "
            f"(times 1000, mean of {len(kid['w0'])} seeds) is {mean(kid['w0']):.1f} with batch "
            f"normalisation alone and {mean(kid['w3']):.1f} at weight 3: "
            "{ref}`Chapter 9 <faces-inception>`."
        )
    if colour:
        without, with_term = colour[0.0]["standard"], colour[1.0]["standard"]
        yield (
            "**On small colour images nothing is decided.** On CIFAR-10 the distance is "
            f"{without:.1f} without and {with_term:.1f} with the term, in runs too short to "
            "reconstruct as well as principal components do: {ref}`Chapter 8 <ch-eae-cifar10>`."
        )


def _by_weight(dataset: str, features: str, root: Path) -> dict[float, dict[str, float]]:
    """Mean distances over seeds by entropy weight, of the scan with the nearest neighbour."""
    found: dict[float, dict[str, list[float]]] = {}
    for record in recorded("models-scan", root).values():
        options = record.parameters["options"]
        if record.parameters["dataset"] == dataset and options["k"] == 1:
            kinds = found.setdefault(options["entropy_weight"], {"standard": [], "mixture": []})
            for kind, values in kinds.items():
                values.append(record.metrics[f"fd_{features}_{kind}"])
    return {w: {kind: mean(v) for kind, v in kinds.items()} for w, kinds in found.items()}


def _inception(root: Path) -> dict[str, list[float]]:
    """Inception's kernel distance of N(0, I) samples of faces, times 1000, for each seed."""
    records = recorded("models-inception", root)
    found = {
        variant: [
            1000 * record.metrics["kid_768_standard"]
            for name, record in records.items()
            if name.startswith(f"celeba64-eae-{variant}-seed")
        ]
        for variant in ("w0", "w3")
    }
    return found if all(found.values()) else {}

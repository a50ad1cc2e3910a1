"""The page for a reader's own project: its snippets run, one after the other."""

import re
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from eae_core.torchvision_compat import import_torchvision

PAGE = Path(__file__).resolve().parents[1] / "book" / "own_project.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
OTHERS = ("lightning", "accelerate")  # of the test extra alone: large, and not the book's own


def that_use(package):
    return [text for text in SNIPPETS if re.search(rf"^(import|from) {package}\b", text, re.M)]


def run(snippets):
    """The names that the snippets leave."""
    torch.manual_seed(0)
    names = {}
    try:
        for number, snippet in enumerate(snippets, start=1):
            exec(compile(snippet, f"snippet {number} of {PAGE.name}", "exec"), names)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return names


@pytest.mark.slow  # one of them compiles
@pytest.mark.filterwarnings("default")  # of packages that the page shows beside ours
def test_the_snippets_of_the_page_run(capsys):
    apart = [text for package in OTHERS for text in that_use(package)]
    own = [text for text in SNIPPETS if text not in apart]
    assert (len(own), len(apart)) >= (13, 2)
    names = run(own)
    assert names["codes"].shape == (500, 8)
    assert torch.isfinite(names["value"])
    assert names["samples"].shape == (10, 1, 8, 8)
    cosine = float(re.search(r"cosine between the two: (\S+)", capsys.readouterr().out)[1])
    assert cosine < 0.95  # else the page's warning would be for nothing


def test_a_sum_is_the_number_of_images_and_pixels_times_the_mean():
    names = run(SNIPPETS[:3])
    assert names["summed"].item() == pytest.approx(100 * 64 * names["loss"].item(), rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("package", OTHERS)
def test_trainers_of_others_run(package):
    import_torchvision()  # which both import
    pytest.importorskip(package)
    (snippet,) = that_use(package)
    (loader,) = that_use("torch.utils.data")
    names = run([SNIPPETS[0], loader, snippet])
    if package == "lightning":
        assert names["trainer"].global_step == 2
    else:
        assert len(names["batches"]) == 2
        assert int(names["standardise"].num_batches_tracked) == 1 + 2

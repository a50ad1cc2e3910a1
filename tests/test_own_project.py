"""The page for a reader's own project: its snippets run, one after the other."""

import re
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

PAGE = Path(__file__).resolve().parents[1] / "book" / "own_project.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.filterwarnings("default")  # of packages that the page shows beside ours
def test_the_snippets_of_the_page_run(capsys):
    assert len(SNIPPETS) >= 12
    torch.manual_seed(0)
    names = {}
    try:
        for number, snippet in enumerate(SNIPPETS, start=1):
            exec(compile(snippet, f"snippet {number} of {PAGE.name}", "exec"), names)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    assert names["codes"].shape == (500, 8)
    assert torch.isfinite(names["value"])
    assert names["samples"].shape == (10, 1, 8, 8)
    cosine = float(re.search(r"cosine between the two: (\S+)", capsys.readouterr().out)[1])
    assert cosine < 0.95  # else the page's warning would be for nothing

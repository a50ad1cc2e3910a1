"""What README and the pages promise can be typed in as it stands."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import yaml

from eae_book.runner.chapter import plan
from eae_book.runner.manifest import load_manifest
from eae_book.runner.parameters import parse_assignments
from eae_book.runner.project import find_project
from eae_core.cli.parser import PROGRAM, build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {
    path.name: path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *ROOT.glob("book/*.md")]
}


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


COMMANDS = sorted(
    {
        (name, line.split(PROGRAM, 1)[1])
        for name, text in TEXTS.items()
        for block in blocks(text, "bash")
        for line in block.replace("\\\n", " ").splitlines()
        if PROGRAM in line
    }
)


@pytest.mark.parametrize(("where", "command"), COMMANDS)
def test_a_command_would_be_accepted(where, command):
    arguments = build_parser().parse_args(shlex.split(command, comments=True))
    if arguments.call.endswith(":run"):
        manifest = load_manifest(find_project(ROOT).manifest)
        chapter = manifest.find(arguments.chapter)
        changes = parse_assignments(arguments.parameter)
        plan(manifest, chapter, profile=arguments.profile, assignments=changes)


def test_both_texts_for_readers_show_three_commands_and_more():
    shown = [where for where, _ in COMMANDS]
    assert shown.count("README.md") >= 3
    assert shown.count("preface.md") == 3


def test_readme_shows_the_commands_behind_each_verb():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = re.findall(r"^\t[@-]?\$\(RUN\) (.*)$", makefile, re.MULTILINE)
    assert len(recipes) >= 8
    for recipe in recipes:
        assert f"-m {recipe.replace('--quiet ', '')}" in README
    verbs = re.search(r"\.PHONY: (.*)", makefile)[1].split()
    for verb in verbs:
        assert f"`make {verb}`" in README or f"make {verb} " in README, verb


@pytest.mark.parametrize("text", ["README.md", "preface.md"])
def test_the_lines_for_your_own_model_run(text):
    (code,) = blocks(TEXTS[text], "python")
    encoder, decoder = torch.nn.Linear(6, 2), torch.nn.Linear(2, 6)
    parts = {"encoder": encoder, "decoder": decoder, "latent_dim": 2, "entropy_weight": 0.5}
    parts["x"] = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    exec(code, parts)
    gradient = encoder.weight.grad
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    assert len([line for line in code.splitlines() if line]) == 6


def test_the_workflow_uses_official_actions_and_the_commands_of_readme():
    workflow = yaml.safe_load((ROOT / ".github/workflows/publish.yml").read_text("utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    uses = [step["uses"] for step in steps if "uses" in step]
    assert all(name.startswith("actions/") for name in uses)
    commands = [step["run"] for step in steps if "run" in step]
    assert commands == ["make test", "make html"]
    assert all(f"`{command}`" in README for command in commands)
    published = next(step["with"]["path"] for step in steps if "upload-pages" in str(step))
    assert published == find_project(ROOT).html.relative_to(ROOT).as_posix()


def test_no_text_names_a_machine_or_an_invented_address():
    allowed = r"proceedings\.mlr\.press|kexue\.fm|keepachangelog\.com|semver\.org|myst-parser\."
    for name, text in TEXTS.items():
        for address in re.findall(r"https?://([^\s)>\"]+)", text):
            assert re.match(allowed, address), f"{name}: {address}"
        assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", text), name

"""What README and the pages promise can be typed in as it stands."""

import re
import shlex
from pathlib import Path

import nbformat
import pytest
import torch
import yaml

from eae_book.cli import parser as book
from eae_book.runner.chapter import plan
from eae_book.runner.manifest import load_manifest
from eae_book.runner.parameters import parse_assignments
from eae_book.runner.project import find_project
from eae_core.cli import parser as core

PROGRAMS = {module.PROGRAM: module.build_parser for module in (book, core)}
ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {
    path.name: path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *ROOT.glob("book/*.md")]
}
TEXTS["data"] = (ROOT / "data" / "README.md").read_text("utf-8")


def chapter_text(path):
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


CHAPTERS = {path.stem: chapter_text(path) for path in sorted(ROOT.glob("notebooks/*.ipynb"))}


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


COMMANDS = sorted(
    {
        (name, found[1], found[2])
        for name, text in {**TEXTS, **CHAPTERS}.items()
        for block in blocks(text, "bash")
        for line in block.replace("\\\n", " ").splitlines()
        if (found := re.match(rf"(?:\.venv/bin/)?({'|'.join(PROGRAMS)}) (.*)", line))
    }
)


@pytest.mark.parametrize(("where", "program", "command"), COMMANDS)
def test_a_command_would_be_accepted(where, program, command):
    arguments = PROGRAMS[program]().parse_args(shlex.split(command, comments=True))
    if arguments.call.endswith(":run"):
        manifest = load_manifest(find_project(ROOT).manifest)
        chapter = manifest.find(arguments.chapter)
        changes = parse_assignments(arguments.parameter)
        plan(manifest, chapter, profile=arguments.profile, assignments=changes)


def test_both_texts_for_readers_show_three_commands_and_more():
    shown = [where for where, _, _ in COMMANDS]
    assert shown.count("README.md") >= 7
    assert shown.count("preface.md") == 3


def test_no_text_calls_a_verb_where_it_is_not():
    """Also outside blocks: `eae` has no chapters, and the book's command trains nothing."""
    verbs = {program: set(re.findall(r"^    ([a-z]+) ", build().format_help(), re.MULTILINE))
             for program, build in PROGRAMS.items()}  # fmt: skip
    verbs["python -m eae_core"] = verbs[core.PROGRAM]
    for name, text in {**TEXTS, **CHAPTERS}.items():
        if name != "CHANGELOG.md":
            for program, verb in re.findall(r"[`/](eae|python -m eae_\w+) ([a-z]+)", text):
                assert verb in verbs[program], f"{name}: {program} {verb}"
            for script in re.findall(r"(?:workflow|benchmarks|examples)/\w+\.\w+", text):
                assert (ROOT / script).is_file(), f"{name}: {script}"


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
    code = code.partition("# The six lines\n")[2] or code  # before them, what the reader has
    encoder, decoder = torch.nn.Linear(6, 2), torch.nn.Linear(2, 6)
    parts = {"encoder": encoder, "decoder": decoder, "latent_dim": 2, "entropy_weight": 0.5}
    parts["x"] = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    exec(code, parts)
    gradient = encoder.weight.grad
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    assert len([line for line in code.splitlines() if line]) == 6


WORKFLOWS = {path.stem: path.read_text("utf-8") for path in ROOT.glob(".github/workflows/*.yml")}


def steps(name):
    jobs = yaml.safe_load(WORKFLOWS[name])["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_uses_official_actions_pinned_by_commit(name):
    uses = re.findall(r"uses: (.*)", WORKFLOWS[name])
    assert len(uses) == sum("uses" in step for step in steps(name)) >= 2
    for action in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    commands = [step["run"] for step in steps(name) if step.get("run", "").startswith("make")]
    assert commands
    assert all(f"`{command}`" in README for command in commands)


def test_what_is_tested_and_published_is_what_readme_says():
    commands = [step["run"] for step in steps("publish") if "run" in step]
    assert commands == ["make test", "make html"]
    assert "make regress" in [step.get("run") for step in steps("nightly")]
    published = next(s["with"]["path"] for s in steps("publish") if "upload-pages" in str(s))
    assert published == find_project(ROOT).html.relative_to(ROOT).as_posix()
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_no_text_names_a_machine_or_an_invented_address():
    allowed = r"proceedings\.mlr\.press|kexue\.fm|keepachangelog\.com|semver\.org|myst-parser\."
    for name, text in TEXTS.items():
        for address in re.findall(r"https?://([^\s)>\"]+)", text):
            assert re.match(allowed, address), f"{name}: {address}"
        assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", text), name

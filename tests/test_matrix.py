"""The run matrix: which cells there are, what each runs, and what is not run again."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matrix
import pytest
import yaml

from eae_book.cli import main
from eae_book.cli.parser import build_parser
from eae_book.records import load_records, read_record, write_record
from eae_core.data import DATASETS
from eae_core.models import AE, MODELS, networks, published_options

ROOT = Path(__file__).resolve().parents[1]
PROFILES = list(yaml.safe_load(matrix.MATRIX.read_text(encoding="utf-8"))["profiles"])


def snakemake(*words, output, records, python=sys.executable):
    command = [python, "-m", "snakemake", "-s", "workflow/Snakefile", "--cores", "2"]
    command += ["--nolock", *words, "--config", "profile=tiny"]
    command += [f"output={output}", f"records={records}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stderr + done.stdout


@pytest.mark.parametrize("profile", PROFILES)
def test_every_cell_is_a_command_that_train_understands(profile):
    cells = matrix.load_cells(profile)
    assert len({cell.run for cell in cells}) == len({cell.key for cell in cells}) == len(cells)
    for cell in cells:
        assert cell.model in MODELS
        assert cell.dataset in DATASETS
        words = build_parser().parse_args(cell.command("somewhere"))
        assert words.score
        assert words.file_as == f"models-{profile}/{cell.run}"


def test_all_models_stand_in_the_table_at_every_seed():
    for profile in ("cpu", "paper"):
        cells = matrix.load_cells(profile)
        for seed in (0, 1, 2):
            for dataset in {cell.dataset for cell in cells}:
                found = [c.model for c in cells if c.seed == seed and c.dataset == dataset]
                assert sorted(found) == sorted(MODELS)


def test_the_more_special_wins_and_factors_multiply(tmp_path):
    path = tmp_path / "matrix.yml"
    path.write_text(
        "models: [ae, vae]\n"
        "profiles:\n"
        "  p:\n"
        "    seeds: [3]\n"
        "    defaults: {epochs: 5, width: 8, limit: 10, beta: 0.072}\n"
        "    datasets: {mnist: {width: 16}, cifar10: {}}\n"
        "    by_model: {vae: {epochs: x2, limit: 20, beta: x0.3}}\n"
    )
    words = {(c.dataset, c.model): dict(c.words) for c in matrix.load_cells("p", path=path)}
    assert words["mnist", "ae"] == {"epochs": 5, "width": 16, "limit": 10, "beta": 0.072}
    special = {"epochs": 10, "width": 8, "limit": 20, "beta": 0.0216}
    assert words["cifar10", "vae"] == special
    assert isinstance(words["cifar10", "vae"]["epochs"], int)


def test_an_option_that_a_variant_turns_off_is_named_in_the_command(tmp_path):
    path = tmp_path / "matrix.yml"
    path.write_text(
        "models: [eae]\n"
        "profiles:\n"
        "  p:\n"
        "    seeds: [0]\n"
        "    defaults: {channels-last: true}\n"
        "    datasets: {celeba64: {spectral-norm: true}}\n"
        "    variants: {held: {}, free: {spectral-norm: false, channels-last: false}}\n"
    )
    cells = matrix.load_cells("p", path=path)
    held, free = (build_parser().parse_args(cell.command("here")) for cell in cells)
    assert (held.option_spectral_norm, held.channels_last) == (True, True)
    assert (free.option_spectral_norm, free.channels_last) == (False, False)


def test_a_models_own_variants_stand_for_those_of_the_profile(tmp_path):
    path = tmp_path / "matrix.yml"
    path.write_text(
        "models: [ae, eae]\n"
        "profiles:\n"
        "  p:\n"
        "    seeds: [0]\n"
        "    defaults: {epochs: 5}\n"
        "    datasets: {mnist: {}}\n"
        "    by_model: {eae: {k: 2, variants: {w0: {entropy-weight: 0}, w1: {}}}}\n"
    )
    words = {cell.run: dict(cell.words) for cell in matrix.load_cells("p", path=path)}
    assert words == {
        "mnist-ae-seed0": {"epochs": 5},
        "mnist-eae-w0-seed0": {"epochs": 5, "k": 2, "entropy-weight": 0},
        "mnist-eae-w1-seed0": {"epochs": 5, "k": 2},
    }


def test_the_scans_of_three_models_span_the_same_factors_around_published_weights():
    name = {"eae": "entropy_weight", "vae": "beta", "wae": "mmd_weight"}
    for model, profile in {"eae": "scan", "vae": "scan-vae", "wae": "scan-wae"}.items():
        for cell in matrix.load_cells(profile, seeds=[0]):
            words = {key.replace("-", "_"): value for key, value in cell.words}
            published = getattr(published_options(model, cell.dataset), name[model])
            factor = float(cell.variant.split("-")[0].removeprefix("w"))
            assert words[name[model]] == pytest.approx(factor * published), cell.run


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"profile": "cpi"}, "no profile 'cpi'; did you mean 'cpu'"),
        ({"profile": "cpu", "models": ["vea"]}, "no model 'vea'; did you mean 'vae'"),
        ({"profile": "cpu", "datasets": ["cifar"]}, "no data set 'cifar'; did you mean 'cifar10'"),
    ],
)
def test_an_unknown_name_is_refused(wanted, message):
    with pytest.raises(ValueError, match=message):
        matrix.load_cells(**wanted)


@pytest.mark.slow
def test_a_dry_run_names_the_cells_and_runs_none_and_quotes_places_with_spaces(tmp_path):
    (tmp_path / "a b").symlink_to(sys.prefix)
    python = tmp_path / "a b" / Path(sys.executable).relative_to(sys.prefix)
    places = {"output": tmp_path / "two runs", "records": tmp_path / "records", "python": python}
    said = snakemake("--dry-run", "--printshellcmds", **places)
    commands = [line.split(": ", 1)[1] for line in said.splitlines() if "export OMP_NUM" in line]
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command)
        assert words[words.index("-m") - 1] == str(python)
        folder = Path(words[words.index("--output") + 1])
        assert folder.parents[1] == tmp_path / "two runs"
        assert words[words.index("-e") + 1] == str(folder / "model.safetensors")
    assert "2 cells, 2 without a valid record\n  digits-ae-seed0: not recorded\n" in said
    assert not (tmp_path / "records").exists()


@pytest.mark.slow
def test_a_tiny_matrix_runs_and_only_what_changed_is_run_again(tmp_path, monkeypatch, capsys):
    where = {"output": tmp_path / "runs", "records": tmp_path / "records"}
    snakemake(**where)
    records = load_records("models-tiny", where["records"])
    assert {record.parameters["model"] for record in records} == {"ae", "wae"}
    for record in records:
        assert record.metrics["fd_classifier_mixture"] >= 0
        assert (where["records"] / "models-tiny" / f"{record.run}.png").exists()
    cells = matrix.load_cells("tiny")
    ae, wae = cells

    def reasons(cells=cells):
        return matrix.pending(cells, where["records"])

    assert reasons() == {}
    assert matrix.main(["tiny", "--records", str(where["records"])]) == 0
    assert capsys.readouterr().out == "2 cells, 0 without a valid record\n"

    longer = replace(ae, words=tuple((n, 2 if n == "epochs" else v) for n, v in ae.words))
    assert reasons([longer, wae]) == {longer: ["epochs is 1, asked is 2"]}
    with monkeypatch.context() as patch:
        patch.setattr(AE, "revision", 2)
        assert reasons() == {ae: ["model ae has revision 2, the record was made with 1"]}
        patch.setattr(networks, "REVISION", 2)
        assert reasons().keys() == {ae, wae}
    (record,) = (record for record in records if record.run == wae.run)
    less = {part: made for part, made in record.revisions.items() if part != "codes"}
    write_record(replace(record, revisions=less), where["records"])
    assert reasons() == {wae: ["the record does not say its revision of codes"]}
    (where["records"] / "models-tiny" / f"{wae.run}.json").unlink()
    assert reasons() == {wae: ["not recorded"]}


def test_options_that_came_later_do_not_make_a_record_stale(tmp_path):
    (cell,) = matrix.load_cells("scan", datasets=["mnist"], seeds=[0])[3:4]
    record = next(r for r in load_records(cell.experiment) if r.run == cell.run)
    options = {"entropy_weight": record.parameters["options"]["entropy_weight"], "k": 1}
    old = replace(record, parameters={**record.parameters, "options": options})
    write_record(old, tmp_path)
    assert matrix.pending([cell], tmp_path) == {}
    options["k"] = 2
    write_record(old, tmp_path)
    assert len(matrix.pending([cell], tmp_path)[cell]) == 1


def test_a_cell_can_be_run_by_hand_and_resumed(tmp_path, capsys):
    (cell,) = matrix.load_cells("tiny", models=["ae"])
    words = cell.command(str(tmp_path / "run"), str(tmp_path / "records"))
    assert main([*words, "--no-progress"]) == 0
    path = tmp_path / "records" / "models-tiny" / f"{cell.run}.json"
    first = read_record(path)
    path.unlink()
    assert main([*words, "--no-progress", "--resume"]) == 0  # trained already: scored again
    assert read_record(path).metrics == pytest.approx(first.metrics)
    assert "FD-classifier of 60 samples" in capsys.readouterr().out

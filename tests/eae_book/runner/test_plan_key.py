"""An earlier result is used again only while what the chapter reads is the same."""

import pytest
from tiny_checkout import code, entry, planned, write_manifest, write_notebook

from eae_book.render.book import plan_key
from eae_book.runner.project import Project


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A chapter that reads records of an experiment and a data set."""
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "cache"))
    write_manifest(tmp_path, entry(needs=["mnist"], inputs=["eae-mnist"]))
    write_notebook(tmp_path, "01_first", code("print(epochs)"))
    return Project(tmp_path)


def test_records_and_data_sets_count_and_nothing_else(reader, tmp_path):
    def key():
        return plan_key(reader, planned(reader))

    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return key()

    records, cache = reader.results / "eae-mnist", tmp_path / "cache" / "mnist"
    keys = [
        key(),
        write(records / "a.json", "1"),
        write(records / "a.json", "2"),
        write(records / "a.png", "1"),
        write(cache / "meta.json", "1"),
        write(cache / "meta.json", "2"),
    ]
    assert len(set(keys)) == len(keys)
    # What a first look at the data leaves behind must not make the second run start anew.
    write(cache / ".verified.json", "1")
    write(reader.results / "other" / "a.json", "1")
    assert write(reader.runs / "01-cpu-x" / "record.json", "1") == keys[-1]

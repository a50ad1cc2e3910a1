"""Which code made a result: what changes the hash, and what is found out about the checkout."""

import subprocess

import pytest

from eae_book import provenance
from eae_book.provenance import Provenance, code_hash, git_commit


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_bytes(b"x = 1\n")
    (folder / "sub" / "scores.csv").write_bytes(b"1,2\n")
    return folder


def test_line_ends_and_compiled_files_do_not_count(package):
    before = code_hash(package)
    (package / "a.py").write_bytes(b"x = 1\r\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_bytes(b"\0")
    assert code_hash(package) == before


@pytest.mark.parametrize("name", ["a.py", "sub/scores.csv", "new.txt"])
def test_every_file_counts_also_data(package, name):
    before = code_hash(package)
    (package / name).write_text("3\n")
    assert code_hash(package) != before


def test_names_and_further_packages_count(package):
    hashes = {code_hash(package), code_hash(package, package / "sub")}
    (package / "a.py").rename(package / "b.py")
    hashes.add(code_hash(package))
    assert len(hashes) == 3


def test_the_commit_says_whether_files_were_changed(package, monkeypatch):
    monkeypatch.setattr(provenance, "BOOK", package)
    assert git_commit() == ""  # no checkout

    def git(*words):
        named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", package.parent, *named, *words], check=True)

    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        git(*words)
    clean = git_commit()
    assert len(clean) == 12
    (package / "a.py").write_text("x = 2\n")
    assert git_commit() == f"{clean}-dirty"


def test_it_is_taken_once_and_stays(package, monkeypatch):
    monkeypatch.setattr(provenance, "BOOK", package)
    start = Provenance.now()
    (package / "a.py").write_text("edited while the run goes on\n")
    assert start.code_hash != code_hash()
    assert {"python", "torch", "numpy"} <= start.versions.keys()

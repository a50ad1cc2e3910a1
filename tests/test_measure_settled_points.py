"""The script that records where free points end: what it writes and skips."""

from eae_book.records import load_records, stale

WORDS = ["--points", "20", "--dims", "3", "--steps", "5", "--seeds", "0", "1"]


def test_one_record_a_size_that_is_then_skipped(script, tmp_path, capsys):
    words = [*WORDS, "--records", str(tmp_path)]
    assert script.main(words) == 0
    (record,) = load_records("settled-points", tmp_path)
    assert (record.run, record.seeds) == ("n20-d3", [0, 1])
    assert stale(record) == []
    assert {"Gaussian", "sigreg", "covariance"} <= record.metrics.keys()
    assert all(len(values) == 2 for values in record.metrics["sigreg"].values())
    capsys.readouterr()
    assert script.main(words) == 0
    assert "1 of them recorded already" in capsys.readouterr().out

"""The second half of the chapters, at quick size."""

from quick_chapters import HALF, MANIFEST, MARKS, each, runs_quickly_and_keeps_its_promises

pytestmark = MARKS


@each(MANIFEST.chapters[HALF:])
def test_a_chapter_runs_quickly_and_keeps_its_promises(chapter, tmp_path, monkeypatch):
    runs_quickly_and_keeps_its_promises(chapter, tmp_path, monkeypatch)

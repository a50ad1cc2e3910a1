"""Give records that were made before there were revisions the revision 1 of all that decides them.

Only the two fields that such records lack are added; everything else stays byte for byte. Records
that carry revisions are left alone.

Example:
    python workflow/give_revisions.py
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from parts import parts_of

from eae_book.records import results_root
from eae_core.files import replacing
from eae_core.records import read_record, record_text


def main(words: list[str] | None = None) -> int:
    """Rewrite the records below a folder, ``data/results`` by default; the status of the script."""
    words = sys.argv[1:] if words is None else words
    root = Path(words[0]) if words else results_root()
    given = 0
    for path in sorted(root.glob("*/*.json")):
        if json.loads(path.read_text(encoding="utf-8"))["schema"] != 1:
            continue
        record = read_record(path)
        parts = parts_of(record.experiment, record.parameters)
        with replacing(path) as temporary:
            text = record_text(replace(record, revisions=dict.fromkeys(parts, 1)))
            temporary.write_text(text, encoding="utf-8")
        given += 1
    print(f"{given} records have revisions now")
    return 0


if __name__ == "__main__":
    sys.exit(main())

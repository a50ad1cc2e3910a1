"""Give records that were made before a part had a revision the revision 1 of that part.

That is what its numbers were made with: a record that is made today says all of them. Only the
revisions, and the fields of today's schema, are added; everything else stays byte for byte.

Example:
    python workflow/give_revisions.py --dry-run
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from parts import parts_of
from recording import add_places, run_script, script_parser

from eae_book.records import read_record, record_text, results_root
from eae_core.files import replacing


def main(words: list[str] | None = None) -> int:
    """Rewrite the records that lack a revision; the status of the script."""
    parser = script_parser("give_revisions", __doc__)
    parser.add_argument("--dry-run", action="store_true", help="only say what there is to do")
    add_places(parser)
    arguments = parser.parse_args(words)
    return run_script("give_revisions", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """Go through all records."""
    given = 0
    for path in sorted(Path(arguments.records or results_root()).glob("*/*.json")):
        record = read_record(path)
        first = dict.fromkeys(parts_of(record.experiment, record.parameters), 1)
        text = record_text(replace(record, revisions=first | record.revisions))
        if text == path.read_text(encoding="utf-8"):
            continue
        given += 1
        if not arguments.dry_run:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    print(f"{given} records {'lack' if arguments.dry_run else 'were given'} revisions")
    return 0


if __name__ == "__main__":
    sys.exit(main())

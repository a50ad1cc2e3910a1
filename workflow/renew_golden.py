"""Renew the golden numbers of the parts whose revision has gone up, and of no others.

Golden numbers (tests/golden/golden.json) say what each part that decides a number gives for fixed
input. Where numbers have moved under the same revision nothing at all is written: raise the
revision beside the code with a line of history, and run this again. Where it is the measure that
was changed, and not the part, remove the entry from the file first.

Example:
    python workflow/renew_golden.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from recording import run_script, script_parser

TESTS = Path(__file__).resolve().parents[1] / "tests" / "golden"


def main(words: list[str] | None = None) -> int:
    """Measure everything and keep what may be kept; the status of the script."""
    script_parser("renew_golden", __doc__).parse_args(words)
    sys.path.insert(0, str(TESTS))
    return run_script("renew_golden", renew)


def renew() -> int:
    """Measure everything and keep what may be kept."""
    import golden
    import golden_data  # noqa: F401 (each registers its measures)
    import golden_models  # noqa: F401
    import golden_runs  # noqa: F401
    import golden_scores  # noqa: F401
    import golden_terms  # noqa: F401

    from eae_core.data import DataUnavailableError

    old, new, refused = golden.read_kept(), {}, []
    for name, part in golden.GOLDENS.items():
        kept = old.get(name)
        try:
            found = part.measure()
        except DataUnavailableError as error:
            print(f"{name}: left as it was, {str(error).splitlines()[0]}")
            new |= {name: kept} if kept else {}
            continue
        if kept and kept["revisions"] == part.revisions:
            shared = {key: kept["numbers"][key] for key in kept["numbers"].keys() & found.keys()}
            moved = golden.differences(shared, {key: found[key] for key in shared}, part.tolerance)
            if moved:
                refused.append(golden.complaint(part, kept, found))
            found = {key: shared.get(key, value) for key, value in found.items()}
        if kept and any(today < kept["revisions"].get(p, 0) for p, today in part.revisions.items()):
            refused.append(f"{name} has gone back from {kept['revisions']} to {part.revisions}")
        new[name] = {"revisions": part.revisions, "numbers": golden.rounded(found)}
    if refused:
        raise ValueError("nothing is written.\n" + "\n".join(refused))
    golden.write_kept(new)
    changed = [name for name in new if new[name] != old.get(name)]
    print(f"{len(new)} parts, renewed: {', '.join(changed) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

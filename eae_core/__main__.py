"""`python -m eae_core`: the verbs of the command line."""

import sys

from eae_core.cli import main

if __name__ == "__main__":
    sys.exit(main())

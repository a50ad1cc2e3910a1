"""`python -m eae_book`."""

import sys

from eae_book.cli import main

if __name__ == "__main__":
    sys.exit(main())

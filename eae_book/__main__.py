"""`python -m eae_book`."""

import sys

if __name__ == "__main__":
    try:
        from eae_book.cli import main

        status = main()
    except KeyboardInterrupt:  # before or after the command takes care of it
        print("stopped", file=sys.stderr)
        status = 130
    sys.exit(status)

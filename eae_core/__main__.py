"""`python -m eae_core`: the verbs of the command line."""

import sys

if __name__ == "__main__":
    try:
        from eae_core.cli import interrupt_on_termination, main

        interrupt_on_termination()
        status = main()
    except KeyboardInterrupt:  # before or after the command takes care of it
        print("stopped", file=sys.stderr)
        status = 130
    sys.exit(status)

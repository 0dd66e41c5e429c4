"""`python -m catvton`."""

import sys

from catvton.cli import main

if __name__ == "__main__":
    sys.exit(main())

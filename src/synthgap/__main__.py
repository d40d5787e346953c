"""Let `python -m synthgap` be the console script."""

import sys

from synthgap.cli import main

if __name__ == "__main__":
    sys.exit(main())

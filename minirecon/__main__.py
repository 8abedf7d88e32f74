r"""`python -m minirecon VERB`, the same as `minirecon VERB`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

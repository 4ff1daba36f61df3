"""`python -m pybernetes`."""

import sys

from pybernetes.cli.main import main

sys.exit(main())

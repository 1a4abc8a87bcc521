"""``python -m mobility.cli``, the same as ``mobility``."""

from mobility.cli.main import main

main()

"""Python imports this at its start wherever this folder is on PYTHONPATH: see uninitialised.py."""

import uninitialised

uninitialised.start()

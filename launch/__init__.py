"""The commands: `catpose NAME`, or `python -m launch.NAME` in a clone."""

"""The configs that come with catpose: `--config=NAME`, or `catpose.configs.NAME` in Python."""

"""Lists what can start a network: networks in the package, ImageNet weights and where to get them.

catpose weights
"""

from catpose.launch import command

OPTIONS = command.Options()


def main() -> None:
    """Prints each with its backbone, what to set in `config.model`, its input and its license."""
    from catpose.experiment import workdir
    from catpose.models import weight_sources
    from catpose.visualize import text_tables

    rows = []
    for name in workdir.shipped():
        config = workdir.read_config(workdir.find(name))
        own = f"normalization={config.model.normalization} pretrained={name}"
        rows.append([config.model.trunk, own, str(config.data.resolution), "Apache-2.0", "here"])
    rows += [[*map(str, source)] for source in weight_sources.sources()]
    print(text_tables.plain(["trunk", "config.model", "pixels", "license", "get it"], rows, 5))


if __name__ == "__main__":
    command.run(main, OPTIONS)

"""Lists what can start a network: networks in the package, ImageNet weights and where to get them.

catpose weights
"""

from catpose.launch import command

OPTIONS = command.Options(command.PLUGINS)


def main() -> None:
    """Prints each with its backbone, what to set in `config.model`, its input and its license."""
    from catpose.experiment import initial_weights
    from catpose.models import weight_sources

    for source in [*initial_weights.shipped_sources(), *weight_sources.sources()]:
        print(f"{source.trunk}, images of {source.resolution} pixels; {source.license}")
        print(f"  get  {source.get}\n  set  trunk={source.trunk} {source.settings}")
    print(
        "These are set as --config.model.KEY=VALUE; --config=quickstart begins with mini, "
        "--config=own with photo."
    )


if __name__ == "__main__":
    command.run(main, OPTIONS)

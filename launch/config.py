"""Lists the keys of a config, with their values.

catpose config [NAME|FILE] [--grep=WORD]
"""

from catpose.launch import command

OPTIONS = command.Options()
GREP = OPTIONS.string("grep", "", "only lines that contain this")


def main(name: str = "base") -> None:
    """Prints a line for each key."""
    from catpose.experiment import config_files

    config = config_files.load(name)
    for key, value in command.keys(config).items():
        line = f"config.{key} = {value!r}"
        if GREP.value.lower() in line.lower():
            print(line)


if __name__ == "__main__":
    command.run(main, OPTIONS)

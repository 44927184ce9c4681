"""Lists the keys of a config: their values, what they mean, and what they can be.

catpose config [NAME|FILE] [--grep=WORD]

Without a name: the defaults. Keys of phases have one value for each phase.
"""

import textwrap

from catpose.launch import command

OPTIONS = command.Options()
GREP = OPTIONS.string("grep", "", "only keys whose name or meaning contains this")


def main(name: str = "base") -> None:
    """Prints each key with its default, its value in the config where that differs, and more."""
    from catpose import config_keys
    from catpose.experiment import config as config_lib
    from catpose.experiment import config_files, phases

    config = config_lib.read(config_files.load(name))
    values = {key.name: [key.value] for key in config_keys.keys(config_lib.Config, config)}
    in_phases = [config_keys.keys(phases.Phase, phase, "phases[].") for phase in config.phases]
    values |= {keys[0].name: [key.value for key in keys] for keys in zip(*in_phases, strict=True)}
    for key in config_keys.keys(config_lib.Config):
        if GREP.value.lower() not in f"{key.name} {key.meaning}".lower():
            continue
        own = "" if set(map(repr, values[key.name])) == {repr(key.value)} else (
            f"; in {name}: " + ", ".join(map(repr, values[key.name]))
        )  # fmt: skip
        print(f"{key.name} = {key.value!r}{own}")
        about = f"{key.meaning} ({key.range})" if key.range else key.meaning
        print(textwrap.indent(textwrap.fill(about, 90), " " * 4))


if __name__ == "__main__":
    command.run(main, OPTIONS)

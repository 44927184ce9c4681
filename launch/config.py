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
    from catpose import fields
    from catpose.experiment import config as config_lib
    from catpose.experiment import config_files, phases

    config = config_lib.read(config_files.load(name))
    values = {row.key: [row.value] for row in config_lib.listing(config)}
    in_phases = [fields.rows(phases.Phase, phase, "phases[].") for phase in config.phases]
    values |= {rows[0].key: [row.value for row in rows] for rows in zip(*in_phases, strict=True)}
    for row in config_lib.listing():
        if GREP.value.lower() not in f"{row.key} {row.meaning}".lower():
            continue
        own = "" if set(map(repr, values[row.key])) == {repr(row.value)} else (
            f"; in {name}: " + ", ".join(map(repr, values[row.key]))
        )  # fmt: skip
        print(f"{row.key} = {row.value!r}{own}")
        about = f"{row.meaning} ({row.range})" if row.range else row.meaning
        print(textwrap.indent(textwrap.fill(about, 90), " " * 4))


if __name__ == "__main__":
    command.run(main, OPTIONS)

"""The command `catpose`, also `python -m catpose`: one word for each of the commands in launch/."""

import importlib
import sys

import catpose
from catpose import errors
from catpose.launch import command

COMMANDS = {
    "train": "train the network that a config describes: catpose train --config=quickstart",
    "predict": "say what is on a photo and how it is turned",
    "label": "turn 3D models over your own photos in a browser: catpose label FOLDER",
    "demo": "show in a browser what a network sees on any photo",
    "evaluate": "score a run, or any system's predictions, under a named protocol",
    "prepare": "make a dataset from its public downloads, or check your own",
    "render": "render images of 3D models with their poses",
    "tables": "train and evaluate what the paper's tables compare",
    "symsol": "measure whether a density finds all poses of symmetric solids",
    "benchmark": "measure how fast training and inference are here",
    "export": "make a small folder of a trained run's weights",
    "weights": "list what can start a network: its license, its input, how to get it",
    "config": "list the keys of a config: catpose config quickstart --grep=rate",
}
ABOUT = "catpose: object category and 3D pose from one image. catpose COMMAND --help says more."


def main() -> None:
    """Runs the command that the first argument names."""
    with command.quiet_pipe():
        _run()


def _run() -> None:
    name, arguments = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if name in ("--help", "-h", "help", "--helpshort"):
        print("\n".join([ABOUT, *(f"  {each:10} {COMMANDS[each]}" for each in COMMANDS)]))
    elif name == "--version":
        print(f"catpose {catpose.__version__}")
    elif name in COMMANDS:
        module = importlib.import_module(f"catpose.launch.{name}")
        sys.argv = [f"catpose {name}", *arguments]
        command.run(module.main, module.OPTIONS)
    else:
        hint = errors.near(name, COMMANDS) or f"; there are {', '.join(COMMANDS)}"
        print(f"error: unknown command '{name}'{hint}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

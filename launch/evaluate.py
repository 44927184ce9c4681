"""Scores a trained run, or any system's predictions, under a named protocol.

catpose evaluate --workdir=DIR|mini [--protocol=NAME] [--split=test]
catpose evaluate --predictions=FILE --data=LABELS [--protocol=NAME] [--split=test]
catpose evaluate --workdir=DIR --calibrate [--split=validation]
catpose evaluate --protocol=list

--calibrate fits `calibration.json` of a run whose poses have a density (docs/certainty.md), as
training does at its end.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from catpose import outputs
from catpose.errors import InputError
from catpose.launch import command

OPTIONS = command.Options(command.PLUGINS)
WORKDIR = OPTIONS.string("workdir", None, "a training run's folder")
PREDICTIONS = OPTIONS.string("predictions", None, "a file: .csv, .json, .jsonl or .npz")
PROTOCOL = OPTIONS.list("protocol", ["catpose"], "name, several with commas, or list")
DATA = OPTIONS.string(
    "data", None, "labels: a table, a folder with manifest.csv, a built PASCAL3D+, or "
    "READER:FOLDER for a dataset of a plugin, ood_cv:FOLDER for labels of OOD-CV; with "
    "--workdir, a folder with manifest.csv in place of the run's data, another folder like it, or "
    "another seed where they are shapes"
)  # fmt: skip
LISTS = OPTIONS.string("lists", "", "folder of OccludedPASCAL3D+'s lists of images")
SPLIT = OPTIONS.string(
    "split", None, "which objects; test unless given, validation with --calibrate; empty for all "
    "of a folder's"
)  # fmt: skip
OUTPUT = OPTIONS.string("output", None, "folder for the results; beside the input unless given")
FUSION = OPTIONS.string(
    "fusion", None, "weighted, top1, oracle, mode or min_expected_error; of a run its own unless "
    "given"
)  # fmt: skip
CALIBRATE = OPTIONS.bool("calibrate", False, "fit and write the calibration of a run")
CAUTIOUS = OPTIONS.bool(
    "cautious", False, "with --calibrate: never sharper than trained, for images of another kind"
)
BEST = OPTIONS.bool("best", False, "weights of the lowest validation error, not the last")
MISSING = OPTIONS.bool("allow_missing", False, "objects without a prediction are misses")
SURPLUS = OPTIONS.bool("allow_surplus", False, "leave out predictions of unknown objects")


def main() -> None:
    """Scores and prints."""
    from catpose.evaluation import protocols

    if PROTOCOL.value == ["list"]:
        for name, protocol in protocols.PROTOCOLS.items():
            print(f"{name}: {protocol.description}\n    {protocol.source}")
        return
    chosen = {name: protocols.find(name) for name in PROTOCOL.value}  # a wrong name ends it here
    if (WORKDIR.value is None) == (PREDICTIONS.value is None):
        raise InputError("give either --workdir=DIR or --predictions=FILE")
    if PREDICTIONS.value is not None and DATA.value is None:
        raise InputError(
            "--predictions needs --data: a table of labels, a folder with manifest.csv or a built "
            "PASCAL3D+"
        )
    if CALIBRATE.value:
        _calibrate()
        return
    if LISTS.value and PREDICTIONS.value is None:
        raise InputError("--lists distributes the labels of --data; give --predictions=FILE")
    if PREDICTIONS.value is None:
        _score_run(chosen)
    else:
        _score_file(chosen)


def _split() -> str:
    return "test" if SPLIT.value is None else SPLIT.value


def _calibrate() -> None:
    from catpose import devices
    from catpose.evaluation import rerun
    from catpose.experiment import calibration
    from catpose.experiment import workdir as workdirs

    if PREDICTIONS.value is not None or BEST.value:
        raise InputError("--calibrate fits the last weights of a run; give it with --workdir alone")
    workdir = workdirs.find(WORKDIR.value)
    if WORKDIR.value in workdirs.shipped() and not OUTPUT.value:
        raise InputError(f"{WORKDIR.value} comes with catpose; give a folder with --output")
    devices.keep_compilations()
    found = rerun.calibrate(
        workdir, SPLIT.value or "validation", root=DATA.value or "", cautious=CAUTIOUS.value
    )
    folder = pathlib.Path(OUTPUT.value) if OUTPUT.value else workdir
    path = calibration.write(folder, found)
    print(f"temperature {found.temperature:g}, concentration {found.concentration:g}: {path}")


def _score_file(chosen: Mapping[str, Any]) -> None:
    from catpose.data import predictions
    from catpose.experiment import datasets

    path = pathlib.Path(PREDICTIONS.value)
    truth = datasets.read_labels(DATA.value, _split(), LISTS.value)
    found = predictions.only(predictions.read(path, truth), FUSION.value or "")
    folder = pathlib.Path(OUTPUT.value) if OUTPUT.value else path.parent
    scores = {name: _scored(found, truth, name) for name in chosen}
    _report(scores, dict.fromkeys(chosen, str(path)), folder, dict.fromkeys(chosen, path.stem))


def _score_run(chosen: Mapping[str, Any]) -> None:
    from catpose import devices
    from catpose.data import predictions
    from catpose.evaluation import protocols, rerun
    from catpose.experiment import workdir as workdirs
    from catpose.models.fusion import FUSIONS
    from catpose.models.joint import DECISIONS

    workdir = workdirs.find(WORKDIR.value)
    # Nothing is written beside a network that comes with catpose.
    beside = pathlib.Path("runs", workdir.name) if WORKDIR.value in workdirs.shipped() else workdir
    folder = pathlib.Path(OUTPUT.value) if OUTPUT.value else beside / "evaluation"
    known = (*FUSIONS, *DECISIONS)
    if FUSION.value and FUSION.value not in known:
        raise InputError(f"unknown fusion '{FUSION.value}'; known: {', '.join(known)}")
    devices.keep_compilations()
    truth, found, answering = rerun.predict(
        workdir, _split(), best=BEST.value, root=DATA.value or ""
    )
    scores, origins, stems = {}, {}, {}
    for name, protocol in chosen.items():
        fusion = FUSION.value or protocols.fusion_of(protocol, answering)
        stem, one = f"{_split()}-{fusion}", predictions.only(found, fusion)
        stem += "-best" if BEST.value else ""
        if stem not in stems.values():
            path = folder / f"{stem}.csv"
            outputs.check_inputs([path], _inputs())
            # A table has no mark; the scores beside it have.
            if OUTPUT.value and not any(map(outputs.is_own, folder.glob(f"{stem}-*.json"))):
                outputs.check_own([path])
            predictions.write(one, path)
            print(f"predictions: {path}")
        scores[name], stems[name] = _scored(one, truth, name), stem
        origins[name] = f"{workdir}, {fusion} fusion"
    _report(scores, origins, folder, stems)


def _inputs() -> list[pathlib.Path]:
    """Files that the options name."""
    data = pathlib.Path(DATA.value or "")
    return [pathlib.Path(PREDICTIONS.value or ""), data, data / "manifest.csv"]


def _scored(found: Any, truth: Any, name: str) -> Any:
    from catpose import api

    return api.evaluate(
        found, name, data=truth, allow_missing=MISSING.value, allow_surplus=SURPLUS.value
    )


def _report(
    scores: Mapping[str, Any],
    origins: Mapping[str, str],
    folder: pathlib.Path,
    stems: Mapping[str, str],
) -> None:
    """Prints one protocol's score, or one table of several, and writes a page of each."""
    from catpose.evaluation import score_report

    files = {name: folder / f"{stem}-{name}" for name, stem in stems.items()}
    written = [path.with_name(path.name + s) for path in files.values() for s in (".json", ".md")]
    outputs.check_inputs(written, _inputs())
    paths = []
    for name, scored in scores.items():
        paths += score_report.write(scored, name, origins[name], folder, files[name].name)
    if len(scores) == 1:
        print(score_report.terminal(scored, name))
    else:
        print(f"{score_report.comparison(scores)}\n")
        print("\n".join(score_report.shared_remarks(scores)))
        stem = "-".join(dict.fromkeys(stems.values()))
        paths += score_report.write_comparison(scores, folder, stem)
    print(f"results: {', '.join(map(str, paths))}\n")


if __name__ == "__main__":
    command.run(main, OPTIONS)

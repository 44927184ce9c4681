"""The report of a finished run: report.json, report.md, report.html and figures/."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from catpose import checksums, devices
from catpose.data import disk_cache
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.evaluation import (
    bootstrap,
    calibrate,
    certainty,
    run_report_figures,
    run_report_text,
    score,
)
from catpose.experiment import build, phases, workdir
from catpose.experiment import calibration as calibrations
from catpose.geometry import symmetry
from catpose.models import architectures
from catpose.training import input_pipeline, loop, nonfinite, run_setup, training_log
from catpose.training.step import TrainState
from catpose.visualize import html_page

HTML = "report.html"


def write(
    run: run_setup.Run,
    result: loop.Result,
    seconds_fn: Callable[[], float],
) -> dict[str, Any]:
    """Evaluates the answering and the best state, and writes the report and its pictures.

    Of several processes all evaluate, and the first one writes.

    Args:
      run: the run.
      result: what `loop.train` returned.
      seconds_fn: returns the wall time spent on the run so far.

    Returns:
      The content of report.json; nothing where this process does not write.
    """
    step, state = _answering(run, result)
    phase, _ = phases.at_step(run.phases, step)
    splits = [name for name in run.config.eval.splits if name in run.dataset.splits]
    found = {name: input_pipeline.evaluate_split(run, name, phase, state) for name in splits}
    best = _best(run, result, step, found)
    if not devices.is_first():
        return {}
    model = build.answering(run.model, run.config, step)
    model, found = _certain(run, model, found, step)
    timed = _phases(run)
    skipped = sum(phase["skipped"] for phase in timed)
    share = skipped / phases.total_steps(run.phases)
    of_all = f"{skipped} of {phases.total_steps(run.phases)} batches {nonfinite.SKIPPED}"
    report = {
        "name": run.config.name,
        "frame": run.model.input_spec.frame,
        "answers_by": model.fusion,
        "step": step,
        "calibration": model.calibration and calibrations.to_dict(model.calibration),
        "seed": run.config.seed,
        "categories": list(run.model.categories),
        "splits": _summaries(run, found, bootstrap.REPLICATES),
        "best": best,
        "num_train": len(run.pools["train"].index) if "train" in run.pools else 0,
        "phases": timed,
        "images_per_second": {entry["name"]: entry["images_per_second"] for entry in timed},
        "wall_seconds": 0.0,
        "device": (
            f"{jax.device_count()} x {jax.devices()[0].device_kind}, {devices.cores()} CPU cores"
        ),
        "num_params": architectures.param_counts({"params": state.params})["total"],
        "params_sha256": disk_cache.sha256(state.params),
        "versions": workdir.read_json(run.workdir / workdir.CONFIG)["versions"],
        "commit": workdir.commit(),
        "skipped_share": round(share, 4),
        "notes": [
            *([of_all] if skipped else []),
            *run.dataset.notes,
            *symmetry.notes(run.model.symmetry, run.model.categories),
        ],
    }
    report["figures"] = run_report_figures.draw(run, model, found, report["splits"])
    report["wall_seconds"] = round(seconds_fn(), 1)
    _write_files(run.workdir, report)
    return report


def add_shares(
    folder: pathlib.Path, shares: Sequence[Mapping[str, Any]], notes: Sequence[str]
) -> None:
    """Adds to the report of a finished run what training on parts of its images brought.

    Args:
      folder: the run's workdir.
      shares: reports of these parts, see `config.eval.shares`; from then on the report has
        "shares", even where there are none.
      notes: why some are missing.
    """
    report = workdir.read_json(folder / workdir.REPORT)
    report.pop(checksums.KEY, None)
    report["shares"] = [{key: share[key] for key in ("num_train", "splits")} for share in shares]
    report["notes"] += notes
    _write_files(folder, report)


def _write_files(folder: pathlib.Path, report: Mapping[str, Any]) -> None:
    text = run_report_text.markdown(report, report["categories"])
    disk_cache.write_whole(folder / "report.md", text.encode())
    disk_cache.write_whole(folder / HTML, html_page.page(text, folder).encode())
    # JSON has no NaN and Inf, which the metrics of a diverged run may be: null replaces them.
    finite = json.loads(json.dumps(report), parse_constant=lambda name: None)
    # Last, and in one move: a run with this file is finished.
    workdir.write_json(folder / workdir.REPORT, finite)


def check_skipped(folder: pathlib.Path, most: float) -> None:
    """Raises InputError where a finished run has skipped more than a share of its batches."""
    report = workdir.read_json(folder / workdir.REPORT)
    if report.get("skipped_share", 0.0) > most:
        raise InputError(
            f"{report['notes'][0]}, more than config.max_skipped_share = {most:g}; the report is "
            f"{folder / 'report.md'}; lower the learning rate, or set config.optimizer.clip_norm"
        )


def print_summary(folder: pathlib.Path) -> None:
    """Prints a finished run's metrics and where its report is."""
    report = workdir.read_json(folder / workdir.REPORT)
    print(run_report_text.terminal_table(report))
    print(run_report_text.summary_line(report))
    written = [folder / name for name in ("report.md", HTML) if (folder / name).is_file()]
    print(f"report: {', '.join(map(str, written))}")


def _answering(run: run_setup.Run, result: loop.Result) -> tuple[int, TrainState]:
    """Step and state that the run answers with."""
    if result.best and run.config.eval.answer == "best":
        return result.best
    return int(result.last.step), result.last


def _summaries(
    run: run_setup.Run, found: Mapping[str, Predictions], replicates: int = 0
) -> dict[str, dict[str, Any]]:
    return {
        split: score.summaries(
            run.dataset.splits[split], own, run.model.symmetry, replicates=replicates
        )
        for split, own in found.items()
    }


def _best(
    run: run_setup.Run, result: loop.Result, answered: int, found: Mapping[str, Predictions]
) -> dict[str, Any]:
    """The best state's metrics on the same splits, or nothing where there is no best state."""
    if result.best is None:
        return {}
    step, state = result.best
    if step != answered:
        phase, _ = phases.at_step(run.phases, step)
        found = {name: input_pipeline.evaluate_split(run, name, phase, state) for name in found}
    return {"step": step, "splits": _summaries(run, found)}


def _certain(
    run: run_setup.Run, model: build.Model, found: Mapping[str, Predictions], step: int
) -> tuple[build.Model, dict[str, Predictions]]:
    """Fits the calibration on validation and writes it; what the model says of its certainty.

    Without a density, or a validation split that is large enough, all stays as it is.
    """
    truth = run.dataset.splits
    on = found.get("validation")
    if on is not None and on.pose_outputs is not None and len(on.id) >= calibrate.LEAST:
        calibration = calibrate.fit(model, truth["validation"], on, split="validation", step=step)
        calibrations.write(run.workdir, calibration)
        model = model._replace(calibration=calibration)
    return model, {name: certainty.add(model, truth[name], own) for name, own in found.items()}


def _phases(run: run_setup.Run) -> list[dict[str, Any]]:
    """Each phase with its time: the sum over the processes that worked on it."""
    records = training_log.read(run.workdir)
    timed = [r for r in records if "phase_seconds" in r]
    entries = []
    for phase, start, stop in phases.spans(run.phases):
        own = [record for record in timed if record["phase"] == phase.name]
        speeds = [r["images_per_second"] for r in own if r["images_per_second"]]
        entries.append(
            {
                "name": phase.name,
                "start": start,
                "stop": stop,
                "seconds": round(sum(record["phase_seconds"] for record in own), 1),
                "images_per_second": speeds[-1] if speeds else None,
                "skipped": sum(
                    len(r.get("skipped", ())) for r in records if r.get("phase") == phase.name
                ),
            }
        )
    return entries

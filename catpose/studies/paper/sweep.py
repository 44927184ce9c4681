"""Training and evaluation of many rows with several seeds, and what is read from them."""

import json
import math
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from catpose.data import online_rendering
from catpose.errors import InputError
from catpose.experiment import build, datasets, workdir
from catpose.models import architectures
from catpose.poses import axis_angle
from catpose.studies.paper import outcomes, page, results, shared_phases, table_rows
from catpose.train import metrics_log

RUNS = "runs"  # the links' folder in a campaign's


class Campaign(NamedTuple):
    """What the rows have in common.

    Attributes:
      root: where everything is kept.
      split: which images are evaluated.
      seeds: how many, from 0 on.
      config_fn: row -> its config. Where `config.model.pretrained` is "row:NAME", it begins with
        the weights of that row's seed 0: all seeds begin alike, as there is one ImageNet.
      memo: {"data": {}, "programs": {}} at first: the data last used, and compiled programs.
    """

    root: pathlib.Path
    split: str
    seeds: int
    config_fn: Callable[[str], Any]
    memo: dict[str, dict[str, Any]]


def links(campaign: Campaign, row: str, seed: int) -> list[shared_phases.Link]:
    """The links of a row's run."""
    config = campaign.config_fn(row)
    config.seed = seed
    first = _first(config)
    if first:
        config.model.pretrained = str(links(campaign, first, 0)[-1].folder)
    return shared_phases.links(config, campaign.root / RUNS)


def _first(config: Any) -> str:
    """The row whose weights a config begins with; "" for none."""
    kind, _, name = config.model.pretrained.partition("row:")
    return "" if kind else name


def train(campaign: Campaign, row: str, seed: int) -> None:
    """Trains what of a row is not trained yet, and evaluates it."""
    last = links(campaign, row, seed)[-1]
    if outcomes.path(last, campaign.split).is_file():
        return
    first = _first(campaign.config_fn(row))
    data = _load(campaign, last.config)
    if campaign.split not in data.splits:
        raise InputError(
            f"there are no images '{campaign.split}'; there are {', '.join(data.splits)} (--split)"
        )
    if first:
        _train(campaign, first, 0)
    _train(campaign, row, seed)
    data = _load(campaign, last.config)
    outcomes.evaluate(last, data, campaign.split, programs=campaign.memo["programs"])


def _train(campaign: Campaign, row: str, seed: int) -> None:
    def say(link: shared_phases.Link) -> None:
        phase = link.config.phases[-1]["name"]
        print(f"seed {seed}, {row}: {phase} ({link.folder.name})", file=sys.stderr, flush=True)

    shared_phases.train(
        links(campaign, row, seed),
        lambda config: _load(campaign, config),
        programs=campaign.memo["programs"],
        begins_fn=say,
    )


def _load(campaign: Campaign, config: Any) -> Any:
    """The data of a config; the last one is kept."""
    described = json.loads(config.to_json())
    kept = [described["data"], described["engine"], config.seed if config.data.num_train else 0]
    kept.append(any(online_rendering.NAME in phase["sources"] for phase in described["phases"]))
    key = json.dumps(kept)
    if key not in campaign.memo["data"]:
        campaign.memo["data"].clear()
        campaign.memo["data"][key] = datasets.load_dataset(config)
    return campaign.memo["data"][key]


def collect(campaign: Campaign, rows: Sequence[str], absent: Mapping[str, str]) -> results.Results:
    """Everything that has been evaluated.

    Args:
      campaign: whose.
      rows: all of them trained.
      absent: by further row, why it is not.
    """
    every = {
        row: [
            outcomes.read(links(campaign, row, seed)[-1], campaign.split)
            for seed in range(campaign.seeds)
        ]
        for row in rows
    }
    categories = workdir.read_categories(links(campaign, rows[0], 0)[-1].folder)
    return results.Results(categories, every, absent)


def folders(campaign: Campaign, rows: Sequence[str]) -> set[pathlib.Path]:
    """Of all links of these rows, and of those that they begin from."""
    wanted = [(row, seed) for row in rows for seed in range(campaign.seeds)]
    first = {_first(campaign.config_fn(row)) for row in rows} - {""}
    wanted += [(row, 0) for row in first]
    return {link.folder for row, seed in wanted for link in links(campaign, row, seed)}


def total_seconds(campaign: Campaign, rows: Sequence[str]) -> float:
    """Time that all training of these rows took, links that rows share counted once."""
    files = (folder / "seconds" for folder in folders(campaign, rows))
    return sum(float(file.read_text()) for file in files if file.is_file())


def commits(campaign: Campaign, rows: Sequence[str]) -> list[str]:
    """The checkouts that trained these rows."""
    files = (folder / "config.json" for folder in folders(campaign, rows))
    return sorted({json.loads(file.read_text())["commit"] for file in files})


def seconds(campaign: Campaign, row: str) -> float:
    """Time that a row's steps took, each phase in its fastest seed; nothing is counted but steps.

    Whatever else a machine does makes some seeds slower and none faster. NaN where nothing has
    been timed.
    """
    spent = 0.0
    for same in zip(*(links(campaign, row, seed) for seed in range(campaign.seeds)), strict=True):
        records = [record for link in same for record in metrics_log.read(link.folder)]
        speeds = [r["images_per_second"] or 0.0 for r in records if "phase_seconds" in r]
        phase = build.build_phases(same[0].config)[-1]
        speed = max(speeds, default=0.0)
        spent += phase.steps * phase.batch_size / speed if speed else math.nan
    return spent


def counts(campaign: Campaign, row: str) -> dict[str, int]:
    """Exact numbers of parameters of a row's network."""
    last = links(campaign, row, 0)[-1]
    model = build.build_model(
        last.config, workdir.read_categories(last.folder), workdir.read_keys(last.folder)
    )
    return _count(model.network.init_fn, model.input_spec.resolution)


def parameters(campaign: Campaign, rows: Sequence[str]) -> str:
    """The numbers of parameters as Markdown: the paper's networks, then those trained here.

    Rows of one network stand together.
    """
    named: dict[str, list[str]] = {}
    for row in rows:
        named.setdefault(json.dumps(counts(campaign, row)), []).append(row)
    ours = {
        ", ".join(same[:3]) + ", ..." * (len(same) > 3): json.loads(found)
        for found, same in named.items()
    }
    papers = papers_counts()
    twelve, one = (papers[name]["pose_networks"] for name in (_INTEGRATED, _AGNOSTIC_12K))
    parts = [
        "Of the paper's networks, with twelve categories:",
        page.parameters_markdown(papers),
        f"The category-independent pose network of 12000 units has {one / twelve:.4f} times the "
        "parameters of the twelve of 1000, as the paper has it (section 4.3).",
        "Of the networks above:",
        page.parameters_markdown(ours),
    ]
    return "\n\n".join(parts)


_INTEGRATED, _AGNOSTIC_12K = "integrated", "shared, one pose network of 12000 units"


def papers_counts() -> dict[str, dict[str, int]]:
    """Exact numbers of parameters of the networks that the paper compares, at their full size."""
    made = {
        _INTEGRATED: {},
        "integrated, split after stage 3": {"split_stage": 3},
        "integrated, split after stage 5": {"split_stage": 5},
        "shared": {"architecture": "shared"},
        "shared, one pose network of 5000 units": {"architecture": "shared", "width": 5000},
        _AGNOSTIC_12K: {"architecture": "shared", "width": 12000},
        "sequential": {"architecture": "sequential"},
        "independent": {"architecture": "independent"},
        "VGG-M": {"trunk": "vgg_m", "category_head": "pooled"},
    }
    found = {}
    for name, changes in made.items():
        hidden = (changes.pop("width", 1000), 500)
        width = 96 if "trunk" in changes else 64
        network = architectures.build(
            num_categories=12,
            pose=axis_angle.AXIS_ANGLE,
            pose_hidden=hidden,
            width=width,
            **changes,
        )
        found[name] = _count(network.init_fn, 224)
    return found


def _count(init_fn: Callable[..., Any], side: int) -> dict[str, int]:
    image = jax.ShapeDtypeStruct((1, side, side, 3), "float32")
    return architectures.param_counts(jax.eval_shape(init_fn, jax.random.key(0), image))


def representations(campaign: Campaign, found: results.Results) -> str:
    """The table of pose representations as Markdown."""
    rows = [r.row for r in table_rows.REPRESENTATIONS.readings.values() if r.row in found.outcomes]
    costs = {row: (counts(campaign, row)["pose_networks"], seconds(campaign, row)) for row in rows}
    return results.comparison_markdown(found, table_rows.REPRESENTATIONS, costs)

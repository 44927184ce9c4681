"""What the page for labeling asks its server."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from catpose.data import pose_table, tables
from catpose.data.examples import Examples
from catpose.errors import InputError
from catpose.images import decode
from catpose.pages import agreement, labels, models, objects, pictures, proposals, server, training

_KEPT = 8  # decoded photos


class Session(NamedTuple):
    """What `catpose label` works with.

    Attributes:
      folder: of the photos.
      labels: of this pass.
      first: those of the first pass, where this is the second.
      models: to turn over the photos.
      proposer: the network, in a list of one: training replaces it.
      training: on the labels.
      plugins: modules that training loads too.
      open_picture: a file's decoded photo.
    """

    folder: pathlib.Path
    labels: labels.Labels
    first: labels.Labels | None
    models: models.Models
    proposer: list[proposals.Proposer]
    training: training.Training
    plugins: Sequence[str]
    open_picture: Any


def session(
    folder: pathlib.Path,
    proposer: proposals.Proposer,
    *,
    second: bool = False,
    begun: Examples | None = None,
    available: models.Models | None = None,
    plugins: Sequence[str] = (),
) -> Session:
    """Reads the labels of a folder.

    Args:
      folder: of the photos.
      proposer: a network.
      second: whether the photos are labeled once more, to see how well one agrees.
      begun: objects that another tool has found in the photos.
      available: models; those of catpose unless given.
      plugins: names of modules that training loads too.

    Raises:
      InputError: see `labels.Labels`.
    """
    own = labels.Labels(folder)
    first = own if second else None
    if second:
        own = labels.Labels(folder, "second_pass")
        own.begin(objects.without_poses(first.photos()))
    if begun is not None:
        own.begin(objects.of_examples(begun))
    found = functools.lru_cache(_KEPT)(lambda file: decode.open_picture(own.path(file)))
    available = models.available() if available is None else available
    return Session(folder, own, first, available, [proposer], training.Training(), plugins, found)


def site(own: Session) -> server.Site:
    """The page, and what it may ask."""

    def get(handler):
        return lambda query, body: handler(own, query)

    def post(handler):
        return lambda query, body: handler(own, question(body))

    return server.Site(
        page="label",
        get={
            "session": get(_session),
            "network": get(lambda own, query: server.json_reply(own.proposer[0].state())),
            "photo": get(_photo),
            "model": get(lambda own, query: model(own.models, query)),
            "agreement": get(_agreement),
            "training": get(_training),
        },
        post={
            "objects": post(_objects),
            "propose": post(_propose),
            "snap": post(_snap),
            "train": post(_train),
            "stop": post(_stop),
            "use": post(_use),
        },
    )


def question(body: bytes) -> dict[str, Any]:
    """The JSON object of a question.

    Raises:
      InputError: it is none.
    """
    found = tables.parse_json(body, "the page")
    if not isinstance(found, dict):
        raise InputError("the page must send an object")
    return found


def text(values: Mapping[str, Any], name: str) -> str:
    """A text of a question.

    Raises:
      InputError: it is missing.
    """
    found = values.get(name)
    if not isinstance(found, str):
        raise InputError(f"the page sent no {name}")
    return found


def box(values: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The box of a question; None for the whole photo.

    Raises:
      InputError: something else than four numbers.
    """
    return objects.numbers(values.get("box"), 4, "the box")


def model(available: models.Models, query: Mapping[str, str]) -> server.Reply:
    """A model's surface, see `models.surface`: the number of vertices, vertices, triangles."""
    name = query.get("name", "")
    if name not in available:
        raise InputError(f"there is no model '{name}'; reload the page")
    vertices, indices = models.surface(available[name]())
    parts = (np.array([len(vertices)], "<u4"), vertices.astype("<f4"), indices.astype("<u4"))
    return server.Reply(b"".join(map(np.ndarray.tobytes, parts)), "application/octet-stream")


def _session(own, query):
    found = own.labels.photos()
    return server.json_reply(
        {
            "folder": own.folder.resolve().name,
            "manifest": str(own.labels.manifest),
            "photos": [{"file": name, **photo.to_json()} for name, photo in found.items()],
            "models": list(own.models),
            "second_pass": own.first is not None,
        }
    )


def _photo(own, query):
    return pictures.reply(own.open_picture(query.get("file", "")))


def _objects(own, values):
    stated, revision = values.get("objects"), values.get("revision")
    if not isinstance(stated, list) or not isinstance(revision, int):
        raise InputError("the page sent no objects, or not of which revision")
    photo, written = own.labels.replace(text(values, "file"), revision, stated)
    if written:
        return server.json_reply(photo.to_json())
    words = "this photo was changed elsewhere; you see what is saved"
    return server.json_reply({"error": words, **photo.to_json()}, 409)


def _propose(own, values):
    picture = own.open_picture(text(values, "file"))
    return server.json_reply(proposals.to_json(own.proposer[0].propose(picture, box(values))))


def _snap(own, values):
    rotation = objects.numbers(values.get("rotation"), 9, "the rotation")
    if rotation is None:
        raise InputError("the page sent no rotation")
    matrix = np.reshape(rotation, (1, 3, 3))
    found, reached = own.proposer[0].snap(
        own.open_picture(text(values, "file")),
        box(values),
        text(values, "category"),
        pose_table.nearest_rotations(matrix, ["the page"])[0],
    )
    return server.json_reply({"angles_deg": proposals.angles_json(found), "reached": reached})


def _agreement(own, query):
    if own.first is None:
        raise InputError("this is the first pass; catpose label FOLDER --second_pass is the other")
    return server.json_reply(agreement.summary(own.first.photos(), own.labels.photos()))


def _labeled(own):
    """What training reads: the first pass."""
    return (own.first or own.labels).photos()


def _words(own):
    run = training.next_run(own.folder.resolve().name)
    symmetry = training.symmetries(_labeled(own))
    return training.arguments(own.folder, run, symmetry, own.plugins), run


def _training(own, query):
    words = training.command(_words(own)[0])
    splits = training.splits(_labeled(own))
    return server.json_reply({**own.training.state(), "command": words, "splits": splits})


def _train(own, values):
    own.training.start(*_words(own))
    return _training(own, {})


def _stop(own, values):
    own.training.stop()
    return _training(own, {})


def _use(own, values):
    """Takes the run that was trained last for the next proposals."""
    state = own.training.state()
    if state["status"] != "finished":
        raise InputError("no training has finished yet")
    own.proposer[0] = proposals.Proposer(state["run"])
    return server.json_reply(own.proposer[0].state())

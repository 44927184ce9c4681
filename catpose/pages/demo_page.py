"""What the page that shows a network asks its server; any number of people may look at once."""

import collections
import secrets
import threading
from typing import NamedTuple

from PIL import Image

from catpose.errors import InputError
from catpose.images import decode
from catpose.pages import label_page, models, pictures, proposals, server

_KEPT, _LONGEST = 64, 2000  # uploaded photos in memory, and the longer side of each


class Photos:
    """The photos that were uploaded last, for several threads."""

    def __init__(self) -> None:
        self._found: collections.OrderedDict[str, decode.Picture] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._opening = threading.Lock()  # one at a time: a large photo takes hundreds of megabytes

    def add(self, content: bytes) -> str:
        """Opens a photo, and gives it a name that nobody can guess.

        Raises:
          InputError: it is none.
        """
        with self._opening:
            picture = decode.open_picture(content, "this file")
            image = picture.image
            image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BILINEAR, reducing_gap=2.0)
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._found[name] = decode.Picture(image, picture.size)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return name

    def find(self, name: str) -> decode.Picture:
        """A photo that is still there.

        Raises:
          InputError: it is not.
        """
        with self._lock:
            if name not in self._found:
                raise InputError("this photo is no longer here; give it once more")
            self._found.move_to_end(name)
            return self._found[name]


class Session(NamedTuple):
    """What `catpose demo` works with."""

    proposer: proposals.Proposer
    models: models.Models
    photos: Photos


def site(own: Session) -> server.Site:
    """The page, and what it may ask."""

    def post(handler):
        return lambda query, body: server.json_reply(handler(own, label_page.question(body)))

    return server.Site(
        page="demo",
        get={
            "network": lambda query, body: server.json_reply(own.proposer.state()),
            "models": lambda query, body: server.json_reply(list(own.models)),
            "model": lambda query, body: label_page.model(own.models, query),
            "photo": lambda query, body: pictures.reply(own.photos.find(query.get("id", ""))),
        },
        post={
            "photos": lambda query, body: server.json_reply({"id": own.photos.add(body)}),
            "predict": post(_predict),
            "map": post(_map),
        },
        uploads=frozenset({"photos"}),
    )


def _predict(own, values):
    picture = own.photos.find(label_page.text(values, "id"))
    return own.proposer.propose(picture, label_page.box(values)).to_json()


def _map(own, values):
    picture = own.photos.find(label_page.text(values, "id"))
    return {"density": own.proposer.density_map(picture, label_page.box(values))}

"""Annotated pictures of cuboids in the files and folders of PASCAL3D+ and ObjectNet3D.

The pictures are cuboids seen as the annotations say. Boxes are those of the projected CAD vertices,
by the formula of the releases' own toolbox, in its coordinates: the center of the top left pixel is
(1, 1), so what spans the edges 0..10 in catpose has the box [1, 10].
"""

import io
import itertools

import numpy as np
import scipy.io
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 160, 120
EMPTY = np.zeros((0, 0))
CORNERS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
FACES = [[i for i in range(8) if CORNERS[i, axis] == side] for axis in range(3) for side in (-1, 1)]
COLOURS = ("red", "blue", "green", "white", "gray", "gold")  # green is the front


def half_sizes(category, model):
    """Half the extents of a cuboid model, another one for each category and model."""
    generator = np.random.default_rng([sum(category.encode()), model])
    return generator.uniform(0.2, 0.45, 3)


def project(points, azimuth, elevation, theta, distance, principal, viewport=3000.0):
    """Pixels (MATLAB's) of points, angles in degrees: the toolbox's projection, step by step."""
    a, e, t = np.radians((azimuth, elevation, theta))
    center = distance * np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
    a, e = -a, -(np.pi / 2 - e)
    rz = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    rx = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    seen = (points - center) @ (rx @ rz).T * [viewport, viewport, -1]
    plane = seen[:, :2] / seen[:, 2:]
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    return plane @ turn.T * [1, -1] + principal


class Writer:
    """Writes images and annotations, and remembers what it wrote."""

    def __init__(self, root, viewport):
        self.root, self.viewport = root, viewport
        self.generator = np.random.default_rng(0)
        self.objects, self.quirks, self.lists = [], {}, {}

    def quirk(self, name, where):
        self.quirks.setdefault(name, []).append(where)

    def seen(self, category, *, size=(WIDTH, HEIGHT), **changes):
        """An object with its annotation, drawn as it is seen."""
        generator = self.generator
        item = {
            "class": category,
            "azimuth": round(generator.uniform(0, 360), 4),
            "elevation": round(generator.uniform(-10, 40), 4),
            "theta": round(generator.uniform(-10, 10), 4),
            "distance": round(generator.uniform(48, 56), 4),
            "px": round(size[0] / 2 + generator.uniform(-9, 9), 4),
            "py": round(size[1] / 2 + generator.uniform(-5, 5), 4),
            "cad_index": int(generator.integers(1, 3)),
            "truncated": 0,
            "occluded": 0,
            "difficult": 0,
        } | changes
        corners = CORNERS * half_sizes(category, item["cad_index"])
        pixels = project(
            corners,
            *(item[n] for n in ("azimuth", "elevation", "theta", "distance")),
            (item["px"], item["py"]),
            self.viewport,
        )
        item.setdefault("bbox", [*(pixels.min(axis=0) + 0.5), *(pixels.max(axis=0) - 0.5)])
        a, e = np.radians((item["azimuth"], item["elevation"]))
        towards = np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
        near = [float(np.mean(corners[face] @ towards)) for face in FACES]
        return item | {"pixels": pixels - 0.5, "faces": np.argsort(near).tolist()}

    def struct(self, item):
        """The MATLAB struct of an object."""
        viewpoint = item.get("viewpoint")
        if viewpoint is None:
            viewpoint = {
                "azimuth_coarse": 45.0 * round(item["azimuth"] / 45),
                "elevation_coarse": 5.0,
                **{n: item[n] for n in ("azimuth", "elevation", "theta", "distance", "px", "py")},
                "focal": 1.0,
                "viewport": item.get("viewport", self.viewport),
                "error": 0.0,
                "num_anchor": 0.0,
            }
            viewpoint = {n: v for n, v in viewpoint.items() if n not in item.get("without", ())}
        return {
            "class": item["class"],
            "bbox": np.array(item["bbox"], float),
            **{n: item[n] for n in ("truncated", "occluded", "difficult", "cad_index")},
            "viewpoint": viewpoint,
        }

    def record(self, path, items, stated):
        """Writes an annotation: a struct array, which for one object is a plain struct."""
        structs = [self.struct(item) for item in items]
        if len(structs) == 1:
            objects = structs[0]
        elif structs:
            objects = np.zeros((1, len(structs)), [(name, object) for name in structs[0]])
            for i, struct in enumerate(structs):
                objects[0, i] = tuple(struct.values())
        else:
            objects = EMPTY
        record = {
            "filename": f"{path.stem}.JPEG",
            "imgsize": np.array([*stated, 3.0]),
            "database": "miniature",
            "objects": objects,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(path, {"record": record}, oned_as="row")

    def picture(self, items, size, mode="RGB", exif=None):
        """A JPEG of the objects before a background of noise."""
        noise = self.generator.integers(90, 160, (size[1] // 8 + 1, size[0] // 8 + 1, 3))
        image = Image.fromarray(noise.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        draw = ImageDraw.Draw(image)
        for item in items:
            for face in item["faces"]:
                points = item["pixels"][FACES[face]]
                order = np.argsort(np.arctan2(*(points - points.mean(axis=0)).T))
                draw.polygon([tuple(p) for p in points[order].tolist()], fill=COLOURS[face])
        file = io.BytesIO()
        more = {}
        if exif:
            more["exif"] = Image.Exif()
            more["exif"][274] = exif
        image.convert(mode).save(file, "JPEG", quality=90, **more)
        return file.getvalue()

    def add(self, source, listed, category, image, items, **options):
        """One image of a list: its annotation, its picture, and what is to be expected of it.

        Options: size, stated (size in the record), mode, exif, usable, keep (bytes of the picture;
        0 for no file), annotation (False for none, bytes for another content).
        """
        size = options.get("size", (WIDTH, HEIGHT))
        folder = f"{category}_{source}" if category else ""
        where = f"{folder}/{image}" if category else image
        self.lists.setdefault((source, listed, category), []).append(image)
        path = self.root / "Annotations" / folder / f"{image}.mat"
        annotation = options.get("annotation", True)
        if annotation is True:
            self.record(path, items, options.get("stated", size))
        elif annotation:
            path.write_bytes(annotation)
        suffix = "jpg" if source == "pascal" else "JPEG"
        photo = self.root / "Images" / folder / f"{image}.{suffix}"
        photo.parent.mkdir(parents=True, exist_ok=True)
        jpeg = self.picture(items, size, options.get("mode", "RGB"), options.get("exif"))
        keep = options.get("keep", len(jpeg))
        if keep:
            photo.write_bytes(jpeg[:keep])
        if annotation is not True:
            return where
        if len(items) == 1:
            self.quirk("single_object", where)
        for number, item in enumerate(items, start=1):
            if category and item["class"] != category:
                self.quirk("other_category", f"{where} #{number} {item['class']}")
                continue
            self.objects.append(
                item
                | {"source": source, "listed": listed, "image": image, "object": number}
                | {"category": item["class"], "width": size[0], "height": size[1]}
                | {"usable": item.get("usable", options.get("usable", "yes"))}
            )
        return where

    def models(self, off, mat, category):
        """Two CAD models of a category as .off files or in one .mat file."""
        triangles = [[f[0], f[1], f[3]] for f in FACES] + [[f[0], f[3], f[2]] for f in FACES]
        triangles = np.array(triangles)
        found = []
        for number in (1, 2):
            vertices = CORNERS * half_sizes(category, number)
            found.append((vertices, triangles + 1.0))
            if off:
                path = self.root / off / f"{number:02d}.off"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = [" ".join(map(repr, v)) for v in vertices.tolist()]
                rows += [f"3 {a} {b} {c}" for a, b, c in triangles.tolist()]
                path.write_text("\n".join(["OFF", f"8 {len(triangles)} 0", *rows, ""]))
        if mat:
            array = np.zeros((1, 2), [("vertices", object), ("faces", object)])
            for i, pair in enumerate(found):
                array[0, i] = pair
            path = self.root / mat
            path.parent.mkdir(parents=True, exist_ok=True)
            scipy.io.savemat(path, {category: array})

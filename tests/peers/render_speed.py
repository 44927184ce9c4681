"""Images per second of both rasterizers and of VTK's off-screen window, side by side.

    python tests/peers/render_speed.py [--sizes 64 128 224] [--triangles 200 1000 5000]
        [--device cpu|gpu] [--tiles_at_once 8 32] [--images_at_once 1 8] [--json FILE]

vtk 9.7.2; pin it to a core (`taskset -c 1`) for figures of one core. All draw the same lumpy
spheres from the same views, flat, four samples a pixel, less what is seen from behind; VTK over one
color, ours over a background. Meshes are in place before the clock starts, and pictures are in the
host's memory when it stops: (S, S, 3), bytes from VTK, float32 from ours. The three take turns, and
the median over the repeats counts. `mask` is by how much the outlines of VTK's pictures and of ours
overlap, at least: below 0.97 the two have not drawn the same.
"""

import argparse
import functools
import itertools
import json
import pathlib
import statistics
import time

import jax
import numpy as np
import vtk
from vtk.util import numpy_support

from catpose.synthetic import mesh_batch, renderer
from tests.support import numpy_rasterizer
from tests.support.lumpy_spheres import LIGHT, lumpy_sphere, views_of

BACKGROUND = (0.0, 0.0, 1.0)  # no mesh is as blue


def by_numpy(meshes, views, size):
    behind = np.tile(np.float32(BACKGROUND), (size, size, 1))

    def draw():
        return [
            numpy_rasterizer.render(mesh, view, LIGHT, behind)[0]
            for mesh, view in zip(meshes, views, strict=True)
        ]

    return draw


def by_device(meshes, views, size, options):
    """The fastest of `options` (tiles at once, images at once), and which it is."""
    behind = np.tile(np.float32(BACKGROUND), (len(meshes), size, size, 1))
    lights = numpy_rasterizer.stack([LIGHT] * len(meshes))
    arguments = jax.device_put(
        (mesh_batch.pad(meshes), numpy_rasterizer.stack(views), lights, behind)
    )

    def draw(tiles_at_once, images_at_once):
        picture = renderer.render(
            *arguments, tiles_at_once=tiles_at_once, images_at_once=images_at_once
        )
        return np.asarray(picture.image)

    def seconds(option):
        draw(*option)  # compiles
        return min(timed(functools.partial(draw, *option)) for _ in range(2))

    best = min(options, key=seconds) if len(options) > 1 else options[0]
    draw(*best)
    return functools.partial(draw, *best), best


def actor_of(mesh):
    triangles = mesh.faces[:, :3].astype(np.int64)
    cells = vtk.vtkCellArray()
    cells.SetData(3, numpy_support.numpy_to_vtkIdTypeArray(triangles.ravel(), deep=True))
    points = vtk.vtkPoints()
    points.SetData(numpy_support.numpy_to_vtk(mesh.vertices, deep=True))
    data = vtk.vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(cells)
    colors = numpy_support.numpy_to_vtk(np.rint(255 * mesh.colors).astype(np.uint8), deep=True)
    data.GetCellData().SetScalars(colors)
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputData(data)
    mapper.StaticOn()
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    surface = actor.GetProperty()
    surface.SetInterpolationToFlat()
    surface.BackfaceCullingOn()
    surface.SetAmbient(LIGHT.ambient)
    surface.SetDiffuse(1.0)
    actor.VisibilityOff()
    return actor


def camera_of(view, size):
    """VTK's camera for a view: it stands where the eye is, in the object's frame."""
    eye = view.rotation.T @ [0, 0, view.distance]
    camera = vtk.vtkCamera()
    camera.SetPosition(*eye)
    camera.SetFocalPoint(0, 0, 0)
    camera.SetViewUp(*view.rotation[1])
    camera.SetViewAngle(np.rad2deg(2 * np.arctan(size / 2 / view.focal)))
    right, down = (2 * view.center - size) / size
    camera.SetWindowCenter(-right, down)
    camera.SetClippingRange(0.3 * view.distance, 3 * view.distance)
    return camera


def by_vtk(meshes, views, size):
    """Draws with VTK; also the window, which must be kept."""
    renderer, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(4)
    window.SetSize(size, size)
    window.AddRenderer(renderer)
    renderer.SetBackground(*BACKGROUND)
    renderer.AutomaticLightCreationOff()
    renderer.SetAmbient(1, 1, 1)
    for direction, intensity in zip(LIGHT.directions, LIGHT.intensities, strict=True):
        light = vtk.vtkLight()
        light.SetLightTypeToCameraLight()
        # Camera lights live where the camera is at (0, 0, 1) and looks at the origin.
        light.SetPosition(*direction)
        light.SetFocalPoint(0, 0, 0)
        light.SetIntensity(intensity)
        renderer.AddLight(light)
    actors = [actor_of(mesh) for mesh in meshes]
    cameras = [camera_of(view, size) for view in views]
    for actor in actors:
        renderer.AddActor(actor)
    pixels = vtk.vtkUnsignedCharArray()

    def draw():
        images = []
        for actor, camera in zip(actors, cameras, strict=True):
            actor.VisibilityOn()
            renderer.SetActiveCamera(camera)
            window.Render()
            window.GetPixelData(0, 0, size - 1, size - 1, 0, pixels, 0)
            image = numpy_support.vtk_to_numpy(pixels).reshape(size, size, 3)
            images.append(image[::-1].copy())
            actor.VisibilityOff()
        return images

    return draw, window


def backend(window):
    """What OpenGL runs on."""
    lines = window.ReportCapabilities().splitlines()
    told = [line.split(":", 1)[1].strip() for line in lines if "OpenGL renderer string" in line]
    name = told[0] if told else "unknown"
    return f"{window.GetClassName()}, {name}, {window.GetMultiSamples()} samples a pixel"


def timed(draw):
    start = time.perf_counter()
    draw()
    return time.perf_counter() - start


def overlap(images, others):
    """Least intersection over union of the outlines of pictures in [0, 1] and in bytes."""
    shares = []
    for one, other in zip(images, others, strict=True):
        a = np.abs(one - BACKGROUND).max(axis=-1) > 0.25
        b = np.abs(other / 255 - BACKGROUND).max(axis=-1) > 0.25
        shares.append((a & b).sum() / (a | b).sum())
    return float(min(shares))


def measure(size, num_triangles, num_images, repeats, options):
    """One row of the table."""
    generator = np.random.default_rng(0)
    meshes = [lumpy_sphere(generator, num_triangles) for _ in range(num_images)]
    views = views_of(generator, meshes, size)
    on_device, best = by_device(meshes, views, size, options)
    with_vtk, window = by_vtk(meshes, views, size)
    draws = {"numpy": by_numpy(meshes, views, size), "device": on_device, "vtk": with_vtk}
    pictures = {name: draw() for name, draw in draws.items()}
    seconds = {name: [] for name in draws}
    for _ in range(repeats):
        for name, draw in draws.items():
            seconds[name].append(timed(draw))
    rates = {name: num_images / statistics.median(taken) for name, taken in seconds.items()}
    row = {"size": size, "triangles": len(meshes[0].faces), **rates}
    row |= {"tiles_at_once": best[0], "images_at_once": best[1]}
    row |= {"mask": overlap(pictures["numpy"], pictures["vtk"]), "backend": backend(window)}
    window.Finalize()
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 224])
    parser.add_argument("--triangles", type=int, nargs="+", default=[200, 1000, 5000])
    parser.add_argument("--images", type=int, default=32, help="pictures of a batch")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu", help="of jax: cpu, gpu, tpu")
    parser.add_argument("--tiles_at_once", type=int, nargs="+", default=[8])
    parser.add_argument("--images_at_once", type=int, nargs="+", default=[1])
    parser.add_argument("--json", type=pathlib.Path)
    flags = parser.parse_args()
    place = jax.devices(flags.device)[0]
    options = list(itertools.product(flags.tiles_at_once, flags.images_at_once))
    rows = []
    with jax.default_device(place):
        for size, num in itertools.product(flags.sizes, flags.triangles):
            rows.append(measure(size, num, flags.images, flags.repeats, options))
    print(f"images per second; jax on {place.device_kind}; VTK {vtk.vtkVersion().GetVTKVersion()}")
    print(f"on {rows[0]['backend']}\n")
    print("| px | triangles | numpy | device | VTK | tiles, images at once | mask |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        numbers = " | ".join(f"{row[name]:.0f}" for name in ("numpy", "device", "vtk"))
        best = f"{row['tiles_at_once']}, {row['images_at_once']}"
        print(f"| {row['size']} | {row['triangles']} | {numbers} | {best} | {row['mask']:.3f} |")
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

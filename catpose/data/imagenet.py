"""Which of ImageNet's classes are of which category."""

from collections.abc import Mapping, Sequence

from catpose.errors import InputError

NUM_CLASSES = 1000
# Of the 1000 classes of ILSVRC 2012, from 0 on, sorted by WordNet id as all networks have them.
CLASSES: Mapping[str, tuple[int, ...]] = {
    # airliner, warplane, wing
    "aeroplane": (404, 895, 908),
    # bicycle built for two, mountain bike; no tricycle, which motorbikes are taken for
    "bicycle": (444, 671),
    # aircraft carrier, canoe, catamaran, container ship, fireboat, gondola, lifeboat, liner,
    # paddle, pirate, schooner, speedboat, submarine, trimaran, yawl
    "boat": (403, 472, 484, 510, 554, 576, 625, 628, 693, 724, 780, 814, 833, 871, 914),
    # beer bottle, beer glass, pill bottle, pop bottle, water bottle, water jug, whiskey jug, wine
    # bottle, red wine
    "bottle": (440, 441, 720, 737, 898, 899, 901, 907, 966),
    # minibus, school bus, trolleybus
    "bus": (654, 779, 874),
    # ambulance, beach wagon, cab, car wheel, convertible, grille, jeep, limousine, minivan,
    # Model T, pickup, police van, racer, sports car
    "car": (407, 436, 468, 479, 511, 581, 609, 627, 656, 661, 717, 734, 751, 817),
    # barber chair, folding chair, rocking chair, throne
    "chair": (423, 559, 765, 857),
    # desk, dining table
    "diningtable": (526, 532),
    # moped, motor scooter
    "motorbike": (665, 670),
    # studio couch
    "sofa": (831,),
    # bullet train, electric locomotive, freight car, passenger car, steam locomotive, streetcar
    "train": (466, 547, 565, 705, 820, 829),
    # desktop computer, monitor, screen, television
    "tvmonitor": (527, 664, 782, 851),
}


def classes(
    categories: Sequence[str], own: Mapping[str, Sequence[int]] = {}
) -> tuple[tuple[int, ...], ...]:
    """The classes of each category, none of them in two.

    Args:
      categories: names.
      own: classes by category, instead of those of `CLASSES`; for categories of one's own.

    Raises:
      InputError: a category without classes, an unknown class, or one in two categories.
    """
    known = {**CLASSES, **own}
    if missing := [name for name in categories if not known.get(name)]:
        raise InputError(
            f"which of ImageNet's classes are '{missing[0]}'? Set config.model.category_classes, "
            f"such as {{'{missing[0]}': (404, 895)}}, or another config.model.category_head"
        )
    found = tuple(tuple(sorted(set(known[name]))) for name in categories)
    every = [number for one in found for number in one]
    for number in every:
        if not 0 <= number < NUM_CLASSES:
            raise InputError(f"config.model.category_classes: {number} is not from 0 to 999")
        if every.count(number) > 1:
            raise InputError(f"config.model.category_classes: {number} is in two categories")
    return found

// What the page for labeling knows: the photos, which of them is open, and which of its objects.

export const state = {
  session: null,
  photos: new Map(), // file -> {file, objects, revision}
  order: [], // files, as they are gone through
  current: null, // the photo that is open
  chosen: 0, // which of its objects
  proposal: null, // of the chosen object
  network: { ready: false, categories: [], has_density: false, error: "", name: "" },
  drawing: false, // the next drag draws a box
};

export const object = () => state.current?.objects[state.chosen];

export const allObjects = () => [...state.photos.values()].flatMap((each) => each.objects);

export const isOpen = (photo) => !photo.objects.length || photo.objects.some((each) => each.state === "draft");

export const isSkipped = () => !object() || object().state === "skipped";

export function blank(category = "") {
  // `local`: nothing of it is the person's yet; `proposed` and `guessed`: its pose, its category.
  const own = { local: true, proposed: true, guessed: !category };
  return { id: null, state: "draft", category, angles_deg: null, box: null, symmetry: "none", ...own };
}

// Saves photos at once and in order, one at a time; what changes meanwhile is saved again.

import { post } from "../server.js";

const AGAIN = 3000; // ms until the next try where the server does not answer

export class Saver {
  constructor({ photoOf, report }) {
    Object.assign(this, { photoOf, report, waiting: new Set(), busy: false });
    window.addEventListener("beforeunload", (event) => {
      if (this.waiting.size || this.busy) event.preventDefault();
    });
  }

  save(file) {
    this.waiting.add(file);
    this.report("saving …");
    clearTimeout(this.timer);
    this.run();
  }

  async run() {
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.waiting.size) {
        const [file] = this.waiting;
        this.waiting.delete(file);
        await this.write(file);
      }
      this.report("saved");
      this.onsaved?.();
    } catch (error) {
      this.report(error.message, true);
      if (!error.status) this.timer = setTimeout(() => this.run(), AGAIN);
    } finally {
      this.busy = false;
    }
  }

  async write(file) {
    const photo = this.photoOf(file);
    const own = photo.objects.filter((each) => !each.local);
    try {
      const found = await post("objects", { file, revision: photo.revision, objects: own.map(plain) });
      photo.revision = found.revision;
      found.objects.forEach((each, i) => (own[i].id = each.id));
    } catch (error) {
      if (error.status === 409) {
        this.waiting.delete(file);
        Object.assign(photo, { objects: error.found.objects, revision: error.found.revision });
        this.onreplaced?.(file, error.message);
        return;
      }
      if (!error.status) this.waiting.add(file);
      throw error;
    }
  }
}

function plain({ id, state, category, angles_deg, box, symmetry }) {
  return { id, state, category, angles_deg, box, symmetry };
}

// What every page has: its parts by name, lines for words, and a way to copy.

export const part = (id) => document.getElementById(id);

export function message(text, calm = false) {
  part("message").textContent = text;
  part("message").classList.toggle("calm", calm);
}

export function status(text, bad = false) {
  part("saved").textContent = text;
  part("saved").classList.toggle("bad", bad);
}

export function counted(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

export function copyable(button, source) {
  // A button that copies the text of another element.
  const words = button.textContent;
  button.addEventListener("click", async () => {
    const copied = await copy(source);
    button.textContent = copied ? "Copied" : "Press Ctrl-C";
    setTimeout(() => (button.textContent = words), 2000);
  });
}

async function copy(source) {
  // Browsers give the clipboard to pages of this machine alone; of others the selection is copied.
  getSelection().selectAllChildren(source);
  if (!navigator.clipboard) return document.execCommand("copy");
  return navigator.clipboard.writeText(source.textContent).then(() => true, () => false);
}

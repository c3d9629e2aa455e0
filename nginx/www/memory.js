// What uploads need to go on after a reload or a crash, in the browser's local storage.

const PREFIX = "fermata:";

/** The same file, chosen again, has the same key. */
export function keyOf(dialect, url, name, file) {
  return PREFIX + JSON.stringify([dialect, url, name, file.size, file.lastModified]);
}

export function recall(key) {
  const text = localStorage.getItem(key);
  return text === null ? null : JSON.parse(text);
}

export function keep(key, state) {
  try {
    localStorage.setItem(key, JSON.stringify(state));
  } catch {
    // Where nothing can be kept, an upload goes on as long as the page is there.
  }
}

export function forget(key) {
  localStorage.removeItem(key);
}

/** All that is kept: key, dialect, name and size of each upload. */
export function all() {
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => {
      const [dialect, , name, size] = JSON.parse(key.slice(PREFIX.length));
      return { key, dialect, name, size };
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

// What uploads need to go on after a reload or a crash, in the browser's local storage.
import { MD5 } from "./md5.js";

const PREFIX = "fermata:";
/** How many places of a file are looked at to tell it from others, and how many bytes of each. */
const SAMPLES = 16;
const SAMPLE_BYTES = 4096;

/** What tells files apart as long as nobody has read them: files that share it are never sent at the same time. */
export function claimOf({ dialect, url, name, file }) {
  return JSON.stringify([dialect, url, name, file.size, file.lastModified]);
}

/**
 * The same file, chosen again, has the same key. One that differs in its path, size, time or sampled bytes has another, so
 * that no upload goes on with the bytes of another file.
 */
export async function keyOf(upload) {
  return PREFIX + JSON.stringify([...JSON.parse(claimOf(upload)), await sample(upload.file)]);
}

/** The MD5 of places all over a file, its first and last bytes among them. */
async function sample(file) {
  const sum = new MD5();
  const last = Math.max(0, file.size - SAMPLE_BYTES);
  const offsets = new Set(Array.from({ length: SAMPLES }, (_, index) => Math.floor((last * index) / (SAMPLES - 1))));
  for (const offset of offsets) {
    sum.update(new Uint8Array(await file.slice(offset, offset + SAMPLE_BYTES).arrayBuffer()));
  }
  return sum.finish();
}

/** Where nothing can be kept, an upload goes on as long as the page is there. */
const kept = new Map();

export function recall(key) {
  const text = kept.get(key) ?? localStorage.getItem(key);
  return text === null ? null : JSON.parse(text);
}

export function keep(key, state) {
  const text = JSON.stringify(state);
  try {
    localStorage.setItem(key, text);
  } catch {
    kept.set(key, text);
  }
}

export function forget(key) {
  kept.delete(key);
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

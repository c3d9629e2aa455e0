// The MD5 of slices of files, computed in a worker.

let worker = null;
let lastID = 0;
const waiting = new Map();

function start() {
  worker = new Worker(new URL("md5-worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data: { id, digest, failure } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (failure) reject(new Error(failure));
    else resolve(digest);
  };
}

/** @param {Blob} blob  @returns {Promise<string>} 32 lower-case hexadecimal digits */
export function md5(blob) {
  if (worker === null) start();
  return new Promise((resolve, reject) => {
    const id = ++lastID;
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, blob });
  });
}

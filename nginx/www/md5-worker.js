// Computes the MD5 of slices of files beside the page: {id, blob} comes, {id, digest} or {id, failure} goes.
import { MD5 } from "./md5.js";

/** How much of a slice is in memory at a time, in bytes. */
const PIECE_BYTES = 1 << 20;

onmessage = async ({ data: { id, blob } }) => {
  try {
    const digest = new MD5();
    for (let offset = 0; offset < blob.size; offset += PIECE_BYTES) {
      digest.update(new Uint8Array(await blob.slice(offset, offset + PIECE_BYTES).arrayBuffer()));
    }
    postMessage({ id, digest: digest.finish() });
  } catch (error) {
    postMessage({ id, failure: String(error) });
  }
};

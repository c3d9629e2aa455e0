// JSON calls, and bytes sent by PUT to signed URLs (docs/dialects/signed.md 5). The interface is that of dcloud.js.
import { Progress, inParallel } from "../transport.js";

const PART_BYTES = 8 << 20;
const KIND = "master";

export async function upload(file, context) {
  const { transport, url } = context;
  let state = context.state;
  let missing;
  const etags = new Map();
  if (state) {
    const answer = await transport.json(`${url}/multipart/list`, state.ids, (answer) =>
      [200, 404].includes(answer.status)
    );
    if (answer.status === 200) {
      for (const { part_number, etag } of answer.json.parts) etags.set(part_number, etag);
      missing = answer.json.missing;
    } else {
      state = null;
    }
  }
  if (!state) {
    const answer = await transport.json(`${url}/multipart/init`, {
      filename: context.name,
      file_size: file.size,
      file_type: KIND,
      content_type: file.type || "application/octet-stream",
      chunk_size: PART_BYTES,
    });
    const { task_id, upload_id, object_key, parts } = answer.json;
    state = { ids: { task_id, upload_id, object_key } };
    context.save(state);
    missing = parts;
  }
  const left = missing.reduce((sum, { size }) => sum + size, 0);
  const progress = new Progress(file.size - left, context.progress);
  await inParallel(missing, context.parallel, async ({ part_number, upload_url, start_byte, end_byte, size }) => {
    const answer = await transport.send({
      method: "PUT",
      url: upload_url,
      headers: { "Content-Type": "application/octet-stream" },
      body: file.slice(start_byte, end_byte),
      onProgress: (bytes) => progress.part(part_number, bytes, size),
    });
    etags.set(part_number, answer.header("ETag").replaceAll('"', ""));
  });
  const parts = [...etags].map(([part_number, etag]) => ({ part_number, etag })).sort(
    (one, other) => one.part_number - other.part_number
  );
  await transport.json(`${url}/multipart/complete`, { ...state.ids, file_type: KIND, parts });
  await transport.json(`${url}/confirm`, { task_id: state.ids.task_id, master_object_key: state.ids.object_key });
  return { name: state.ids.object_key };
}

export async function cancel({ transport, url, state }) {
  if (state) await transport.json(`${url}/multipart/abort`, state.ids, () => true);
}

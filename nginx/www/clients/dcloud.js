// DCloud Uploader (docs/dialects/dcloud.md 1): a multipart boundary names the upload, the `range` parameter says where
// bytes belong.
//
// All clients have this interface:
//
//   upload(file, context) -> Promise<{name: string}>   sends what the server does not have; call it again to go on
//   cancel(context) -> Promise<void>                   has the server forget it, where the protocol can
//
// `context` has
//   url            the mount's URL, without a slash at its end
//   transport      see transport.js
//   name           what the file is to be called: a name, or a path where the protocol has paths
//   parallel       how many parts may be on their way at the same time, where the protocol has parts
//   state          what an earlier call has saved: an object that JSON can carry; null at first
//   save(state)    keeps it, so that the upload can go on after a reload
//   progress(n)    is told how many bytes the server has or is being sent
import { Progress, formBody, randomDigits } from "../transport.js";

/** A segment that is cut off keeps what has arrived, so this is only how often the server commits. */
const SEGMENT_BYTES = 16 << 20;
const FIELD = "file";

export async function upload(file, context) {
  const { transport, url } = context;
  // A new boundary is none that the server knows.
  let isNew = !context.state;
  const state = context.state ?? { boundary: "----Fermata" + randomDigits(32) };
  context.save(state);
  const query = new URLSearchParams({ server: "uploader", action: "query", boundary: state.boundary });
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const asked = () => transport.send({ method: "POST", url, headers, body: String(query) });

  for (;;) {
    const known = isNew ? null : (await asked()).json.file.find(({ name }) => name === FIELD);
    isNew = false;
    const start = known ? Number(known.range.split("-")[1]) : 0;
    const progress = new Progress(start, context.progress);
    const end = Math.min(start + SEGMENT_BYTES, file.size);
    const body = formBody(state.boundary, [
      {
        name: FIELD,
        value: file.slice(start, end, file.type),
        fileName: context.name,
        parameters: `; range="${start}-${end}/${file.size}"`,
      },
    ]);
    const answer = await transport.send({
      method: "POST",
      url,
      headers: { "Content-Type": `multipart/form-data; boundary=${state.boundary}` },
      body,
      onProgress: (bytes) => progress.part(start, bytes, end - start),
    });
    const finished = answer.json.files?.[FIELD];
    if (finished) return { name: finished.name };
  }
}

/** The protocol has a cancel action that is off unless the mount allows it; an upload that rests expires. */
export async function cancel({ transport, url, state }) {
  if (!state) return;
  const body = new URLSearchParams({ server: "uploader", action: "cancel", boundary: state.boundary });
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  await transport.send({ method: "POST", url, headers, body: String(body) }, () => true);
}

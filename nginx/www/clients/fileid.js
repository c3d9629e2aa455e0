// Numbered parts under an integer fileId, at one URL (docs/dialects/fileid.md 2). The interface is that of dcloud.js.
import { md5 } from "../digests.js";
import { Progress, UploadError, formBody, inParallel, randomDigits } from "../transport.js";

/** The folder that files go to. */
const CATALOG = "uploads";

export async function upload(file, context) {
  const { transport, url } = context;
  let state = context.state;
  let known = {};
  if (state) {
    const answer = await transport.fields(url, { option: "initiate", fileId: state.fileId }, (answer) =>
      [200, 404].includes(answer.status)
    );
    if (answer.status === 200) known = answer.json.parts;
    else state = null;
  }
  if (!state) {
    const named = new File([], context.name, { type: file.type });
    const answer = await transport.fields(url, { option: "initiate", catalog: CATALOG, file: named });
    state = { fileId: answer.json.fileId, partBytes: answer.json.suggestedChunkSize };
    context.save(state);
  }
  const count = Math.max(1, Math.ceil(file.size / state.partBytes));
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const slice = (number) => file.slice((number - 1) * state.partBytes, number * state.partBytes, file.type);
  const sizeOf = (number) => Math.min(file.size, number * state.partBytes) - (number - 1) * state.partBytes;

  const digests = {};
  let done = 0;
  for (const number of numbers.filter((number) => known[number])) {
    digests[number] = known[number];
    done += sizeOf(number);
  }
  const progress = new Progress(done, context.progress);
  const missing = numbers.filter((number) => !digests[number]);
  await inParallel(missing, context.parallel, async (number) => {
    const blob = slice(number);
    const digest = await md5(blob);
    const boundary = "----Fermata" + randomDigits(32);
    const body = formBody(boundary, [
      { name: "fileId", value: String(state.fileId) },
      { name: "part", value: String(number) },
      { name: "md5", value: digest },
      { name: "file", value: blob, fileName: context.name },
    ]);
    const answer = await transport.send({
      method: "POST",
      url,
      headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` },
      body,
      onProgress: (bytes) => progress.part(number, bytes, blob.size),
    });
    if (answer.json.md5string !== digest) throw new UploadError("the server has other bytes", 200);
    digests[number] = digest;
  });
  const parts = JSON.stringify(digests);
  const answer = await transport.fields(url, { option: "complete", fileId: state.fileId, parts });
  return { name: answer.json.name };
}

/** The protocol can not: an upload that rests expires. */
export async function cancel() {}

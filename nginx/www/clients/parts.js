// Parallel parts after the model of Alibaba Cloud OSS (docs/dialects/parts.md 3). The interface is that of dcloud.js.
import { md5 } from "../digests.js";
import { Progress, formBody, inParallel, randomDigits } from "../transport.js";

const PART_BYTES = 16 << 20;

export async function upload(file, context) {
  const { transport, url } = context;
  let state = context.state;
  const digests = new Map();
  if (state) {
    const answer = await transport.json(`${url}/listParts`, { uploadId: state.uploadId }, (answer) =>
      [200, 404].includes(answer.status)
    );
    if (answer.status === 200) {
      const list = Array.isArray(answer.json) ? answer.json : answer.json.parts;
      for (const { partNumber, md5 } of list) digests.set(partNumber, md5);
    } else {
      state = null;
    }
  }
  if (!state) {
    const answer = await transport.json(`${url}/uploadInit`, { resourceKey: context.name });
    state = { uploadId: answer.json.uploadId };
    context.save(state);
  }
  const count = Math.max(1, Math.ceil(file.size / PART_BYTES));
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const slice = (number) => file.slice((number - 1) * PART_BYTES, number * PART_BYTES, file.type);
  const done = numbers.filter((number) => digests.has(number));
  const progress = new Progress(
    done.reduce((sum, number) => sum + slice(number).size, 0),
    context.progress
  );
  const missing = numbers.filter((number) => !digests.has(number));
  await inParallel(missing, context.parallel, async (number) => {
    const blob = slice(number);
    const digest = await md5(blob);
    const boundary = "----Fermata" + randomDigits(32);
    const body = formBody(boundary, [
      { name: "partNumber", value: String(number) },
      { name: "uploadId", value: state.uploadId },
      { name: "md5", value: digest },
      { name: "content", value: blob, fileName: context.name },
    ]);
    await transport.send({
      method: "POST",
      url: `${url}/upload`,
      headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` },
      body,
      onProgress: (bytes) => progress.part(number, bytes, blob.size),
    });
    digests.set(number, digest);
  });
  const completeMultipartUpload = numbers.map((partNumber) => ({ partNumber, md5: digests.get(partNumber) }));
  const answer = await transport.json(`${url}/uploadComplete`, { uploadId: state.uploadId, completeMultipartUpload });
  return { name: answer.json.resourceKey };
}

/** The mount must allow it (FERMATA_CANCEL on); else the upload expires. */
export async function cancel({ transport, url, state }) {
  if (state) await transport.json(`${url}/abort`, { uploadId: state.uploadId }, () => true);
}

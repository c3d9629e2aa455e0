// TAPR file-upload: bytes appended at an offset (docs/dialects/offset.md 4). The interface is that of dcloud.js.
import { Progress, UploadError, formBody, randomDigits } from "../transport.js";

/** The largest PATCH that the protocol allows by default is 10 MiB. */
const PATCH_BYTES = 8 << 20;
const FOLDER = "./";

export async function upload(file, context) {
  const { transport, url } = context;
  const fields = {
    storage_path: FOLDER,
    file_relative_path: context.name,
    file_type: context.name.includes(".") ? context.name.split(".").pop() : file.type,
    file_size: String(file.size),
  };
  let { id, offset } = (await transport.fields(url, fields)).json.data;
  // The same POST begins an upload and tells how far it is, by the path alone. Bytes that this file has not brought are
  // another's: it begins anew.
  if (!context.state) offset = 0;
  context.save({});
  while (offset < file.size) {
    const start = offset;
    const progress = new Progress(start, context.progress);
    const blob = file.slice(start, start + PATCH_BYTES, file.type);
    const boundary = "----Fermata" + randomDigits(32);
    // The offset comes first, so that what arrives before a break is kept.
    const body = formBody(boundary, [
      { name: "upload_offset", value: String(start) },
      { name: "file", value: blob, fileName: context.name },
    ]);
    const answer = await transport.send(
      {
        method: "PATCH",
        url: `${url}/${id}`,
        headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` },
        body,
        onProgress: (bytes) => progress.part(start, bytes, blob.size),
      },
      (answer) => answer.status === 200 || answer.json?.message === "Invalid offset"
    );
    if (answer.status === 200) {
      offset = answer.json.data.offset;
    } else {
      // An earlier attempt has brought bytes although its answer was lost.
      offset = (await transport.fields(url, fields)).json.data.offset;
      const isOurs = offset > start && offset <= start + blob.size;
      if (!isOurs) throw new UploadError(answer.json.message, answer.status);
    }
  }
  return { name: context.name };
}

/** The protocol can not: an upload that rests expires. */
export async function cancel() {}

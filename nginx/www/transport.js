// Sends requests, and sends them again while the network or the server is away.

/** A request that will not succeed by being sent again. */
export class UploadError extends Error {
  /** @param {string} message what the server says  @param {number} status its HTTP status, 0 without an answer */
  constructor(message, status) {
    super(message);
    this.name = "UploadError";
    this.status = status;
  }
}

/** Statuses of a server, or of one before it, that will be back. */
const TEMPORARY = new Set([0, 429, 502, 503, 504]);
/** How long a request may bring no byte forward, and how long its answer may take after its last byte, before it is given up. */
const STALL_MS = 30000;
const ANSWER_MS = 60000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;

/** Says what went wrong in an answer of any dialect. */
function explain(answer) {
  try {
    const json = JSON.parse(answer.text);
    return json.message ?? json.detail ?? answer.text;
  } catch {
    return answer.text.slice(0, 200) || `HTTP ${answer.status}`;
  }
}

export class Transport {
  /**
   * @param {object} options
   * @param {AbortSignal} options.signal ends what runs and what waits
   * @param {(exchange: object) => void} [options.onExchange] is told of each request and its answer
   * @param {(seconds: number) => void} [options.onWait] is told how long it waits before it tries again, 0 when it goes on
   */
  constructor({ signal, onExchange = () => {}, onWait = () => {} }) {
    this.signal = signal;
    this.onExchange = onExchange;
    this.onWait = onWait;
  }

  /**
   * Sends a request until there is an answer that means something.
   *
   * @param {object} request method, url, headers, body, and onProgress(bytes sent)
   * @param {(answer: object) => boolean} [accepts] which answers are not errors; 200 by default
   * @returns {Promise<{status: number, text: string, json: any, header: (name: string) => string | null}>}
   */
  async send(request, accepts = (answer) => answer.status === 200) {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      this.signal.throwIfAborted();
      const answer = await this.#once(request);
      if (!TEMPORARY.has(answer.status) || accepts(answer)) {
        this.onWait(0);
        if (accepts(answer)) return answer;
        throw new UploadError(explain(answer), answer.status);
      }
      this.onWait(wait / 1000);
      await this.#rest(wait);
    }
  }

  /** Sends a JSON document. */
  json(url, value, accepts) {
    const headers = { "Content-Type": "application/json" };
    return this.send({ method: "POST", url, headers, body: JSON.stringify(value) }, accepts);
  }

  /** Sends a form of fields. */
  fields(url, fields, accepts) {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value);
    return this.send({ method: "POST", url, body, shown: fields }, accepts);
  }

  /** Waits, but not longer than until the browser is online again. */
  #rest(milliseconds) {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        removeEventListener("online", end);
        this.signal.removeEventListener("abort", abort);
        resolve();
      };
      const abort = () => {
        end();
        reject(this.signal.reason);
      };
      const timer = setTimeout(end, milliseconds);
      addEventListener("online", end);
      this.signal.addEventListener("abort", abort);
    });
  }

  #once({ method, url, headers = {}, body = null, onProgress = () => {}, shown }) {
    return new Promise((resolve, reject) => {
      const xhr = new XMLHttpRequest();
      xhr.open(method, url);
      for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
      const abort = () => xhr.abort();
      // A server that is frozen neither answers nor closes.
      let timer = null;
      let isStalled = false;
      const watch = (milliseconds) => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          isStalled = true;
          xhr.abort();
        }, milliseconds);
      };
      const finish = () => {
        clearTimeout(timer);
        this.signal.removeEventListener("abort", abort);
      };
      const settle = () => {
        finish();
        const text = xhr.responseText ?? "";
        let json = null;
        try {
          json = JSON.parse(text);
        } catch {
          // Not every answer is JSON: that of a PUT has no body, that of a proxy is HTML.
        }
        const header = (name) => xhr.getResponseHeader(name);
        const answer = { status: xhr.status, text, json, header };
        this.onExchange({ method, url, headers, body: shown ?? body, answer });
        resolve(answer);
      };
      xhr.upload.onprogress = (event) => {
        watch(STALL_MS);
        onProgress(event.loaded);
      };
      xhr.upload.onload = () => watch(ANSWER_MS);
      xhr.onload = settle;
      xhr.onerror = settle;
      xhr.ontimeout = settle;
      xhr.onabort = () => {
        finish();
        if (isStalled) resolve({ status: 0, text: "", json: null, header: () => null });
        else reject(this.signal.reason);
      };
      this.signal.addEventListener("abort", abort);
      watch(body === null ? ANSWER_MS : STALL_MS);
      xhr.send(body);
    });
  }
}

/**
 * A multipart/form-data body around a slice of a file, which the browser reads as it sends it.
 *
 * @param {string} boundary between the parts
 * @param {Array<{name: string, value: string | Blob, fileName?: string, parameters?: string}>} parts
 */
export function formBody(boundary, parts) {
  const pieces = [];
  for (const { name, value, fileName, parameters = "" } of parts) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(name)}"`;
    if (fileName !== undefined) head += `; filename="${escaped(fileName)}"`;
    head += parameters + "\r\n";
    if (fileName !== undefined) head += `Content-Type: ${value.type || "application/octet-stream"}\r\n`;
    pieces.push(head + "\r\n", value, "\r\n");
  }
  return new Blob([...pieces, `--${boundary}--\r\n`]);
}

/** A name as browsers write it in a form (WHATWG HTML, multipart encoding). */
function escaped(text) {
  return text.replace(/\n/g, "%0A").replace(/\r/g, "%0D").replace(/"/g, "%22");
}

/** Some random hexadecimal digits. */
export function randomDigits(count) {
  const bytes = crypto.getRandomValues(new Uint8Array(count / 2));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Does tasks with so many at the same time; the first failure ends all.
 *
 * @template T @param {T[]} items @param {number} count @param {(item: T) => Promise<void>} work
 */
export async function inParallel(items, count, work) {
  const rest = items.slice();
  let failure = null;
  const run = async () => {
    for (let item = rest.shift(); item !== undefined && failure === null; item = rest.shift()) {
      try {
        await work(item);
      } catch (error) {
        failure ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, run));
  if (failure !== null) throw failure;
}

/** Adds up what the parts of an upload have sent. */
export class Progress {
  #sent = new Map();
  #done;
  #tell;

  /** @param {number} done bytes that the server has already  @param {(bytes: number) => void} tell */
  constructor(done, tell) {
    this.#done = done;
    this.#tell = tell;
    tell(done);
  }

  /** @param {unknown} part  @param {number} bytes of it that were sent, at most @param {number} size */
  part(part, bytes, size) {
    this.#sent.set(part, Math.min(bytes, size));
    let sum = this.#done;
    for (const count of this.#sent.values()) sum += count;
    this.#tell(sum);
  }
}

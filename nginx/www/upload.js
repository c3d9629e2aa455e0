// One upload, whatever its protocol: runs, rests, goes on, and tells of it.
import * as memory from "./memory.js";
import { Transport, UploadError } from "./transport.js";

/** Over how long speed is measured, in milliseconds. */
const SPEED_WINDOW_MS = 5000;

export class Upload {
  /** waiting, preparing, running, offline, paused, finished, failed, cancelled */
  state = "waiting";
  done = 0;
  /** What the server calls it in the end. */
  storedName = "";
  /** Why it failed. */
  error = null;
  /** In how many seconds it is tried again, while `offline`. */
  wait = 0;
  #control = new AbortController();
  #samples = [];
  #key;

  /**
   * @param {File} file
   * @param {object} settings name (with the path), target (what it is to be called), dialect, url, client (a module of
   *   clients/), parallel, onChange(upload), onKey(key), onExchange
   */
  constructor(file, settings) {
    this.file = file;
    Object.assign(this, settings);
    this.claim = memory.claimOf(this);
  }

  /** Runs to the end, or until it is paused or cancelled. */
  async run() {
    const control = new AbortController();
    this.#control = control;
    this.#samples = [];
    this.error = null;
    this.#become("preparing");
    try {
      if (!this.#key) this.onKey((this.#key = await memory.keyOf(this)));
      control.signal.throwIfAborted();
      const { name } = await this.client.upload(this.file, this.#context());
      memory.forget(this.#key);
      this.storedName = name;
      this.done = this.file.size;
      this.#become("finished");
    } catch (error) {
      if (control.signal.aborted) return;
      // What runs beside the part that failed ends with it.
      control.abort();
      this.error = error;
      // What the server refuses for good is not asked for again after a reload.
      if (error instanceof UploadError && error.status === 403) memory.forget(this.#key);
      this.#become("failed");
    }
  }

  pause() {
    this.#control.abort();
    this.#become("paused");
  }

  /** Has the server forget it, as far as the protocol can. */
  async cancel() {
    this.#control.abort();
    if (!this.#key) return this.#become("cancelled");
    const context = this.#context(new AbortController().signal);
    memory.forget(this.#key);
    this.#become("cancelled");
    try {
      await this.client.cancel(context);
    } catch (error) {
      // It expires by itself.
      console.info("the server was not told", error);
    }
  }

  /** In bytes a second. */
  get speed() {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    return last && last.time > first.time ? (1000 * (last.done - first.done)) / (last.time - first.time) : 0;
  }

  #context(signal = this.#control.signal) {
    const transport = new Transport({
      signal,
      onExchange: this.onExchange,
      onWait: (seconds) => {
        this.wait = seconds;
        this.#become(seconds > 0 ? "offline" : "running");
      },
    });
    return {
      url: this.url,
      transport,
      name: this.target,
      parallel: this.parallel,
      state: memory.recall(this.#key),
      save: (state) => memory.keep(this.#key, state),
      progress: (bytes) => this.#progress(bytes),
    };
  }

  #progress(bytes) {
    const time = performance.now();
    this.done = Math.min(bytes, this.file.size);
    this.#samples.push({ time, done: this.done });
    while (this.#samples.length > 2 && this.#samples[0].time < time - SPEED_WINDOW_MS) this.#samples.shift();
    this.onChange(this);
  }

  #become(state) {
    // A wait that is over says so after every request; what was paused meanwhile stays it.
    if (["paused", "cancelled"].includes(this.state) && state === "running") return;
    this.state = state;
    this.onChange(this);
  }
}

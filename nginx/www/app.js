// The page: files come in, uploads are shown, buttons do what they say.
import * as dcloud from "./clients/dcloud.js";
import * as fileid from "./clients/fileid.js";
import * as offset from "./clients/offset.js";
import * as parts from "./clients/parts.js";
import * as signed from "./clients/signed.js";
import * as memory from "./memory.js";
import { bytes, texts, translated } from "./texts.js";
import { Upload } from "./upload.js";

/** The dialects, where the shipped configuration mounts them, and whether names may be paths. */
const dialects = {
  dcloud: { client: dcloud, url: "/FileUploader", hasPaths: false },
  fileid: { client: fileid, url: "/ehealth-base/multipart/upload", hasPaths: false },
  parts: { client: parts, url: "/v1/multipart/parallel", hasPaths: true },
  offset: { client: offset, url: "/upload", hasPaths: true },
  signed: { client: signed, url: "/tasks/upload", hasPaths: false },
};

/** How often the sum of all is shown, in milliseconds. */
const TOTAL_INTERVAL_MS = 100;
/** How many files are on their way at the same time. */
const FILES_AT_ONCE = 3;
/** How many exchanges are shown. */
const EXCHANGES_MAX = 200;
/** How much of a body is shown, in characters. */
const SHOWN_CHARACTERS = 2000;

const $ = (id) => document.getElementById(id);
const uploads = new Set();
const items = new Map();
/** Uploads that wait for their turn, and how many have it. */
const queue = [];
let running = 0;
/** Uploads by what they are called, as far as the server replaces what has the same path. */
const names = new Map();
/** Of uploads with the same claim, the one that has begun and is not over. */
const holders = new Map();
/** Uploads of an earlier page that have not been chosen again, by their keys. */
const interrupted = new Map(memory.all().map((entry) => [entry.key, entry]));
let language = localStorage.getItem("fermata-language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

const text = (name, values) => {
  const entry = texts[language][name];
  return typeof entry === "function" ? entry(values) : entry;
};

// The queue

function add(file, path) {
  const dialect = $("dialect").value;
  const { client, url, hasPaths } = dialects[dialect];
  // A file that failed and is chosen again takes the place of its upload.
  const before = holders.get(memory.claimOf({ dialect, url, name: path, file }));
  if (before?.state === "failed") remove(before);
  const name = hasPaths ? freePath(dialect, path) : path;
  const upload = new Upload(file, {
    name,
    target: hasPaths ? name : file.name,
    dialect,
    url,
    client,
    parallel: Number($("parallel").value),
    onChange: show,
    onKey: (key) => {
      if (interrupted.delete(key)) showInterrupted();
    },
    onExchange: note,
  });
  uploads.add(upload);
  items.set(upload, makeItem(upload));
  if (hasPaths) names.set(nameIn(dialect, name), upload);
  if (upload.name !== upload.target) $("flat").hidden = false;
  enqueue(upload);
}

const nameIn = (dialect, path) => `${dialect} ${path}`;

/** A path that no other file of this page has: where the server replaces what has the same path, one would be lost. */
function freePath(dialect, path) {
  const dot = path.lastIndexOf(".");
  const stem = dot > path.lastIndexOf("/") + 1 ? dot : path.length;
  let free = path;
  for (let number = 1; names.has(nameIn(dialect, free)); number += 1) free = `${path.slice(0, stem)}[${number}]${path.slice(stem)}`;
  return free;
}

const isOver = ({ state }) => state === "finished" || state === "cancelled";
const isHeld = (upload) => holders.has(upload.claim) && holders.get(upload.claim) !== upload;
const isActive = ({ state }) => ["preparing", "running", "offline"].includes(state);

/** Lets uploads run, those first that came first; of two with the same claim the second when the first is over. */
function work() {
  for (let index = 0; index < queue.length && running < FILES_AT_ONCE; ) {
    const upload = queue[index];
    if (upload.state === "waiting" && isHeld(upload)) {
      index += 1;
      continue;
    }
    queue.splice(index, 1);
    if (upload.state === "waiting") start(upload);
  }
}

async function start(upload) {
  running += 1;
  holders.set(upload.claim, upload);
  await upload.run();
  running -= 1;
  work();
}

function enqueue(upload) {
  upload.state = "waiting";
  if (!queue.includes(upload)) queue.push(upload);
  work();
  show(upload);
}

/** Lets go of what an upload has that is over: of its claim, for others that wait for it, and of a path that it leaves free. */
function release(upload) {
  // What is finished keeps its path, as long as it is shown.
  const path = nameIn(upload.dialect, upload.name);
  if (names.get(path) === upload && !(upload.state === "finished" && uploads.has(upload))) names.delete(path);
  if (holders.get(upload.claim) === upload) holders.delete(upload.claim);
}

// What is shown of an upload

function makeItem(upload) {
  const item = $("upload").content.firstElementChild.cloneNode(true);
  item.dataset.name = upload.name;
  item.querySelector(".name").textContent = upload.name;
  item.querySelector("progress").setAttribute("aria-label", upload.name);
  item.querySelector(".pause").addEventListener("click", () => {
    upload.pause();
    work();
  });
  item.querySelector(".resume").addEventListener("click", () => enqueue(upload));
  item.querySelector(".cancel").addEventListener("click", () => {
    if (isOver(upload)) remove(upload);
    else upload.cancel().then(work);
  });
  $("uploads").append(item);
  return item;
}

function remove(upload) {
  const item = items.get(upload);
  // Whoever uses the keyboard goes on with the next upload, or with choosing files.
  if (item.contains(document.activeElement)) {
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    (neighbour?.querySelector(".buttons button:not([hidden])") ?? $("files")).focus();
  }
  item.remove();
  items.delete(upload);
  uploads.delete(upload);
  release(upload);
  $("flat").hidden = ![...uploads].some(({ name, target }) => name !== target);
  showTotal();
}

/** What is told of an error: what the server says, in the user's words for what kind it is. */
function explain({ name, message: said, status }) {
  // The words of the `dcloud` dialect stand before what the server or the site says itself.
  const message = translated(said.replace(/^File upload stopped by extension: /, ""), language);
  if (name === "NotReadableError" || name === "NotFoundError") return text("unreadable");
  if (status === 507) return text("full", { message });
  if ([403, 413, 415, 422].includes(status)) return text("refused", { message });
  return message;
}

function describe(upload) {
  const { state, done, file, wait, speed } = upload;
  const sizes = { done: bytes(done), size: bytes(file.size) };
  switch (state) {
    case "running": {
      const left = speed > 0 ? text("seconds", Math.ceil((file.size - done) / speed)) : "…";
      return text("running", { ...sizes, speed: bytes(Math.round(speed)), left });
    }
    case "offline": return text("offline", { seconds: Math.ceil(wait) });
    case "paused": return text("paused", sizes);
    case "finished": return text("finished", { name: upload.storedName });
    case "failed": return text("failed", { message: explain(upload.error) });
    case "waiting": return text(isHeld(upload) ? "twin" : "waiting");
    default: return text(state);
  }
}

function show(upload) {
  const item = items.get(upload);
  if (!item) return;
  const { state, done, file, name } = upload;
  if (item.dataset.state !== state) {
    if (state === "finished") $("news").textContent = text("announceFinished", { name });
    if (state === "failed") $("news").textContent = text("announceFailed", { name, message: explain(upload.error) });
    item.dataset.state = state;
    if (isOver(upload)) release(upload);
  }
  item.querySelector("progress").value = file.size > 0 ? done / file.size : Number(state === "finished");
  item.querySelector(".state").textContent = describe(upload);
  const buttons = [
    ["pause", text("pause"), isActive(upload) || state === "waiting"],
    ["resume", text(state === "failed" ? "retry" : "resume"), state === "paused" || state === "failed"],
    ["cancel", text(isOver(upload) ? "remove" : "cancel"), true],
  ];
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  for (const [type, action, isThere] of buttons) {
    const button = item.querySelector("." + type);
    button.hidden = !isThere;
    button.textContent = action;
    button.setAttribute("aria-label", text("button", { action, name }));
  }
  // A button that goes hands the focus on.
  if (focused?.hidden) item.querySelector(".buttons button:not([hidden])").focus();
  showTotal();
}

/** Shows the sum of all, but not for each event of thousands of files. */
let totalTimer = null;
function showTotal() {
  $("none").hidden = uploads.size > 0;
  totalTimer ??= setTimeout(() => {
    totalTimer = null;
    showTotalNow();
  }, TOTAL_INTERVAL_MS);
}

function showTotalNow() {
  const counted = [...uploads].filter(({ state }) => state !== "cancelled");
  const size = counted.reduce((sum, { file }) => sum + file.size, 0);
  const done = counted.reduce((sum, upload) => sum + upload.done, 0);
  $("total").hidden = counted.length < 2;
  $("total-bar").value = size > 0 ? done / size : 0;
  $("total-text").textContent = `${bytes(done)} / ${bytes(size)}`;
}

function showInterrupted() {
  $("interrupted").hidden = interrupted.size === 0;
  $("interrupted-list").replaceChildren(
    ...[...interrupted.values()].map(({ key, dialect, name, size }) => {
      const item = document.createElement("li");
      const label = document.createElement("span");
      label.textContent = `${name} (${bytes(size)}, ${dialect}) `;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text("forget");
      button.setAttribute("aria-label", text("button", { action: text("forget"), name }));
      button.addEventListener("click", () => {
        memory.forget(key);
        interrupted.delete(key);
        showInterrupted();
        ($("interrupted-list").querySelector("button") ?? $("files")).focus();
      });
      item.append(label, button);
      return item;
    })
  );
}

// The conversation

function note({ method, url, headers, body, answer }) {
  if (!$("show").checked) return;
  const shorten = (text) => (text.length > SHOWN_CHARACTERS ? text.slice(0, SHOWN_CHARACTERS) + "…" : text);
  let sent = "";
  if (typeof body === "string") sent = body;
  else if (body instanceof Blob) sent = `(${bytes(body.size)})`;
  else if (body) sent = JSON.stringify(body);
  const pre = document.createElement("pre");
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`).join("");
  pre.textContent = `${method} ${url}\n${fields}\n${shorten(sent)}\n\n${answer.status}\n${shorten(answer.text)}`;
  const item = document.createElement("li");
  item.append(pre);
  $("exchanges").prepend(item);
  while ($("exchanges").childElementCount > EXCHANGES_MAX) $("exchanges").lastElementChild.remove();
}

// Files and folders

/** All files below a dropped entry, with their paths. */
async function walk(entry, path = "") {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    add(file, path + entry.name);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return;
    for (const child of entries) await walk(child, `${path}${entry.name}/`);
  }
}

function choose(event) {
  for (const file of event.target.files) add(file, file.webkitRelativePath || file.name);
  event.target.value = "";
}

$("files").addEventListener("change", choose);
$("folder").addEventListener("change", choose);
$("drop").addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  // Entries are there only as long as the event is.
  for (const entry of [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry())) {
    if (entry) walk(entry);
  }
});

// Settings

for (const name of Object.keys(dialects)) $("dialect").append(new Option(name));
const wanted = new URLSearchParams(location.search).get("dialect");
if (wanted in dialects) $("dialect").value = wanted;
$("show").addEventListener("change", () => {
  $("conversation").hidden = !$("show").checked;
});
$("language").addEventListener("change", () => {
  language = $("language").value;
  localStorage.setItem("fermata-language", language);
  speak();
});

function speak() {
  document.documentElement.lang = language;
  $("language").value = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const upload of uploads) show(upload);
  showInterrupted();
  showTotal();
}

speak();

// The page: files come in, uploads are shown, buttons do what they say.
import * as dcloud from "./clients/dcloud.js";
import * as fileid from "./clients/fileid.js";
import * as offset from "./clients/offset.js";
import * as parts from "./clients/parts.js";
import * as signed from "./clients/signed.js";
import * as memory from "./memory.js";
import { bytes, texts } from "./texts.js";
import { Upload } from "./upload.js";

/** The dialects, where the shipped configuration mounts them, and whether names may be paths. */
const dialects = {
  dcloud: { client: dcloud, url: "/FileUploader", hasPaths: false },
  fileid: { client: fileid, url: "/ehealth-base/multipart/upload", hasPaths: false },
  parts: { client: parts, url: "/v1/multipart/parallel", hasPaths: true },
  offset: { client: offset, url: "/upload", hasPaths: true },
  signed: { client: signed, url: "/tasks/upload", hasPaths: false },
};

/** How many files are on their way at the same time. */
const FILES_AT_ONCE = 3;
/** How many exchanges are shown. */
const EXCHANGES_MAX = 200;
/** How much of a body is shown, in characters. */
const SHOWN_CHARACTERS = 2000;

const $ = (id) => document.getElementById(id);
const uploads = [];
const items = new Map();
let language = localStorage.getItem("fermata-language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

const text = (name, values) => {
  const entry = texts[language][name];
  return typeof entry === "function" ? entry(values) : entry;
};

// The queue

function add(file, path) {
  const dialect = $("dialect").value;
  const { client, url, hasPaths } = dialects[dialect];
  const upload = new Upload(file, {
    name: hasPaths ? path : file.name,
    dialect,
    url,
    client,
    parallel: Number($("parallel").value),
    onChange: show,
    onExchange: note,
  });
  uploads.push(upload);
  items.set(upload, makeItem(upload));
  show(upload);
  work();
}

const isActive = ({ state }) => ["preparing", "running", "offline"].includes(state);

async function work() {
  const next = uploads.find(({ state }) => state === "waiting");
  if (!next || uploads.filter(isActive).length >= FILES_AT_ONCE) return;
  const ended = next.run();
  work();
  await ended;
  work();
}

function resume(upload) {
  upload.state = "waiting";
  show(upload);
  work();
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
  item.querySelector(".resume").addEventListener("click", () => resume(upload));
  item.querySelector(".cancel").addEventListener("click", () => {
    if (upload.state === "finished" || upload.state === "cancelled") remove(upload);
    else upload.cancel().then(work);
  });
  $("uploads").append(item);
  return item;
}

function remove(upload) {
  items.get(upload).remove();
  items.delete(upload);
  uploads.splice(uploads.indexOf(upload), 1);
  showTotal();
}

/** What is told of an error: what the server says, in the user's words for what kind it is. */
function explain({ name, message, status }) {
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
    showInterrupted();
  }
  item.querySelector("progress").value = file.size > 0 ? done / file.size : Number(state === "finished");
  item.querySelector(".state").textContent = describe(upload);
  const isOver = state === "finished" || state === "cancelled";
  const buttons = [
    ["pause", text("pause"), isActive(upload)],
    ["resume", text(state === "failed" ? "retry" : "resume"), state === "paused" || state === "failed"],
    ["cancel", text(isOver ? "remove" : "cancel"), true],
  ];
  for (const [type, action, isThere] of buttons) {
    const button = item.querySelector("." + type);
    button.hidden = !isThere;
    button.textContent = action;
    button.setAttribute("aria-label", text("button", { action, name }));
  }
  showTotal();
}

function showTotal() {
  const counted = uploads.filter(({ state }) => state !== "cancelled");
  const size = counted.reduce((sum, { file }) => sum + file.size, 0);
  const done = counted.reduce((sum, upload) => sum + upload.done, 0);
  $("none").hidden = uploads.length > 0;
  $("total").hidden = counted.length < 2;
  $("total-bar").value = size > 0 ? done / size : 0;
  $("total-text").textContent = `${bytes(done)} / ${bytes(size)}`;
}

function showInterrupted() {
  const running = new Set(uploads.filter(({ state }) => state !== "cancelled").map(({ name, file }) => name + file.size));
  const left = memory.all().filter(({ name, size }) => !running.has(name + size));
  $("interrupted").hidden = left.length === 0;
  $("interrupted-list").replaceChildren(
    ...left.map(({ key, dialect, name, size }) => {
      const item = document.createElement("li");
      const label = document.createElement("span");
      label.textContent = `${name} (${bytes(size)}, ${dialect}) `;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text("forget");
      button.setAttribute("aria-label", text("button", { action: text("forget"), name }));
      button.addEventListener("click", () => {
        memory.forget(key);
        showInterrupted();
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

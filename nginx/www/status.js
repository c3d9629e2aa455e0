// Keeps the status page as it is now; without this it is right when it is loaded.

const PERIOD_MS = 1000;

// What is selected or has the focus stays: only what differs is changed, in its place.

function update(shown, fresh) {
  if (shown.nodeType === Node.TEXT_NODE) {
    if (shown.data !== fresh.data && !isSelected(shown)) shown.data = fresh.data;
    return;
  }
  for (const { name } of [...shown.attributes]) if (!fresh.hasAttribute(name)) shown.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  if (shown.nodeName === "TBODY") updateRows(shown, fresh);
  else updateNodes(shown, fresh);
}

function updateNodes(shown, fresh) {
  let place = shown.firstChild;
  for (const node of fresh.childNodes) {
    const next = place?.nextSibling ?? null;
    if (place?.nodeName === node.nodeName) update(place, node);
    else if (place) place.replaceWith(document.importNode(node, true));
    else shown.append(document.importNode(node, true));
    place = next;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// The rows of uploads come and go: each is known by its number.
function updateRows(shown, fresh) {
  const key = (row, index) => row.dataset.id ?? String(index);
  const rows = new Map([...shown.rows].map((row, index) => [key(row, index), row]));
  const keys = new Set([...fresh.rows].map(key));
  for (const [name, row] of rows) if (!keys.has(name)) row.remove();
  let place = shown.rows[0] ?? null;
  for (const [index, row] of [...fresh.rows].entries()) {
    const known = rows.get(key(row, index));
    if (!known) {
      shown.insertBefore(document.importNode(row, true), place);
      continue;
    }
    if (known === place) place = place.nextElementSibling;
    else shown.insertBefore(known, place);
    update(known, row);
  }
}

function isSelected(node) {
  const selection = getSelection();
  return selection !== null && !selection.isCollapsed && selection.containsNode(node, true);
}

async function refresh() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      update(document.getElementById("status"), page.getElementById("status"));
    }
  } catch {
    // The server is away; what is shown stays until it is back.
  }
  setTimeout(refresh, PERIOD_MS);
}

setTimeout(refresh, PERIOD_MS);

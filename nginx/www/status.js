// Keeps the status page as it is now; without this it is right when it is loaded.

const PERIOD_MS = 1000;

async function refresh() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById("status").replaceWith(page.getElementById("status"));
    }
  } catch {
    // The server is away; what is shown stays until it is back.
  }
  setTimeout(refresh, PERIOD_MS);
}

setTimeout(refresh, PERIOD_MS);

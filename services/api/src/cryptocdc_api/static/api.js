// The API over HTTP: JSON, with the token if one is required.

const KEY = "cryptocdc-token";

export const token = () => sessionStorage.getItem(KEY);

function askForToken() {
  const dialog = document.getElementById("ask-token");
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    sessionStorage.setItem(KEY, document.getElementById("token").value.trim());
    resolve();
  }, { once: true }));
}

export async function get(path, query = {}) {
  const asked = new URLSearchParams(query);
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  const answer = await fetch(`${path}?${asked}`, { headers });
  if (answer.status === 401) {
    await askForToken();
    return get(path, query);
  }
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({}));
    throw new Error(body.errors?.[0]?.message ?? `${path}: ${answer.status}`);
  }
  return answer.json();
}

// Calls `step` repeatedly, `ms` after each call has ended, backing off when it fails. Returns a function that stops it.
export function every(ms, step) {
  let timer, over = false, wait = ms;
  const run = async () => {
    try {
      await step();
      wait = ms;
    } catch {
      wait = Math.min(wait * 2, 10_000); // the connection's state shows the error
    }
    if (!over) timer = setTimeout(run, wait);
  };
  run();
  return () => { over = true; clearTimeout(timer); };
}

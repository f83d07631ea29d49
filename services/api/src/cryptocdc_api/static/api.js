// The API over HTTP: JSON, with the token where one is asked for.

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
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.errors?.[0]?.message ?? `${path}: ${answer.status}`);
  }
  return answer.json();
}

// Calls `step` again and again, `ms` after the last has ended and later where it fails; the function returned ends it.
export function every(ms, step) {
  let timer, over = false, wait = ms;
  const run = async () => {
    try {
      await step();
      wait = ms;
    } catch {
      wait = Math.min(wait * 2, 10_000); // the connection's state says what is wrong
    }
    if (!over) timer = setTimeout(run, wait);
  };
  run();
  return () => { over = true; clearTimeout(timer); };
}

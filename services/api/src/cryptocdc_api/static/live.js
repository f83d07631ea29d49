// New rows over a WebSocket, which is reconnected with back-off; the page then reads what it missed.

import { token } from "./api.js";

const FIRST_MS = 500, LONGEST_MS = 15_000, SILENT_MS = 45_000;

// Calls `opened` when rows start to arrive (again), `rows` with each array of them, `state` with "connecting", "live", "away".
export function live(symbol, { opened, rows, state }) {
  let socket, timer, silence, wait = FIRST_MS, over = false;

  function again() {
    if (over) return;
    state("away", wait);
    timer = setTimeout(connect, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_MS);
  }

  function heard() {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), SILENT_MS); // a broken connection may go unnoticed
  }

  function connect() {
    const url = new URL(`live?symbols=${encodeURIComponent(symbol)}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url, token() ? [`bearer.${encodeURIComponent(token())}`] : []);
    socket.onmessage = ({ data }) => {
      heard();
      const found = JSON.parse(data);
      if (Array.isArray(found)) rows(found);
      else { wait = FIRST_MS; state("live"); opened(); }
    };
    socket.onclose = () => { clearTimeout(silence); again(); };
  }

  state("connecting");
  connect();
  const online = () => { if (socket.readyState === WebSocket.CLOSED) { clearTimeout(timer); connect(); } };
  addEventListener("online", online);
  return () => { over = true; removeEventListener("online", online); clearTimeout(timer); clearTimeout(silence); socket.onclose = null; socket.close(); };
}

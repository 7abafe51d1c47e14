/* The plan page: tells when the run has changed, so that nobody decides on what is over. */

import { Connection } from "./run_connection.js";

const root = document.querySelector("#plan");
const news = root.querySelector("#plan-news");
const reason = root.querySelector("#reason");

// A decision under way brings its own answer; to load the page anew would throw that away.
let isDeciding = false;
document.addEventListener("submit", () => {
  isDeciding = true;
});

const connection = new Connection({
  socket: root.dataset.socket,
  events: root.dataset.events,
  after: Number(root.dataset.lastSeq),
  onEvent: (event) => {
    if (event.kind !== "run" && event.kind !== "approval") return;
    // Who has nothing typed loses nothing by seeing it at once.
    const started = event.kind === "run" && ["queued", "running"].includes(event.state);
    const lookedAt = location.pathname.endsWith("/plan/");
    if (isDeciding) return;
    if (started && !reason?.value && !lookedAt) location.reload();
    else news.hidden = false;
  },
  onBytes: () => {},
  onState: (name) => {
    root.dataset.connection = name;
  },
});
connection.start();

/* What every page does: theme switch, menus, relative times, fragments that keep themselves fresh. */
(() => {
  "use strict";

  // --- Theme switch ---------------------------------------------------------------------------------
  function showTheme() {
    const choice = window.portalTheme.chosen();
    for (const button of document.querySelectorAll("[data-set-theme]")) {
      button.setAttribute("aria-pressed", String(button.dataset.setTheme === choice));
    }
  }
  document.addEventListener("portal:theme", showTheme);

  // --- Menus: <details data-menu> close on Escape, and when something else is used ------------------------
  function closeMenus(except) {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (menu !== except) menu.open = false;
    }
  }
  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-set-theme]");
    if (choice) window.portalTheme.choose(choice.dataset.setTheme);
    closeMenus(event.target.closest("details[data-menu]"));
  });
  document.addEventListener("focusin", (event) => closeMenus(event.target.closest("details[data-menu]")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.querySelector("details[data-menu][open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });

  // --- Times ------------------------------------------------------------------------------------------
  const MINUTE = 60, HOUR = 3600, DAY = 86400;
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  function distance(seconds) {
    const size = Math.abs(seconds);
    if (size < 45) return seconds <= 0 ? "just now" : "in a moment";
    let text;
    if (size < 45 * MINUTE) text = `${Math.max(1, Math.round(size / MINUTE))} min`;
    else if (size < 22 * HOUR) text = `${Math.max(1, Math.round(size / HOUR))} h`;
    else {
      const days = Math.max(1, Math.round(size / DAY));
      text = days === 1 ? "1 day" : `${days} days`;
    }
    return seconds > 0 ? `in ${text}` : `${text} ago`;
  }

  function showTimes(root) {
    for (const time of root.querySelectorAll("time[data-when]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      const words = distance((moment.getTime() - Date.now()) / 1000);
      if (time.textContent !== words) time.textContent = words;
      time.title = `${exact.format(moment)}\n${moment.toISOString()}`;
    }
  }

  // --- Fragments: [data-refresh=SECONDS] with hx-trigger="refresh", only while somebody can see them -----------
  const asked = new WeakMap();
  function refreshDue(now) {
    if (document.hidden || !window.htmx) return;
    for (const part of document.querySelectorAll("[data-refresh]")) {
      if (!asked.has(part)) asked.set(part, now);
      if (now - asked.get(part) < Number(part.dataset.refresh) * 1000) continue;
      asked.set(part, now);
      window.htmx.trigger(part, "refresh");
    }
  }
  document.addEventListener("visibilitychange", () => refreshDue(Infinity));

  // --- Buttons that submit say so and cannot be pressed twice ------------------------------------------------
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || event.defaultPrevented || event.target.method !== "post") return;
    button.classList.add("is-sending");
    // Not at once: a disabled button's own name and value would not be sent.
    window.setTimeout(() => { button.disabled = true; }, 0);
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll(".is-sending")) {
      button.classList.remove("is-sending");
      button.disabled = false;
    }
  });

  showTheme();
  showTimes(document);
  document.addEventListener("htmx:after:swap", () => showTimes(document));
  window.setInterval(() => showTimes(document), 20000);
  window.setInterval(() => refreshDue(performance.now()), 500);
})();

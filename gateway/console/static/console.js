// What the page does beside being a page: keys, time left, and looking again when something has changed.
// Without it everything can still be read and decided. No key decides: keys move the focus, Enter presses.
"use strict";
(() => {
  const typing = (element) => element.matches("input:not([type=checkbox]), textarea, select");

  const rows = () => [...document.querySelectorAll("[data-row]")];
  const step = (by) => {
    const all = rows();
    const next = all[Math.min(all.length - 1, Math.max(0, all.indexOf(document.activeElement) + by))];
    if (next) next.focus();
    return Boolean(next);
  };
  const reach = (key) => {
    const found = document.querySelector(`[data-key="${key}"]`);
    if (!found) return false;
    found.scrollIntoView({ block: "center" });
    if (found.matches("details > summary") && !found.parentElement.open) found.parentElement.open = true;
    found.focus({ focusVisible: true });
    return true;
  };
  const keys = {
    a: () => reach("a"),
    r: () => reach("r"),
    e: () => reach("e"),
    u: () => reach("u"),
    j: () => step(1),
    k: () => step(-1),
    n: () => {
      const next = document.querySelector('[data-key="n"]');
      if (next) next.click();
      return Boolean(next);
    },
    p: () => {
      const pause = document.querySelector('[data-key="p"]');
      if (pause) pause.click();
      return Boolean(pause);
    },
    "/": () => reach("/"),
    i: () => {
      location.assign("/inbox");
      return true;
    },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key === "Escape" && typing(event.target)) event.target.blur();
    else if (!typing(event.target) && keys[event.key]?.()) event.preventDefault();
  });

  // A form is sent once; the server would take a second one for the same, but nobody should have to know that.
  document.addEventListener("submit", (event) => {
    const buttons = event.target.querySelectorAll("button");
    setTimeout(() => buttons.forEach((button) => (button.disabled = true)), 0);
  });
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());

  // The server says how much time is left, so a wrong clock here does not matter.
  const until = new WeakMap();
  const SOON = 5 * 60;
  const left = (seconds) => {
    const [d, h, m] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
    if (d) return h ? `${d} d ${h} h` : `${d} d`;
    if (h) return m ? `${h} h ${m} min` : `${h} h`;
    return m ? `${m} min` : `${seconds} s`;
  };
  const tick = () => {
    for (const element of document.querySelectorAll("[data-left]")) {
      if (!until.has(element)) until.set(element, performance.now() + Number(element.dataset.left));
      const seconds = Math.max(0, Math.floor((until.get(element) - performance.now()) / 1000));
      const text = `${left(seconds)} left`;
      if (element.textContent !== text) element.textContent = text;
      element.classList.toggle("soon", seconds < SOON);
    }
  };
  tick();
  setInterval(tick, 1000);

  // Looking again. What has the focus keeps it. Twice, because an answer that is on its way may be older than the change,
  // and the element that would ask anew is replaced by that answer.
  let later = 0;
  const look = () => {
    const ask = () => htmx.trigger(document.body, "changed");
    clearTimeout(later);
    later = setTimeout(ask, 1000);
    ask();
  };
  const events = document.body.dataset.events;
  if (events && window.EventSource) {
    const source = new EventSource(events);
    source.addEventListener("open", look);  // for what happened since the page was drawn, or the stream broke
    source.addEventListener("changed", look);
    window.addEventListener("pagehide", () => source.close());
  }
  let focused = "";
  document.addEventListener("htmx:before:swap", () => {
    focused = document.activeElement?.matches("[data-row]") ? document.activeElement.getAttribute("href") : "";
  });
  document.addEventListener("htmx:after:swap", () => {
    if (focused) rows().find((row) => row.getAttribute("href") === focused)?.focus({ preventScroll: true });
    tick();
  });
})();

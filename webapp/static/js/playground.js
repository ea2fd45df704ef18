// Ctrl+Enter writes; the link is copied; a text that grows stays in view where one reads its end.
(() => {
  "use strict";

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const form = event.target.closest("form[data-playground]");
    if (form) form.requestSubmit();
  });

  for (const button of document.querySelectorAll("[data-copy-link]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(location.href);
      window.graft.toast(gettext("Link copied."));
    });
  }

  // The texts are replaced while they grow: each keeps its place, at the end if it was there.
  let places = [];
  const texts = () => [...document.querySelectorAll("[data-answer-text]")];
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!event.detail.target.matches("[data-answers]")) return;
    // Somebody who marks text to copy it would lose the marking.
    const chosen = getSelection();
    if (!chosen.isCollapsed && event.detail.target.contains(chosen.anchorNode)) {
      event.detail.shouldSwap = false;
      return;
    }
    places = texts().map((text) => {
      const below = text.scrollHeight - text.scrollTop - text.clientHeight;
      return below < 24 ? null : text.scrollTop;
    });
  });
  document.addEventListener("htmx:afterSwap", () => {
    texts().forEach((text, index) => {
      const place = places[index];
      text.scrollTop = place === null || place === undefined ? text.scrollHeight : place;
    });
    places = [];
  });
})();

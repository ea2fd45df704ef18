// The page of one run: asks before cancelling, keeps the title and the log's end in view.
(() => {
  "use strict";

  // A form with data-dialog asks in that dialog first. Without JavaScript it is simply sent.
  let waiting = null;
  document.addEventListener("submit", (event) => {
    const selector = event.target.dataset.dialog;
    if (!selector || event.target.dataset.confirmed) return;
    event.preventDefault();
    waiting = event.target.getAttribute("action");
    document.querySelector(selector).showModal();
  });
  document.addEventListener("click", (event) => {
    const dialog = event.target.closest("dialog");
    if (!dialog) return;
    if (event.target.closest("[data-confirm-no]") || event.target === dialog) dialog.close();
    if (event.target.closest("[data-confirm-yes]")) {
      dialog.close();
      // The form itself may have been replaced by polling meanwhile: find the one that is there.
      const form = [...document.querySelectorAll("form[data-dialog]")].find(
        (one) => one.getAttribute("action") === waiting,
      );
      if (!form) return;
      form.dataset.confirmed = "yes";
      form.requestSubmit();
    }
  });

  // Printing needs JavaScript, so the button shows itself only with it.
  document.querySelectorAll("[data-print]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  });

  const log = () => document.getElementById("log");
  const atEnd = (element) => element.scrollHeight - element.scrollTop - element.clientHeight < 40;
  let follow = true;
  document.addEventListener("htmx:beforeSwap", () => {
    if (log()) follow = atEnd(log());
  });
  document.addEventListener("htmx:afterSettle", () => {
    const live = document.querySelector("[data-live-title]");
    if (live) document.title = live.dataset.liveTitle;
    if (log() && follow) log().scrollTop = log().scrollHeight;
  });
  if (log()) log().scrollTop = log().scrollHeight;
})();

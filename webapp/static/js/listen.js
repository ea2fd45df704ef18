// What was made is heard on the spot, one sound at a time; a second press stops it. Without this
// script a link opens the sound in the browser's own player.
(() => {
  "use strict";

  const player = new Audio();
  let address = "";

  function show() {
    document.querySelectorAll("[data-play]").forEach((link) => {
      const playing = link.href === address;
      link.classList.toggle("playing", playing);
      link.setAttribute("aria-pressed", String(playing));
    });
  }

  function stop() {
    player.pause();
    address = "";
    show();
  }

  document.querySelectorAll("[data-play]").forEach((link) => link.setAttribute("role", "button"));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-play]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.href === address) {
      stop();
      return;
    }
    address = link.href;
    player.src = address;
    show();
    player.play().catch(() => {
      // Stopped before it began, or it cannot be played: the link is what it was.
      if (link.href === address) stop();
    });
  });
  player.addEventListener("ended", stop);
  // What is called a button answers to the space bar too.
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches("[data-play]")) return;
    event.preventDefault();
    event.target.click();
  });
  // Rows that came in while it trains, or took the place of others.
  document.addEventListener("htmx:afterSettle", () => {
    document.querySelectorAll("[data-play]").forEach((link) => link.setAttribute("role", "button"));
    show();
  });
})();

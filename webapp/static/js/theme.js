// Runs before the first paint: the chosen theme, else the system's.
(() => {
  const stored = localStorage.getItem("graft-theme");
  const dark = stored ? stored === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
})();

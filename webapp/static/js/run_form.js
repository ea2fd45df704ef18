// The form of a new run: presets and data fill fields, and pressing Start is never mistaken for a check.
(() => {
  "use strict";

  const form = document.querySelector("[data-run-form]");
  if (!form) return;

  // A check that arrived between pressing and letting go would move the button from under the pointer.
  form.addEventListener("pointerdown", (event) => {
    if (event.target.closest('button[name="action"]')) htmx.trigger(form, "htmx:abort");
  });

  // htmx checks while one types; the buttons send the form as a page of its own.
  form.addEventListener(
    "submit",
    () => {
      form.querySelectorAll("button").forEach((button) => button.classList.add("disabled"));
    },
    { capture: true },
  );
  window.addEventListener("pageshow", () => {
    form.querySelectorAll("button").forEach((button) => button.classList.remove("disabled"));
  });

  function set(name, value) {
    for (const input of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (input.type === "checkbox") {
        input.checked = Array.isArray(value) ? value.includes(input.value) : Boolean(value);
      } else if (input.type === "radio") {
        input.checked = input.value === value;
      } else {
        input.value = value;
      }
    }
  }

  const preset = form.querySelector("[data-preset]");
  const fills = (option) => JSON.parse(option.dataset.fills || "{}");

  form.addEventListener("change", (event) => {
    if (event.target === preset || event.target.id === "data") {
      for (const [name, value] of Object.entries(fills(event.target.selectedOptions[0]))) {
        set(name, value);
      }
    }
    if (event.target.dataset.sets) {
      for (const [name, value] of Object.entries(JSON.parse(event.target.dataset.sets))) {
        set(name, value);
      }
    }
  });

  // Dimensions changed by hand are no preset any more.
  form.addEventListener("input", (event) => {
    if (!preset || !event.target.name?.startsWith("model.")) return;
    const matching = [...preset.options].find(
      (option) =>
        option.dataset.fills &&
        Object.entries(fills(option)).every(([name, value]) => {
          if (!name.startsWith("model.")) return true;
          const input = form.querySelector(`[name="${CSS.escape(name)}"]`);
          return input.type === "checkbox" ? input.checked === value : input.value === value;
        }),
    );
    preset.value = matching ? matching.value : "";
  });

  // What the check found belongs to the inputs, for those who cannot see red.
  document.addEventListener("htmx:afterSettle", mark);
  function mark() {
    for (const place of form.querySelectorAll("[data-error]")) {
      const wrong = place.textContent.trim() !== "";
      const input = document.getElementById(place.id.replace(/-error$/, ""));
      if (!input) continue;
      if (wrong) {
        input.setAttribute("aria-invalid", "true");
        input.closest("details")?.setAttribute("open", "");
      } else {
        input.removeAttribute("aria-invalid");
      }
    }
  }
  mark();
  document.querySelector("[data-focus]")?.focus();

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-download]");
    if (!button) return;
    const text = document.querySelector(button.dataset.download).textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
    link.download = button.dataset.filename;
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();

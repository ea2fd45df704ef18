// Behaviour that every page shares. Hooks are data-* attributes, so that grep finds them.
(() => {
  "use strict";

  document.addEventListener("click", (event) => {
    const toggle = event.target.closest("[data-theme-toggle]");
    if (toggle) {
      const root = document.documentElement;
      root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
      localStorage.setItem("graft-theme", root.dataset.bsTheme);
      document.dispatchEvent(new CustomEvent("graft:theme"));
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      copyText(document.querySelector(copy.dataset.copy));
    }
  });

  // What cannot be taken back is asked about first.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, true);

  // A form is sent once: what a second press would make is made already. The pressed button looks
  // it until another page comes, or this one again. data-stays: the answer is a file, or none.
  const PATIENCE_MS = 20000;
  const sent = new Map();
  function release(form) {
    if (!sent.has(form)) return;
    const { button, timer } = sent.get(form);
    clearTimeout(timer);
    button?.classList.remove("disabled");
    sent.delete(form);
  }
  // On the window, so that whoever asks first or sends it by a script has had its turn.
  window.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter;
    if (event.defaultPrevented || button?.hasAttribute("data-stays")) return;
    // By attribute: a field that is named "method" hides the form's own.
    const method = button?.getAttribute("formmethod") ?? form.getAttribute("method");
    if (method?.toLowerCase() !== "post") return;
    if (sent.has(form)) {
      event.preventDefault();
      return;
    }
    button?.classList.add("disabled");
    // Whoever stopped a slow answer can press again.
    sent.set(form, { button, timer: setTimeout(() => release(form), PATIENCE_MS) });
  });
  window.addEventListener("pageshow", () => [...sent.keys()].forEach(release));
  window.addEventListener("keydown", (event) => {
    if (event.key === "Escape") [...sent.keys()].forEach(release);
  });

  // After a form was refused, what is wrong with it is read out first.
  document.querySelector("[data-focus]")?.focus();

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-submit-on-change]");
    if (form) form.requestSubmit();
  });

  // A slider says where it stands.
  document.addEventListener("input", (event) => {
    const place = event.target.dataset?.shows;
    if (place) document.querySelector(place).textContent = event.target.value;
  });

  // Browsers give the clipboard only to pages on https or loopback; elsewhere the text is selected.
  async function copyText(element) {
    try {
      await navigator.clipboard.writeText(element.textContent.trim());
      toast(gettext("Copied."));
    } catch {
      getSelection().selectAllChildren(element);
      toast(gettext("Press Ctrl+C to copy what is selected."));
    }
  }

  // A request that fails must say so: htmx itself stays silent.
  const failed = (text) => toast(text, "danger");
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401) failed(gettext("You are signed out. Sign in again in another tab; what you typed is still here."));
    else if (status === 403) failed(gettext("You may look at this but not change it."));
    else if (status === 404) failed(gettext("This is no longer there."));
    else failed(gettext("The server could not do this. Nothing was changed; please try again."));
  });
  document.addEventListener("htmx:sendError", () => {
    failed(gettext("No connection. What you typed is still here; please try again."));
  });

  function toast(text, kind = "secondary") {
    const holder = document.getElementById("toasts");
    if ([...holder.children].some((item) => item.textContent.trim() === text)) return;
    const element = document.createElement("div");
    element.className = `toast align-items-center text-bg-${kind} border-0`;
    element.setAttribute("role", "status");
    const body = document.createElement("div");
    body.className = "toast-body";
    body.textContent = text;
    element.append(body);
    holder.append(element);
    element.addEventListener("hidden.bs.toast", () => element.remove());
    bootstrap.Toast.getOrCreateInstance(element, { delay: 5000 }).show();
  }
  window.graft = { toast };
})();

// Files sent in pieces (tus), with progress, rate and time left; they go on after a cut connection
// and after a reload.
//
//   <div data-upload data-upload-url="…" data-upload-name="upload">
//     <label data-upload-drop> … <input type="file"> </label>
//     <ul data-upload-list></ul>
//   </div>
//
// data-upload-url    where uploads are made
// data-upload-name   name of the hidden field that gets each upload's id
// data-upload-many   several files or a whole folder; each keeps its path as relativePath
// data-upload-submit on the form's button: waits for what is on its way
//
// Without this script the file goes with the form.
(() => {
  "use strict";

  const CHUNK = 8 * 1024 * 1024;
  const WINDOW_MS = 6000; // over which the rate is measured
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];

  function size(bytes) {
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) {
      bytes /= 1024;
      unit += 1;
    }
    return `${bytes.toFixed(unit ? 1 : 0)} ${units[unit]}`;
  }

  function clock(seconds) {
    const whole = Math.round(seconds);
    const minutes = Math.floor(whole / 60);
    const rest = String(whole % 60).padStart(2, "0");
    if (minutes < 60) return `${minutes}:${rest}`;
    return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
  }

  // "12%", never 100 before the last byte is there.
  const share = (sent, total) => `${Math.min(Math.floor((100 * sent) / total), sent < total ? 99 : 100)}%`;

  function token() {
    return JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  }

  function make(tag, className, text) {
    const element = document.createElement(tag);
    element.className = className;
    if (text) element.textContent = text;
    return element;
  }

  // One file on its way: its row in the list and its transfer.
  class Item {
    constructor(zone, file, path) {
      this.zone = zone;
      this.file = file;
      this.done = false;
      this.failed = false;
      this.marks = [];
      this.row = make("li", "upload-item");
      this.row.dataset.uploadItem = "";
      this.name = make("span", "upload-name", path || file.name);
      this.bar = make("progress", "bar");
      this.bar.max = 1000;
      this.bar.value = 0;
      this.bar.setAttribute("aria-label", path || file.name);
      this.note = make("span", "upload-note", gettext("Starting…"));
      this.note.setAttribute("role", "status");
      this.again = make("button", "btn btn-sm btn-primary", gettext("Continue"));
      this.again.type = "button";
      this.again.hidden = true;
      this.again.addEventListener("click", () => this.start());
      this.drop = make("button", "btn btn-sm btn-outline-secondary", gettext("Remove"));
      this.drop.type = "button";
      this.drop.addEventListener("click", () => this.remove());
      this.row.append(this.name, this.bar, this.note, this.again, this.drop);
      zone.list.append(this.row);

      const metadata = { filename: file.name };
      if (path) metadata.relativePath = path;
      this.transfer = new tus.Upload(file, {
        endpoint: zone.url,
        chunkSize: CHUNK,
        retryDelays: [0, 1000, 3000, 5000, 10000],
        headers: { "X-CSRFToken": token() },
        metadata,
        removeFingerprintOnSuccess: true,
        onProgress: (sent, total) => this.progress(sent, total),
        onShouldRetry: (error, attempt, options) => {
          const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
          const retry = status === 0 || status === 409 || status === 423 || (status >= 500 && status !== 507);
          if (retry) this.say(gettext("The connection was cut. Trying again…"));
          return retry;
        },
        onSuccess: () => this.succeed(),
        onError: (error) => this.fail(error),
      });
      this.begin();
    }

    async begin() {
      try {
        const earlier = await this.transfer.findPreviousUploads();
        if (earlier.length) {
          earlier.sort((a, b) => new Date(b.creationTime) - new Date(a.creationTime));
          this.transfer.resumeFromPreviousUpload(earlier[0]);
        }
      } catch {
        // Storage is blocked in this browser: the upload works, it just cannot be resumed later.
      }
      this.start();
    }

    start() {
      this.failed = false;
      this.again.hidden = true;
      this.row.classList.remove("upload-failed");
      this.marks = [];
      this.transfer.start();
      this.zone.changed();
    }

    progress(sent, total) {
      const now = performance.now();
      this.sent = sent;
      this.bar.value = Math.floor((1000 * sent) / total);
      this.marks.push([now, sent]);
      while (this.marks.length > 2 && now - this.marks[0][0] > WINDOW_MS) this.marks.shift();
      const [then, before] = this.marks[0];
      const rate = now > then ? ((sent - before) * 1000) / (now - then) : 0;
      const values = { share: share(sent, total), total: size(total), rate: size(rate), left: rate ? clock((total - sent) / rate) : "–" };
      if (rate && now - then > 500) {
        this.say(interpolate(gettext("%(share)s of %(total)s · %(rate)s/s · %(left)s left"), values, true));
      } else {
        this.say(interpolate(gettext("%(share)s of %(total)s"), values, true));
      }
    }

    succeed() {
      this.done = true;
      this.bar.value = 1000;
      this.row.classList.add("upload-done");
      this.say(interpolate(gettext("%(total)s arrived"), { total: size(this.file.size) }, true));
      const id = this.transfer.url.replace(/\/$/, "").split("/").pop();
      this.forget(id);
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = this.zone.name;
      field.value = id;
      this.row.append(field);
      this.zone.changed();
    }

    fail(error) {
      this.failed = true;
      this.row.classList.add("upload-failed");
      const response = error.originalResponse;
      const status = response ? response.getStatus() : 0;
      const sentence = response && status >= 400 && status < 600 && response.getHeader("Tus-Resumable") ? response.getBody() : "";
      const refused = status === 400 || status === 413;
      if (sentence) this.say(sentence);
      else if (status === 403) this.say(gettext("You may look at this but not upload."));
      else if (this.sent) {
        this.say(interpolate(gettext("Cut off. %(share)s arrived and is kept; continue when the connection is back."), { share: share(this.sent, this.file.size) }, true));
      } else this.say(gettext("The server could not be reached. Continue when the connection is back."));
      this.again.hidden = refused || status === 403;
      this.zone.changed();
    }

    async remove() {
      if (!this.done) await this.transfer.abort().catch(() => {});
      if (this.transfer.url) {
        const headers = { "X-CSRFToken": token(), "Tus-Resumable": "1.0.0" };
        fetch(this.transfer.url, { method: "DELETE", headers }).catch(() => {});
      }
      this.zone.items = this.zone.items.filter((item) => item !== this);
      this.row.remove();
      this.zone.changed();
    }

    // The row of what was cut off before: it is this file now.
    forget(id) {
      const old = document.querySelector(`[data-unfinished="${CSS.escape(id)}"]`);
      if (!old) return;
      const holder = old.closest(".unfinished");
      old.remove();
      if (holder && !holder.querySelector("[data-unfinished]")) holder.remove();
    }

    say(text) {
      if (this.note.textContent !== text) this.note.textContent = text;
    }
  }

  class Zone {
    constructor(element) {
      this.element = element;
      this.url = element.dataset.uploadUrl;
      this.name = element.dataset.uploadName || "upload";
      this.many = "uploadMany" in element.dataset;
      this.list = element.querySelector("[data-upload-list]");
      this.items = [];
      this.waiting = false;
      this.form = element.closest("form");
      const drop = element.querySelector("[data-upload-drop]") || element;
      for (const input of element.querySelectorAll('input[type="file"]')) {
        input.addEventListener("change", () => {
          this.add([...input.files].map((file) => [file, file.webkitRelativePath]));
          input.value = ""; // the file goes in pieces and not with the form
        });
      }
      drop.addEventListener("dragover", (event) => {
        event.preventDefault();
        drop.classList.add("is-over");
      });
      drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
      drop.addEventListener("drop", async (event) => {
        event.preventDefault();
        drop.classList.remove("is-over");
        this.add(await dropped(event.dataTransfer));
      });
      if (this.form) {
        this.form.addEventListener("submit", (event) => this.submit(event));
        this.button = this.form.querySelector("[data-upload-submit]");
        this.label = this.button ? this.button.textContent : "";
      }
    }

    add(files) {
      if (!files.length) return;
      if (!this.many) {
        files = files.slice(0, 1);
        for (const item of this.items) item.remove();
        for (const row of this.list.querySelectorAll("[data-upload-item]")) row.remove();
      }
      for (const [file, path] of files) this.items.push(new Item(this, file, this.many ? path || file.name : ""));
      const name = this.form && this.form.querySelector('[name="name"]');
      if (name && !name.value && files.length) name.value = suggested(files[0]);
      this.changed();
    }

    get busy() {
      return this.items.some((item) => !item.done && !item.failed);
    }

    changed() {
      const complete = this.items.length > 0 && this.items.every((item) => item.done);
      this.element.dispatchEvent(new CustomEvent("graft:uploads", { bubbles: true, detail: { complete, busy: this.busy } }));
      if (!this.waiting || this.busy) return;
      this.wait(false);
      if (complete) this.form.requestSubmit(this.button);
    }

    // Sending the form while a file is on its way: once it has arrived, by itself.
    submit(event) {
      if (event.submitter && event.submitter.hasAttribute("formaction")) return;
      if (this.busy) {
        event.preventDefault();
        this.wait(true);
      } else if (this.items.some((item) => item.failed)) {
        event.preventDefault();
        this.items.find((item) => item.failed).again.focus();
      }
    }

    wait(waiting) {
      this.waiting = waiting;
      if (!this.button) return;
      this.button.disabled = waiting;
      this.button.textContent = waiting ? gettext("Goes on when the file has arrived…") : this.label;
    }
  }

  function suggested([file, path]) {
    const base = path ? path.split("/")[0] : file.name.replace(/\.[a-z0-9]{1,5}$/i, "");
    return base.replace(/[_-]+/g, " ").trim().slice(0, 120);
  }

  // Files of a drop, folders opened: [[File, "folder/path"], …].
  async function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files].map((file) => [file, ""]);
    const found = [];
    const walk = async (entry) => {
      if (entry.isFile) {
        found.push([await new Promise((resolve, reject) => entry.file(resolve, reject)), entry.fullPath.slice(1)]);
        return;
      }
      const reader = entry.createReader();
      for (;;) {
        const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!batch.length) return;
        for (const child of batch) await walk(child);
      }
    };
    for (const entry of entries) await walk(entry);
    return found;
  }

  const zones = [...document.querySelectorAll("[data-upload]")].map((element) => new Zone(element));

  window.addEventListener("beforeunload", (event) => {
    if (zones.some((zone) => zone.busy)) event.preventDefault();
  });
  window.addEventListener("online", () => {
    for (const zone of zones) for (const item of zone.items) if (item.failed && !item.again.hidden) item.start();
  });

  // Discarding what was cut off needs no new page, so that nothing typed is lost.
  document.addEventListener("click", async (event) => {
    const row = event.target.closest("[data-unfinished] button") && event.target.closest("[data-unfinished]");
    if (!row) return;
    event.preventDefault();
    const base = zones[0].url;
    const headers = { "X-CSRFToken": token(), "Tus-Resumable": "1.0.0" };
    const answer = await fetch(`${base}/${row.dataset.unfinished}`, { method: "DELETE", headers }).catch(() => null);
    if (answer && answer.ok) {
      const holder = row.closest(".unfinished");
      row.remove();
      if (!holder.querySelector("[data-unfinished]")) holder.remove();
    } else window.graft.toast(gettext("This could not be discarded. Please try again."), "danger");
  });
})();

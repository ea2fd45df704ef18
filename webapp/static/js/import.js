// A folder dropped or chosen goes up file by file through the tus endpoint, and can go on after a
// cut connection. Without this script the form sends plain files.
(() => {
  "use strict";

  const form = document.querySelector("[data-import-form]");
  if (!form) return;
  const list = form.querySelector("[data-files]");
  const failure = form.querySelector("[data-import-error]");
  const button = form.querySelector("[data-import-submit]");
  const drop = form.querySelector("[data-drop]");
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const limit = Number(form.dataset.uploadLimit);
  const skipped = new Set([".DS_Store", "Thumbs.db", ".gitattributes", "desktop.ini"]);
  const WEIGHTS = /\.safetensors$/;
  const KERAS = /\.(keras|weights\.h5)$/;
  const PICKLE = /\.(bin|pt|pth|ckpt|pkl|pickle|h5|msgpack|ot)$/i;

  let chosen = new Map(); // path → File
  let busy = false;

  form.querySelector("[data-pickers]").hidden = false;
  form.querySelector("[data-plain]").remove();

  for (const input of form.querySelectorAll("[data-pick]")) {
    input.addEventListener("change", () => {
      take([...input.files].map((file) => [file.webkitRelativePath || file.name, file]));
      input.value = "";
    });
  }
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("drop-over");
    });
  }
  for (const kind of ["dragleave", "drop"]) {
    drop.addEventListener(kind, () => drop.classList.remove("drop-over"));
  }
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    if (items.some((item) => item)) {
      const found = [];
      for (const item of items) if (item) await walk(item, "", found);
      take(found);
    } else {
      take([...event.dataTransfer.files].map((file) => [file.name, file]));
    }
  });

  async function walk(entry, before, found) {
    const path = before + entry.name;
    if (entry.isFile) {
      found.push([path, await new Promise((done, fail) => entry.file(done, fail))]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      // At most 100 entries come at a time.
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return;
      for (const item of some) await walk(item, `${path}/`, found);
    }
  }

  function take(pairs) {
    if (busy) return;
    fail("");
    const fresh = pairs.filter(([path]) => !skipped.has(path.split("/").pop()));
    // A new folder replaces the last choice; single files add to it.
    if (fresh.some(([path]) => path.includes("/"))) chosen = new Map();
    for (const [path, file] of fresh) chosen.set(path, file);
    const name = form.querySelector("[name=name]");
    const folder = fresh.length && fresh[0][0].includes("/") ? fresh[0][0].split("/")[0] : "";
    if (folder && !name.value) name.value = folder;
    draw();
    const said = problem();
    if (said) fail(said);
  }

  function problem() {
    const paths = [...chosen.keys()];
    const names = paths.map((path) => path.split("/").pop());
    if (!paths.length) return gettext("Choose the model's folder or its files.");
    for (const [path, file] of chosen) {
      if (file.size > limit) return interpolate(gettext("%s is too large for this portal."), [path]);
    }
    if (!names.includes("config.json")) {
      // One Keras file is a whole model; the portal says what is wrong with several. One file of
      // weights may be an image network's, which is known by its tensors.
      if (names.some((name) => KERAS.test(name))) return "";
      if (names.filter((name) => WEIGHTS.test(name)).length === 1) return "";
      return gettext("There is no config.json among the files, so this is not a model.");
    }
    if (!names.some((name) => WEIGHTS.test(name))) {
      const pickle = names.find((name) => PICKLE.test(name));
      return pickle
        ? interpolate(
            gettext(
              "The weights are there only as %s, a format that can run code when it is opened. Save the model again with safe_serialization=True.",
            ),
            [pickle],
          )
        : gettext("There are no weights among the files: model.safetensors is missing.");
    }
    return "";
  }

  function fail(text) {
    failure.textContent = text;
    failure.hidden = !text;
  }

  function size(bytes) {
    const units = ["B", "KiB", "MiB", "GiB"];
    let value = bytes;
    let unit = 0;
    while (value >= 1024 && unit < 3) {
      value /= 1024;
      unit += 1;
    }
    return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
  }

  function draw() {
    list.replaceChildren();
    for (const [path, file] of chosen) {
      const row = document.createElement("div");
      row.className = "upload-file";
      const name = document.createElement("code");
      name.textContent = path;
      const amount = document.createElement("span");
      amount.className = "soft";
      amount.textContent = size(file.size);
      const bar = document.createElement("progress");
      bar.className = "bar";
      bar.max = Math.max(file.size, 1);
      bar.value = 0;
      bar.hidden = true;
      bar.setAttribute("aria-label", path);
      row.append(name, amount, bar);
      list.append(row);
      file.row = { bar, amount };
    }
  }

  function send(path, file) {
    return new Promise((done, broken) => {
      const { bar, amount } = file.row;
      bar.hidden = false;
      const started = performance.now();
      new tus.Upload(file, {
        endpoint: form.dataset.uploadUrl,
        chunkSize: 8 * 2 ** 20,
        retryDelays: [0, 1000, 3000, 5000, 10000, 20000],
        headers: { "X-CSRFToken": token },
        metadata: { filename: file.name, relativePath: path },
        storeFingerprintForResuming: false,
        onProgress(sent, total) {
          bar.value = sent;
          const seconds = (performance.now() - started) / 1000;
          const rate = seconds > 0.5 ? ` · ${size(Math.round(sent / seconds))}/s` : "";
          amount.textContent = `${size(sent)} / ${size(total)}${rate}`;
        },
        onSuccess() {
          bar.value = bar.max;
          amount.textContent = size(file.size);
          file.row.bar.classList.add("upload-done");
          done(this.url ?? null);
        },
        onError: broken,
        onAfterResponse(_request, response) {
          const address = response.getHeader("Location");
          if (address) file.uploadId = address.split("/").filter(Boolean).pop();
        },
      }).start();
    });
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    const said = problem();
    if (said) {
      fail(said);
      return;
    }
    fail("");
    busy = true;
    button.disabled = true;
    const leave = (leaving) => leaving.preventDefault();
    addEventListener("beforeunload", leave);
    try {
      for (const [path, file] of chosen) {
        if (!file.uploaded) await send(path, file);
        file.uploaded = true;
      }
      for (const old of form.querySelectorAll("[name=upload]")) old.remove();
      for (const file of chosen.values()) {
        const hidden = document.createElement("input");
        hidden.type = "hidden";
        hidden.name = "upload";
        hidden.value = file.uploadId;
        form.append(hidden);
      }
      removeEventListener("beforeunload", leave);
      form.submit();
    } catch (error) {
      removeEventListener("beforeunload", leave);
      busy = false;
      button.disabled = false;
      const answer = error.originalResponse?.getBody();
      fail(
        answer ||
          gettext("The connection broke. What arrived is kept; press Import again to go on."),
      );
    }
  });
})();

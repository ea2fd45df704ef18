// Curves with uPlot. An element with data-chart names, as JSON, where each run's curves come from:
// [{url, name, dashed, titles}] (of metrics that only it has), or what is drawn itself: [{series: {metric: {steps, values}}, name}], of
// the metrics in data-chart-names and over what data-chart-x calls it. Curves are asked for again, from the last step on, while a run is live.
(() => {
  "use strict";

  const POLL_MS = 3000;
  const TABLE_ROWS = 60;
  const TITLES = {
    loss: gettext("training"),
    validation_loss: gettext("validation"),
    validation_accuracy: gettext("validation accuracy"),
    validation_knn: gettext("nearest neighbours"),
    validation_probe: gettext("linear probe"),
    validation_spread: gettext("spread"),
    validation_dimensions: gettext("dimensions"),
    validation_views_loss: gettext("validation"),
    validation_reconstruction: gettext("reconstruction"),
    validation_divergence: gettext("divergence"),
    validation_class_accuracy: gettext("of the right class"),
    validation_frechet: gettext("distance from real images"),
    validation_generator_loss: gettext("generator"),
    validation_discriminator_loss: gettext("discriminator"),
    validation_real_score: gettext("real images"),
    validation_fake_score: gettext("made images"),
    learning_rate: gettext("learning rate"),
    gradient_norm: gettext("gradient norm"),
  };

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function number(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 0.001 || size >= 100000)) return value.toExponential(2);
    return value.toFixed(size < 1 ? 4 : size < 100 ? 3 : 1);
  }

  // Exponential average that does not start at zero; what is not finite is passed over.
  function smooth(values, weight) {
    if (!weight) return values;
    let sum = 0;
    let norm = 0;
    return values.map((value) => {
      if (value === null || value === undefined) return value;
      sum = weight * sum + (1 - weight) * value;
      norm = weight * norm + (1 - weight);
      return sum / norm;
    });
  }

  function append(old, fresh) {
    const last = old.steps.length ? old.steps[old.steps.length - 1] : -1;
    fresh.steps.forEach((step, index) => {
      if (step > last) {
        old.steps.push(step);
        old.values.push(fresh.values[index]);
      }
    });
  }

  class Chart {
    constructor(element) {
      this.element = element;
      this.runs = JSON.parse(element.dataset.chart).map((run) => ({ series: {}, ...run, live: Boolean(run.url) }));
      this.metric = this.tool("metric");
      this.smoothing = this.tool("smooth");
      this.log = this.tool("log");
      this.legend = this.tool("legend");
      this.table = this.tool("table");
      this.hidden = new Set();
      this.plot = null;
      this.metric?.addEventListener("change", () => {
        this.runs.forEach((run) => (run.series = {}));
        this.load();
      });
      this.smoothing?.addEventListener("input", () => this.draw());
      this.log?.addEventListener("change", () => this.draw());
      this.table?.addEventListener("toggle", () => this.fillTable());
      document.addEventListener("graft:theme", () => this.draw());
      new ResizeObserver(() => this.resize()).observe(element);
      this.load();
    }

    tool(name) {
      return document.querySelector(`[data-chart-${name}="${this.element.id}"]`);
    }

    get names() {
      return (this.metric?.value || this.element.dataset.chartNames || "loss,validation_loss").split(",");
    }

    async load() {
      clearTimeout(this.timer);
      const names = this.names;
      await Promise.all(this.runs.filter((run) => run.url).map((run) => this.fetch(run, names)));
      if (names.join() === this.names.join()) this.draw();
      if (this.runs.some((run) => run.live)) {
        this.timer = setTimeout(() => (document.hidden ? this.later() : this.load()), POLL_MS);
      }
    }

    later() {
      document.addEventListener("visibilitychange", () => this.load(), { once: true });
    }

    async fetch(run, names) {
      const known = names.map((name) => run.series[name]?.steps.at(-1) ?? -1);
      // Curves of one run grow together; the one that is behind decides what is asked for.
      const since = Math.min(...known);
      const query = new URLSearchParams({ names: names.join(",") });
      if (since >= 0) query.set("since", since);
      try {
        const response = await fetch(`${run.url}?${query}`, {
          headers: { Accept: "application/json" },
        });
        if (!response.ok) return;
        const answer = await response.json();
        run.live = answer.live;
        run.total = answer.total_steps;
        // After a resume the run is behind what is drawn: those points are void, all comes anew.
        if (since > answer.step) {
          run.series = {};
          return this.fetch(run, names);
        }
        for (const [name, fresh] of Object.entries(answer.series)) {
          const old = (run.series[name] ||= { steps: [], values: [] });
          append(old, fresh);
        }
      } catch {
        // No connection: what is drawn stays, and the next poll tries again.
      }
    }

    // One line a run and metric: {label, color, dash, width, steps, values, faint}
    lines() {
      const several = this.runs.length > 1;
      const weight = Number(this.smoothing?.value || 0);
      const found = [];
      const noise = (name) => name === "loss" || name === "gradient_norm";
      // A noisy metric is told from its validation by its width; others by colour or dashes.
      const alike = this.names.some(noise);
      this.runs.forEach((run, index) => {
        for (const [place, name] of this.names.entries()) {
          const hue = alike || several ? index : index + place;
          const color = style(`--graft-series-${(hue % 6) + 1}`);
          const dash = run.dashed || index >= 6 ? [6, 4] : place && several && !alike ? [2, 4] : [];
          const series = run.series[name];
          if (!series?.steps.length) continue;
          const title = TITLES[name] || run.titles?.[name] || name;
          const both = this.names.length > 1;
          const label = !several && run.url ? title : both ? `${run.name} · ${title}` : run.name;
          const noisy = noise(name);
          const line = { key: `${index}-${name}`, label, color, dash, name, steps: series.steps };
          if (noisy && weight) {
            found.push({ ...line, key: `${line.key}-raw`, of: line.key, values: series.values, width: 1, alpha: 0.2, dash: [] });
          }
          found.push({
            ...line,
            values: noisy ? smooth(series.values, weight) : series.values,
            width: noisy && both ? 1.25 : 2.25,
            alpha: noisy && both ? 0.75 : 1,
            points: !noisy,
            main: true,
          });
        }
      });
      return found;
    }

    draw() {
      const lines = this.lines();
      this.drawLegend(lines);
      this.fillTable();
      this.plot?.destroy();
      this.plot = null;
      this.element.querySelector(".chart-none")?.remove();
      if (!lines.length) {
        const none = document.createElement("p");
        none.className = "chart-none soft";
        none.textContent = this.runs.some((run) => run.live)
          ? gettext("The curves begin with the first step.")
          : gettext("There are no points to draw.");
        this.element.append(none);
        return;
      }
      const shown = lines.filter((line) => !this.hidden.has(line.of || line.key));
      const logarithmic = this.log?.checked && shown.every((line) => line.values.every((v) => v === null || v > 0));
      const data = uPlot.join((shown.length ? shown : lines).map((line) => [line.steps, line.values]));
      const soft = style("--graft-soft");
      const grid = { stroke: style("--graft-line"), width: 1 };
      const axis = { stroke: soft, grid, ticks: grid, font: "12px system-ui, sans-serif" };
      const total = Math.max(...this.runs.map((run) => run.total || 0));
      const last = Math.max(...lines.map((line) => line.steps.at(-1)));
      const live = this.runs.some((run) => run.live);
      this.plot = new uPlot(
        {
          ...this.size(),
          padding: [12, 24, 0, 0],  // half of the last number stands beyond the axis
          legend: { show: false },
          cursor: { points: { size: 7 }, drag: { x: true, y: false } },
          scales: {
            // While it runs the whole way is shown, so that the curve grows into its place.
            x: { time: false, range: (u, min, max) => (live && min <= 1 && max >= last ? [0, Math.max(total, last)] : [min, max]) },
            y: { distr: logarithmic ? 3 : 1 },
          },
          axes: [
            { ...axis, size: 38 },
            { ...axis, size: 58, values: (u, ticks) => ticks.map((tick) => (tick === null ? "" : String(Number(tick.toPrecision(4))))) },
          ],
          series: [
            {},
            ...(shown.length ? shown : lines).map((line) => ({
              label: line.label,
              show: shown.length > 0,
              stroke: line.color,
              alpha: line.alpha ?? 1,
              width: line.width,
              dash: line.dash,
              points: { show: Boolean(line.points) && line.steps.length < 60, size: 5, fill: line.color },
              spanGaps: false,
            })),
          ],
          hooks: { draw: [(u) => this.drawTarget(u)], setCursor: [(u) => this.tip(u, shown)] },
        },
        data,
        this.element,
      );
      this.tooltip = document.createElement("div");
      this.tooltip.className = "chart-tip";
      this.tooltip.hidden = true;
      this.plot.over.append(this.tooltip);
    }

    size() {
      return { width: Math.max(200, this.element.clientWidth), height: this.element.clientWidth < 560 ? 260 : 360 };
    }

    resize() {
      if (this.plot && this.plot.width !== this.size().width) this.plot.setSize(this.size());
    }

    // A level of one metric to reach, such as the twin's best loss.
    drawTarget(u) {
      const target = Number(this.element.dataset.chartTarget);
      if (!target || !this.names.includes(this.element.dataset.chartTargetMetric)) return;
      const y = u.valToPos(target, "y", true);
      const { left, top, width, height } = u.bbox;
      if (y < top || y > top + height) return;
      u.ctx.save();
      u.ctx.strokeStyle = u.ctx.fillStyle = style("--graft-soft");
      u.ctx.setLineDash([2, 4]);
      u.ctx.beginPath();
      u.ctx.moveTo(left, y);
      u.ctx.lineTo(left + width, y);
      u.ctx.stroke();
      u.ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      u.ctx.textAlign = "center";
      u.ctx.fillText(`${this.element.dataset.chartTargetName || ""} ${number(target)}`, left + width / 2, y - 5 * devicePixelRatio);
      u.ctx.restore();
    }

    tip(u, shown) {
      const { idx, left, top } = u.cursor;
      if (!this.tooltip || idx === null || idx === undefined || left < 0) {
        if (this.tooltip) this.tooltip.hidden = true;
        return;
      }
      const rows = [];
      shown.forEach((line, index) => {
        if (line.of) return;
        // Evaluations are rarer than steps: the last one at or before the cursor stands.
        let at = idx;
        while (at >= 0 && (u.data[index + 1][at] === undefined || u.data[index + 1][at] === null)) at -= 1;
        if (at < 0) return;
        const row = document.createElement("div");
        const dot = document.createElement("i");
        dot.style.background = line.color;
        if (line.dash.length) dot.className = "dashed";
        const value = document.createElement("b");
        value.textContent = number(u.data[index + 1][at]);
        row.append(dot, document.createTextNode(line.label), value);
        rows.push(row);
      });
      const head = document.createElement("strong");
      const place = u.data[0][idx].toLocaleString(document.documentElement.lang);
      const named = this.element.dataset.chartX;
      head.textContent = named ? `${named} ${place}` : interpolate(gettext("step %s"), [place]);
      this.tooltip.replaceChildren(head, ...rows);
      this.tooltip.hidden = false;
      const box = this.tooltip.getBoundingClientRect();
      const right = left + 16 + box.width > u.over.clientWidth;
      this.tooltip.style.left = `${right ? Math.max(0, left - box.width - 16) : left + 16}px`;
      this.tooltip.style.top = `${Math.max(0, Math.min(top - box.height / 2, u.over.clientHeight - box.height))}px`;
    }

    drawLegend(lines) {
      if (!this.legend) return;
      const focused = document.activeElement?.dataset?.line;
      const buttons = lines
        .filter((line) => line.main)
        .map((line) => {
          const button = document.createElement("button");
          button.type = "button";
          button.dataset.line = line.key;
          button.setAttribute("aria-pressed", String(!this.hidden.has(line.key)));
          const dot = document.createElement("i");
          dot.style.background = dot.style.color = line.color;
          dot.style.opacity = line.alpha;
          if (line.dash.length) dot.className = "dashed";
          if (line.width < 2) dot.classList.add("thin");
          button.append(dot, document.createTextNode(line.label));
          button.addEventListener("click", () => {
            if (!this.hidden.delete(line.key)) this.hidden.add(line.key);
            this.draw();
          });
          return button;
        });
      this.legend.replaceChildren(...buttons);
      if (focused) buttons.find((button) => button.dataset.line === focused)?.focus();
    }

    // The same numbers for those who do not see the lines.
    fillTable() {
      if (!this.table?.open) return;
      const lines = this.lines().filter((line) => line.main);
      const rare = lines.filter((line) => line.name.startsWith("validation"));
      let steps = [...new Set((rare.length ? rare : lines).flatMap((line) => line.steps))].sort((a, b) => a - b);
      const every = Math.ceil(steps.length / TABLE_ROWS);
      steps = steps.filter((step, index) => index % every === 0 || index === steps.length - 1);
      const table = document.createElement("table");
      table.className = "table table-sm table-list";
      const head = table.createTHead().insertRow();
      for (const text of [gettext("step"), ...lines.map((line) => line.label)]) {
        const cell = document.createElement("th");
        cell.scope = "col";
        cell.className = "number";
        cell.textContent = text;
        head.append(cell);
      }
      const body = table.createTBody();
      const maps = lines.map((line) => new Map(line.steps.map((step, index) => [step, line.values[index]])));
      for (const step of steps) {
        const row = body.insertRow();
        const first = document.createElement("th");
        first.scope = "row";
        first.className = "number";
        first.textContent = step.toLocaleString(document.documentElement.lang);
        row.append(first);
        for (const values of maps) {
          const cell = row.insertCell();
          cell.className = "number";
          cell.textContent = number(values.get(step));
        }
      }
      this.table.querySelector("div").replaceChildren(table);
    }
  }

  document.querySelectorAll("[data-chart]").forEach((element) => new Chart(element));
})();

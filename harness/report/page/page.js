// The table of all results: sorted, filtered, two rows compared, each number with its samples. It draws the rows that are
// in sight only, and writes every text with textContent: names of strangers never become markup.
"use strict";
(() => {
  const ROW_PX = 36, SPARE_ROWS = 12;
  const $ = (id) => document.getElementById(id);
  const make = (tag, text = "", attributes = {}) => {
    const element = document.createElement(tag);
    if (text !== "") element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  // The columns as functions of a row's number.
  function open(data) {
    const starts = [0], sampleStarts = [0];
    for (const count of data.runs.count) starts.push(starts[starts.length - 1] + count);
    for (const count of data.runs.samples) sampleStarts.push(sampleStarts[sampleStarts.length - 1] + count);
    const text = (name, i) => data.texts[data.text_columns[name][i]];
    const number = (name, i) => data.number_columns[name][i];
    const samples = (run) => {
      let at = 0;
      return data.runs.differences_ns.slice(sampleStarts[run], sampleStarts[run + 1]).map((step) => (at += step));
    };
    const runs = (i) => {
      const found = [];
      for (let run = starts[i]; run < starts[i + 1]; run += 1) {
        const own = samples(run);
        found.push({
          round: data.runs.round[run], session: data.texts[data.runs.session[run]],
          record: data.texts[data.runs.record[run]], samples: own,
          value: own.length ? Statistics.runValue(own, number("n_tokens", i) || 1) : data.runs.value[run],
        });
      }
      return found;
    };
    return { length: data.length, text, number, runs, flag: (name, i) => data.flags[name][i] === 1, groups: data.groups, name: data.name };
  }

  // Milliseconds of loading stand in no order with tokens per second.
  const rate = (d, i) => (d.text("unit", i) === "tokens/s" ? d.number("value", i) : null);
  const COLUMNS = [
    { id: "model", title: "Model", key: (d, i) => d.text("model", i) },
    { id: "test", title: "Test", key: (d, i) => d.text("test", i) },
    { id: "shown", title: "Tokens/s (95 % interval)", key: rate, number: true },
    { id: "device", title: "Device", key: (d, i) => d.text("device", i) },
    { id: "machine", title: "Machine", key: (d, i) => d.text("machine", i) },
    { id: "backend", title: "Backend", key: (d, i) => d.text("backend", i) },
    { id: "settings", title: "Settings", key: (d, i) => d.text("settings", i) },
    { id: "rounds", title: "Rounds", key: (d, i) => d.number("rounds", i), number: true },
    { id: "proof", title: "Proof", key: (d, i) => d.text("proof", i) },
    { id: "memory", title: "Memory, GiB", key: (d, i) => d.number("memory_bytes", i), number: true },
    { id: "energy", title: "J/token", key: (d, i) => d.number("energy_j_per_token", i), number: true },
    { id: "build", title: "Build", key: (d, i) => d.text("build", i) },
  ];
  const FILTERS = [
    { id: "vendor", title: "Vendor", key: (d, i) => d.text("vendor", i) },
    { id: "model", title: "Model", key: (d, i) => d.text("model", i) },
    { id: "backend", title: "Backend", key: (d, i) => d.text("backend", i) },
    { id: "depth", title: "Depth", key: (d, i) => String(d.number("n_depth", i)) },
    { id: "metric", title: "Kind of test", key: (d, i) => d.text("metric", i) },
    { id: "machine", title: "Machine", key: (d, i) => d.text("machine", i) },
  ];
  const SEARCHED = ["model", "test", "device", "backend", "machine", "settings", "build", "vendor", "failure"];

  function shown(d, column, i) {
    if (column.id === "shown") return d.text("shown", i);
    if (column.id === "memory") return d.number("memory_bytes", i) === null ? "" : (d.number("memory_bytes", i) / 2 ** 30).toFixed(2);
    if (column.id === "energy") return d.number("energy_j_per_token", i) === null ? "" : d.number("energy_j_per_token", i).toPrecision(3);
    if (column.id === "rounds") {
      const [made, planned] = [d.number("rounds", i), d.number("rounds_planned", i)];
      return planned === null || planned === made ? String(made) : `${made} of ${planned}`;
    }
    return String(column.key(d, i));
  }

  function start(d) {
    const state = { order: [], sorted: null, down: false, picked: [], drawn: [-1, -1], elements: new Map() };
    const collator = new Intl.Collator("en", { numeric: true });
    const [view, body, live] = [$("view"), $("rows"), $("count")];
    const top = make("tr", "", { "aria-hidden": "true" }), bottom = make("tr", "", { "aria-hidden": "true" });
    for (const spacer of [top, bottom]) spacer.append(make("td", "", { colspan: COLUMNS.length + 1 }));
    const lower = (i) => SEARCHED.map((name) => d.text(name, i)).join("\n").toLowerCase();
    const haystack = [];

    function choose() {
      const wanted = FILTERS.map((filter) => [$(`by-${filter.id}`).value, filter]).filter(([value]) => value !== "");
      const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = [];
      for (let i = 0; i < d.length; i += 1) {
        if (!wanted.every(([value, filter]) => filter.key(d, i) === value.slice(1))) continue;
        if (words.length) {
          haystack[i] ??= lower(i);
          if (!words.every((word) => haystack[i].includes(word))) continue;
        }
        found.push(i);
      }
      if (state.sorted) {
        const { key, number } = state.sorted, sign = state.down ? -1 : 1;
        const keys = new Map(found.map((i) => [i, key(d, i)]));
        // What is missing comes last, whichever way round.
        found.sort((a, b) => {
          const [x, y] = [keys.get(a), keys.get(b)];
          if (x === null || y === null) return (x === null) - (y === null) || a - b;
          return sign * (number ? x - y : collator.compare(x, y)) || a - b;
        });
      }
      state.order = found;
      live.textContent = `${found.length} of ${d.length} results`;
      view.scrollTop = 0;
      draw(true);
      // The view is as high as its rows, up to a limit: now that they are there it may show more.
      draw();
    }

    function row(place) {
      const i = state.order[place];
      const element = make("tr", "", { "aria-rowindex": place + 2, "data-place": place });
      const box = make("input", "", { type: "checkbox", "aria-label": `Compare ${d.text("model", i)}, ${d.text("test", i)}, ${d.text("device", i)}, ${d.text("backend", i)}` });
      box.dataset.row = i;
      box.checked = state.picked.includes(i);
      const first = make("td");
      first.append(box);
      element.append(first);
      for (const column of COLUMNS) {
        const cell = make("td", "", column.number ? { class: "right" } : {});
        const text = shown(d, column, i);
        if (column.id === "shown") {
          const button = make("button", text || "no number", { type: "button", class: "number", "aria-haspopup": "dialog" });
          button.dataset.row = i;
          cell.append(button);
        } else {
          cell.textContent = text;
          if (text.length > 24) cell.title = text;
        }
        element.append(cell);
      }
      return element;
    }

    // Rows that stay in sight keep their elements, and so the focus.
    function draw(anew = false) {
      const from = Math.max(0, Math.floor(view.scrollTop / ROW_PX) - SPARE_ROWS);
      const to = Math.min(state.order.length, Math.ceil((view.scrollTop + view.clientHeight) / ROW_PX) + SPARE_ROWS);
      if (!anew && from === state.drawn[0] && to === state.drawn[1]) return;
      state.drawn = [from, to];
      if (anew) state.elements.clear();
      const wanted = new Map();
      for (let place = from; place < to; place += 1) wanted.set(place, state.elements.get(place) ?? row(place));
      for (const element of [...body.children]) if (element !== top && element !== bottom && wanted.get(Number(element.dataset.place)) !== element) element.remove();
      state.elements = wanted;
      top.firstChild.style.height = `${from * ROW_PX}px`;
      bottom.firstChild.style.height = `${(state.order.length - to) * ROW_PX}px`;
      top.hidden = from === 0;
      bottom.hidden = to === state.order.length;
      let before = top;
      for (const element of wanted.values()) {
        if (before.nextSibling !== element) before.after(element);
        before = element;
      }
      $("table").setAttribute("aria-rowcount", state.order.length + 1);
    }

    // Up and down move within the column, also to rows that are not drawn yet.
    function move(event) {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
      const at = event.target.closest("[data-row]");
      if (!step || !at) return;
      event.preventDefault();
      const place = Math.min(state.order.length - 1, Math.max(0, state.order.indexOf(Number(at.dataset.row)) + step));
      const y = place * ROW_PX, head = $("head").offsetHeight;
      if (y < view.scrollTop) view.scrollTop = y;
      if (y + ROW_PX + head > view.scrollTop + view.clientHeight) view.scrollTop = y + ROW_PX + head - view.clientHeight;
      draw();
      body.querySelector(`${at.tagName}[data-row="${state.order[place]}"]`)?.focus({ preventScroll: true });
    }

    function sortBy(column) {
      const same = state.sorted === column;
      state.down = same ? !state.down : Boolean(column.number);
      state.sorted = column;
      for (const other of COLUMNS) $(`sort-${other.id}`).parentElement.removeAttribute("aria-sort");
      $(`sort-${column.id}`).parentElement.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      choose();
    }

    function pick(i, wanted) {
      state.picked = state.picked.filter((other) => other !== i);
      if (wanted) state.picked.push(i);
      state.picked = state.picked.slice(-2);
      for (const box of body.querySelectorAll("input")) box.checked = state.picked.includes(Number(box.dataset.row));
      tell();
    }

    const called = (i) => [d.text("device", i), d.text("backend", i), d.text("settings", i), d.text("machine", i)].filter(Boolean).join(", ");

    function tell() {
      const panel = $("verdict");
      panel.replaceChildren();
      if (state.picked.length < 2) {
        panel.append(make("p", state.picked.length ? "Choose one more row to compare it with." : "Choose two rows to hear what can be said of them."));
        return;
      }
      const [a, b] = state.picked, found = compare(d, a, b);
      panel.append(make("p", `${called(b)} against ${called(a)}, ${d.text("model", b)}, ${d.text("test", b)}:`));
      panel.append(make("p", found.words, { class: "said" }));
      if (found.comparison) {
        const { rounds, paired, degrees, p } = found.comparison;
        const how = paired ? `Paired t on the logarithms of ${rounds} common rounds` : `Welch's t on the logarithms of the run values (${rounds} runs in the smaller)`;
        panel.append(make("p", `Unadjusted: this pair alone, picked by you; the report corrects for all that it compares. ${how}, ${degrees.toFixed(1)} degrees of freedom, p = ${p.toPrecision(2)}. A machine counts as one.`, { class: "small" }));
      }
    }

    function details(i) {
      const panel = $("details");
      panel.replaceChildren();
      const close = make("button", "Close", { type: "button", class: "close" });
      close.addEventListener("click", () => panel.close());
      panel.append(make("h2", `${d.text("model", i)}, ${d.text("test", i)}`, { id: "details-title" }), close);
      panel.append(make("p", `${called(i)}: ${d.text("shown", i) || "no number"}${rate(d, i) === null ? "" : " tokens/s"}`));
      for (const name of ["failure", "remedy", "why_not", "source"]) {
        const title = { failure: "Failed", remedy: "What to do", why_not: "Not ranked", source: "Imported from" }[name];
        if (d.text(name, i)) panel.append(make("p", `${title}: ${d.text(name, i)}`));
      }
      const facts = [["Cell", d.text("cell", i)], ["Proof", d.text("proof", i)], ["Build", d.text("build", i)], ["Driver", d.text("driver", i)], ["Measured", d.text("measured", i)]];
      const list = make("dl");
      for (const [title, text] of facts) if (text) list.append(make("dt", title), make("dd", text));
      panel.append(list);
      const runs = d.runs(i);
      if (runs.length) panel.append(samples(i, runs));
      if (d.text("argv", i)) panel.append(make("h3", "The process in the container"), make("pre", d.text("argv", i), { tabindex: 0 }));
      if (runs.length) {
        const one = runs[0].record ? `--record ${runs[0].record}` : `--only "${d.text("cell", i)}"`;
        const again = `./bench reproduce reports/${d.text("matrix", i)} --of ${d.text("machine", i)} ${one}`;
        panel.append(make("h3", "Measure it again"), make("pre", again, { tabindex: 0 }));
      }
      history.replaceState(null, "", `#row=${d.text("row", i)}`);
      panel.showModal();
    }

    function samples(i, runs) {
      const part = make("div"), file = `records/${d.text("machine", i)}.jsonl`;
      const told = runs[0].record
        ? `Records in ${file}, by the beginning of their id. The first sample of a run does not count.`
        : `Their samples are in ${file}: there are too many of them for this page.`;
      part.append(make("h3", "Its runs"), make("p", told));
      const table = make("table"), head = make("tr");
      for (const title of ["Round", "Record", d.text("unit", i) === "tokens/s" ? "ns per token" : "ns", "Samples, ms"]) head.append(make("th", title, { scope: "col" }));
      table.append(head);
      for (const run of runs) {
        const line = make("tr");
        line.append(make("td", String(run.round)), make("td", run.record), make("td", Math.round(run.value).toString(), { class: "right" }));
        line.append(make("td", run.samples.map((ns) => (ns / 1e6).toFixed(3)).join(", ")));
        table.append(line);
      }
      part.append(table);
      return part;
    }

    for (const column of COLUMNS) {
      const cell = make("th", "", { scope: "col", ...(column.number ? { class: "right" } : {}) });
      const button = make("button", column.title, { type: "button", id: `sort-${column.id}` });
      button.addEventListener("click", () => sortBy(column));
      cell.append(button);
      $("head").append(cell);
    }
    for (const filter of FILTERS) {
      const label = make("label", filter.title), select = make("select", "", { id: `by-${filter.id}` });
      const values = new Set();
      for (let i = 0; i < d.length; i += 1) values.add(filter.key(d, i));
      select.append(make("option", "all", { value: "" }));
      // Values have a mark before them, since one of them may be empty.
      for (const value of [...values].sort(collator.compare)) select.append(make("option", value || "none", { value: `=${value}` }));
      select.addEventListener("change", choose);
      label.append(select);
      $("filters").append(label);
    }
    $("search").addEventListener("input", choose);
    view.addEventListener("scroll", () => draw(), { passive: true });
    window.addEventListener("resize", () => draw());
    body.addEventListener("keydown", move);
    body.addEventListener("click", (event) => {
      const at = event.target.closest("[data-row]");
      if (at?.tagName === "BUTTON") details(Number(at.dataset.row));
    });
    body.addEventListener("change", (event) => pick(Number(event.target.dataset.row), event.target.checked));
    $("details").addEventListener("close", () => history.replaceState(null, "", location.pathname));
    body.replaceChildren(top, bottom);
    choose();
    tell();
    const linked = /^#row=(\w+)$/.exec(location.hash)?.[1];
    for (let i = 0; linked && i < d.length; i += 1) if (d.text("row", i) === linked) { details(i); break; }
  }

  // What can be said of two rows: refused with the fields that differ, else by the rounds that both have.
  function compare(d, a, b) {
    for (const i of [a, b]) {
      if (!d.flag("rankable", i)) return { words: `Nothing can be said: ${called(d, i)} is not ranked (${d.text("why_not", i)}).` };
    }
    if (d.text("group", a) !== d.text("group", b)) {
      const [x, y] = [d.groups[d.text("group", a)], d.groups[d.text("group", b)]];
      const names = [...new Set([...Object.keys(x), ...Object.keys(y)])].filter((name) => JSON.stringify(x[name]) !== JSON.stringify(y[name]));
      return { words: `Not comparable: they differ in ${names.join(", ") || "their metric"}.` };
    }
    const [first, second] = [d.runs(a), d.runs(b)];
    const confidence = Math.max(d.number("confidence", a), d.number("confidence", b));
    let comparison = null;
    if (d.text("machine", a) === d.text("machine", b)) {
      const at = new Map(second.map((run) => [`${run.session} ${run.round}`, run.value]));
      const common = first.filter((run) => at.has(`${run.session} ${run.round}`));
      comparison = Statistics.paired(common.map((run) => run.value), common.map((run) => at.get(`${run.session} ${run.round}`)), confidence);
    }
    comparison ??= Statistics.welch(first.map((run) => run.value), second.map((run) => run.value), confidence);
    if (!comparison) return { words: "Inconclusive: fewer than two runs." };
    return { words: Statistics.inWords(comparison), comparison };
  }
  const called = (d, i) => `${d.text("device", i)}, ${d.text("backend", i)}`;

  unpack($("payload").textContent).then((data) => {
    window.page = { data, table: open(data), compare };
    start(window.page.table);
    document.documentElement.dataset.ready = "yes";
  }).catch((error) => {
    $("count").textContent = `The results in this page cannot be shown (${error.message}). Everything is in report.md too.`;
    document.documentElement.dataset.ready = "no";
  });
})();

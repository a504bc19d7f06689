"use strict";
// One page, one state: every control changes `state`, and `draw` shows it.

const data = JSON.parse(document.getElementById("data").textContent);
const axes = Object.fromEntries(data.axes.map((axis) => [axis.objective, axis]));
const size = data.front.loss.length;
const rows = Array.from({ length: size }, (_, row) => row);
const byId = (id) => document.getElementById(id);

const PAGE = 200; // table rows that are drawn before one asks for all
const state = {
  x: data.objectives[1],
  y: data.objectives[0],
  budgets: Object.fromEntries(data.axes.map((axis) => [axis.objective, data.limits[axis.objective] ?? Infinity])),
  references: true,
  beyond: true,
  selected: data.knee,
  sort: { column: null, descending: false },
  all: false,
};

// ---- words and numbers -------------------------------------------------------------------------

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function digits(value, count = 4) {
  if (value === null || !Number.isFinite(value)) return "–";
  const rounded = Number(value.toPrecision(count));
  return Math.abs(rounded) >= 1e6 ? rounded.toExponential() : String(rounded);
}

function prefixed(value, unit) {
  if (value === null || !Number.isFinite(value)) return "–";
  for (const [scale, prefix] of [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"]]) {
    if (value >= scale) return `${digits(value / scale, 3)} ${prefix}${unit}`;
  }
  return value === 0 ? `0 ${unit}` : `${digits(value, 3)} ${unit}`;
}

const count = (value) => prefixed(value, "").replace("G", "B").trim();
const percent = (share) => (share > 0 && share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`);
const shown = (axis, value) => `${digits(value / axis.scale)} ${axis.unit}`;
// A member's value with the interval that nine of ten measurements lie in, where that is known.
function withEnds(axis, row) {
  const ends = ["low", "high"].map((end) => data.front[`${axis.column}_${end}`]?.[row] ?? null);
  const value = shown(axis, data.front[axis.column][row]);
  return ends.includes(null) || ends[0] === ends[1] ? value
    : `${value} (${digits(ends[0] / axis.scale, 3)} to ${digits(ends[1] / axis.scale, 3)})`;
}

// An error bar from one end of a member's interval to the other.
function errorBar(axis, some, paint) {
  const [low, high] = ["low", "high"].map((end) => data.front[`${axis.column}_${end}`]);
  if (!low || !some.every((row) => low[row] !== null && low[row] < high[row])) return undefined;
  const value = data.front[axis.column];
  return {
    type: "data", symmetric: false, color: paint, thickness: 1.2, width: 4,
    array: some.map((row) => (high[row] - value[row]) / axis.scale),
    arrayminus: some.map((row) => (value[row] - low[row]) / axis.scale),
  };
}

const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const BEYOND = "beyond the law's data";
// How sure a member is: terms and shares of draws.
function sureness(row) {
  const lines = [["On the front", `in ${percent(data.front.p_front[row])} of draws`]];
  const names = Object.keys(data.limits);
  for (const name of names) lines.push([`Within the limit on ${name}`, `in ${percent(data.front[`p_${name}`][row])}`]);
  if (names.length > 1) lines.push(["Within every limit", `in ${percent(data.front.p_feasible[row])}`]);
  if (data.laws.length > 1) lines.push(["Not beaten under", data.laws.filter((name) => data.front[`on_front_${name}`][row]).join(", ")]);
  return lines;
}
const likeliest = Math.max(...data.front.p_front);
const opacity = (row) => 0.25 + (0.75 * data.front.p_front[row]) / (likeliest || 1);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function role(row) {
  return row === data.knee ? "knee" : row === data.runner_up ? "runner-up" : "";
}

// ---- which members are shown -------------------------------------------------------------------

function visible() {
  return rows.filter((row) =>
    (state.beyond || data.front.in_range[row]) &&
    data.axes.every((axis) => !(data.front[axis.column][row] > state.budgets[axis.objective])));
}

// ---- plots -------------------------------------------------------------------------------------

function layout(x, y) {
  const side = (given) => ({
    gridcolor: colour("line"), linecolor: colour("faint"), zeroline: false, ticks: "outside",
    tickcolor: colour("faint"), automargin: true, ...given,
  });
  return {
    margin: { l: 60, r: 12, t: 12, b: 50 }, hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("ink"), size: 13, family: "system-ui, sans-serif" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
    modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: colour("faint"), activecolor: colour("blue") },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("faint"), font: { color: colour("ink") }, align: "left" },
    xaxis: side(x), yaxis: side(y),
  };
}

// 1, 2, 5, 10, ... within a range of logarithms; powers of ten alone where it is wide.
function ticks([low, high]) {
  const steps = high - low > 3 ? [1] : [1, 2, 5];
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  return powers.flatMap((power) => steps.map((step) => Number(`${step}e${power}`)));
}

const CONFIG = { responsive: true, displaylogo: false, modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["resetScale2d"]] };

function rangeOf(axis) {
  const values = data.front[axis.column].filter(Number.isFinite).map((value) => value / axis.scale);
  const budget = state.budgets[axis.objective] / axis.scale;
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (budget < 2 * high) high = Math.max(high, budget);
  if (axis.log) [low, high] = [Math.log10(low), Math.log10(high)];
  const margin = 0.06 * (high - low) || 0.1 * Math.abs(high) || 1;
  return [low - margin, high + margin];
}

function hover(row) {
  const lines = [`<b>Member ${row}</b> ${role(row)}`];
  for (const axis of data.axes) lines.push(`${axis.title}: ${withEnds(axis, row)}`);
  for (const [term, value] of sureness(row)) lines.push(`${term}: ${escapeHtml(value)}`);
  lines.push(`Parameters: ${count(data.front.parameters[row])} (${count(data.front.active_parameters[row])} active)`);
  lines.push(escapeHtml(data.front.shape[row]));
  lines.push(`Bound: prefill ${data.front.prefill_bound[row]}, decode ${data.front.decode_bound[row]}`);
  lines.push(`Basis: ${escapeHtml(data.basis)}`);
  if (!data.front.in_range[row]) lines.push(`Beyond the law's data: ${escapeHtml(data.front.out_of_range[row])}`);
  return lines.join("<br>");
}

function members(some, name, marker, x, y) {
  return {
    type: "scatter", mode: "markers", name, marker, customdata: some, hovertemplate: "%{text}<extra></extra>",
    text: some.map(hover),
    x: some.map((row) => data.front[x.column][row] / x.scale),
    y: some.map((row) => data.front[y.column][row] / y.scale),
  };
}

// Names of known models and the sides they stand on, without those that would cover anything.
function apart(points, marks, ranges, width, height) {
  const pixel = ({ at }) => at.map((value, i) =>
    ((value - ranges[i][0]) / (ranges[i][1] - ranges[i][0])) * (i ? height : width));
  const pixels = points.map(pixel);
  const placed = [...pixels, ...marks.map(pixel)].map(([px, py]) => [px - 5, py - 5, px + 5, py + 5]);
  return points.map(({ name }, i) => {
    const [px, py] = pixels[i];
    const wide = 6.5 * name.length;
    const boxes = {
      "middle right": [px + 6, py - 7, px + 10 + wide, py + 7],
      "top center": [px - wide / 2, py + 6, px + wide / 2, py + 20],
      "bottom center": [px - wide / 2, py - 20, px + wide / 2, py - 6],
      "middle left": [px - 10 - wide, py - 7, px - 6, py + 7],
    };
    const free = (box) => box[0] > 0 && box[1] > 0 && box[2] < width && box[3] < height &&
      placed.every((other) => box[0] > other[2] || box[2] < other[0] || box[1] > other[3] || box[3] < other[1]);
    const side = Object.keys(boxes).find((key) => free(boxes[key]));
    if (side) placed.push(boxes[side]);
    return { text: side ? escapeHtml(name) : "", side: side ?? "middle right" };
  });
}

function drawFront(some) {
  const [x, y] = [axes[state.x], axes[state.y]];
  const ranges = [rangeOf(x), rangeOf(y)];
  const plot = byId("front");
  const inside = some.filter((row) => data.front.in_range[row]);
  const beyond = some.filter((row) => !data.front.in_range[row]);
  const traces = [
    [inside, "Front", { color: colour("blue"), size: 6, opacity: inside.map(opacity) }],
    [beyond, `Front, ${BEYOND}`, { color: colour("blue"), size: 7, symbol: "diamond-open", opacity: beyond.map(opacity) }],
  ].map(([group, name, marker]) => ({ ...members(group, name, marker, x, y), showlegend: group.some((row) => !role(row)) }));
  let outside = 0;
  if (state.references) {
    const models = data.references;
    const at = (table, i) => [x, y].map((axis) => {
      const value = table[axis.column][i] / axis.scale;
      return axis.log ? Math.log10(value) : value;
    });
    const scaled = models.name.map((name, i) => ({ name, at: at(models, i) }));
    const marks = some.map((row) => ({ at: at(data.front, row) }));
    const labels = apart(scaled, marks, ranges, plot.clientWidth - 80, 370);
    const inView = scaled.map(({ at }) => at.every((value, i) => ranges[i][0] <= value && value <= ranges[i][1]));
    outside = inView.filter((shown) => !shown).length;
    for (const [kept, name, symbol] of [[true, "Known models", "square"], [false, `Known models, ${BEYOND}`, "square-open"]]) {
      const group = scaled.map((_, i) => i).filter((i) => Boolean(models.in_range[i]) === kept);
      traces.push({
        type: "scatter", mode: "markers+text", name, marker: { symbol, color: colour("ink"), size: 8 },
        showlegend: group.some((i) => inView[i]),
        text: group.map((i) => labels[i].text), textposition: group.map((i) => labels[i].side),
        textfont: { size: 11, color: colour("quiet") },
        x: group.map((i) => models[x.column][i] / x.scale), y: group.map((i) => models[y.column][i] / y.scale),
        hovertext: group.map((i) => [
          `<b>${escapeHtml(models.name[i])}</b> in ${escapeHtml(models.weight_format[i])}`,
          ...data.axes.map((axis) => `${axis.title}: ${shown(axis, models[axis.column][i])}`),
          kept ? "" : `Beyond the law's data: ${escapeHtml(models.out_of_range[i])}`,
        ].join("<br>")),
        hovertemplate: "%{hovertext}<extra></extra>",
      });
    }
  }
  const picks = [[data.runner_up, "Runner-up", "green", "triangle-up", 12], [data.knee, "Knee", "orange", "star", 16]];
  for (const [row, name, paint, symbol, points] of picks) {
    if (row !== null && some.includes(row)) {
      const kept = data.front.in_range[row];
      const line = kept ? { color: colour("paper"), width: 1 } : { color: colour(paint), width: 2 };
      const marker = { color: colour(kept ? paint : "paper"), symbol, size: points, line };
      const bars = row === data.knee ? { error_x: errorBar(x, [row], colour(paint)), error_y: errorBar(y, [row], colour(paint)) } : {};
      traces.push({ ...members([row], kept ? name : `${name}, ${BEYOND}`, marker, x, y), ...bars });
    }
  }
  const ring = { color: "rgba(0,0,0,0)", size: 20, line: { color: colour("ink"), width: 2 } };
  traces.push({ ...members([state.selected], "Selected", ring, x, y), hoverinfo: "skip", hovertemplate: null });
  const budgetLine = (axis, along) => {
    const at = state.budgets[axis.objective] / axis.scale;
    if (!Number.isFinite(at)) return [];
    const ends = along === "x" ? { x0: at, x1: at, yref: "paper", y0: 0, y1: 1 } : { y0: at, y1: at, xref: "paper", x0: 0, x1: 1 };
    return [{ type: "line", line: { color: colour("quiet"), dash: "dash", width: 1.5 }, ...ends }];
  };
  const side = (axis, range) => ({ title: { text: `${axis.title} (${axis.unit})` }, type: axis.log ? "log" : "linear", range,
    ...(axis.log ? { tickvals: ticks(range) } : {}) });
  Plotly.react(plot, traces, { ...layout(side(x, ranges[0]), side(y, ranges[1])),
    shapes: [...budgetLine(x, "x"), ...budgetLine(y, "y")] }, CONFIG);
  const others = outside ? `; ${outside} known model${outside > 1 ? "s" : ""} beyond the view` : "";
  byId("count").textContent = `${some.length} of ${size} members shown${others}. Choose a point to see its architecture and its roofline.`;
}

function drawMember() {
  const row = state.selected;
  const what = role(row);
  byId("member-title").textContent = `Member ${row}${what ? `, the ${what}` : ""}`;
  const list = byId("member-fields");
  list.replaceChildren();
  const say = (term, value, title = "") => list.append(make("dt", term, { title }), make("dd", value));
  for (const axis of data.axes) say(axis.title, withEnds(axis, row));
  for (const [term, value] of sureness(row)) say(term, value);
  say("Tokens per second", digits(data.front.tokens_per_s[row]));
  say("Parameters", `${count(data.front.parameters[row])} (${count(data.front.active_parameters[row])} active)`);
  say("Weights, KV cache", `${prefixed(data.front.weight_bytes[row], "B")}, ${prefixed(data.front.kv_cache_bytes[row], "B")}`);
  say("Bound by", `prefill ${data.front.prefill_bound[row]}, decode ${data.front.decode_bound[row]}`);
  say("Law", data.front.in_range[row] ? "inside its data" : `beyond its data: ${data.front.out_of_range[row]}`);
  for (const field of data.fields) {
    const value = data.front[field.column][row];
    if (value !== 0) say(field.column.replaceAll("_", " "), typeof value === "boolean" ? (value ? "yes" : "no") : String(value), field.about);
  }
}

function drawRoofline() {
  const found = data.rooflines[state.selected];
  byId("roofline-pair").hidden = !found;
  const missing = byId("roofline-missing");
  missing.hidden = Boolean(found);
  if (!found) {
    const drawn = Object.keys(data.rooflines).map(Number);
    const nearest = drawn.sort((a, b) => Math.abs(a - state.selected) - Math.abs(b - state.selected))[0];
    missing.firstElementChild.textContent = `Rooflines of ${drawn.length} of the ${size} members are kept here, and not of member ${state.selected}.`;
    const button = missing.lastElementChild;
    button.hidden = nearest === undefined;
    button.textContent = `Show member ${nearest}`;
    button.onclick = () => select(nearest);
    return;
  }
  const { operators, peaks, bandwidths } = found;
  const placed = operators.filter((o) => o.flops > 0 && o.intensity !== null);
  const dram = bandwidths[0];
  const spots = [...placed.map((o) => o.intensity), ...peaks.flatMap((p) => [p.ridge, p.attainable_ridge])];
  const [left, right] = [Math.min(...spots) / 4, Math.max(...spots) * 6];
  const top = Math.max(...peaks.map((p) => p.nominal)) * 4;
  const low = Math.min(left * dram.attainable, ...placed.map((o) => o.attained)) / 2;
  const line = (x, y, paint, name, words, dash = "solid") => ({
    type: "scatter", mode: "lines", x, y, name, line: { color: colour(paint), width: 1.6, dash },
    legendgroup: name, showlegend: false, hoverinfo: "text", text: words,
  });
  const traces = [];
  for (const [kind, paint, name] of [["nominal", "faint", "Data-sheet roof"], ["attainable", "ink", "Attainable roof"]]) {
    const best = Math.max(...peaks.map((p) => p[kind]));
    for (const p of peaks) {
      traces.push(line([p[kind] / dram[kind], right], [p[kind], p[kind]], paint, name, `${p.format}: ${prefixed(p[kind], "FLOP/s")} ${kind}`));
    }
    traces.push(line([left, best / dram[kind]], [left * dram[kind], best], paint, name, `${dram.level}: ${prefixed(dram[kind], "B/s")} ${kind}`));
    traces[traces.length - 1].showlegend = true;
    if (kind === "nominal") {
      for (const level of bandwidths.slice(1)) {
        traces.push(line([left, best / level.nominal], [left * level.nominal, best], paint, level.level, `${level.level}: ${prefixed(level.nominal, "B/s")}`, "dot"));
      }
    }
  }
  for (const [phase, paint] of [["prefill", "blue"], ["decode", "orange"]]) {
    const some = placed.filter((o) => o.phase === phase);
    traces.push({
      type: "scatter", mode: "markers", name: phase, x: some.map((o) => o.intensity), y: some.map((o) => o.attained),
      marker: { color: colour(paint), opacity: 0.75, size: some.map((o) => 6 + 30 * Math.sqrt(o.share)), line: { color: colour("paper"), width: 1 } },
      text: some.map((o) => `<b>${escapeHtml(o.operator.replaceAll("_", " "))}</b>, ${phase}<br>${percent(o.share)} of the phase, ${prefixed(o.time, "s")}` +
        `<br>${digits(o.intensity, 3)} FLOP/byte<br>${prefixed(o.attained, "FLOP/s")}<br>bound by ${o.bound}`),
      hovertemplate: "%{text}<extra></extra>",
    });
  }
  const log = (from, to) => ({ type: "log", range: [Math.log10(from), Math.log10(to)], dtick: 1 });
  Plotly.react(byId("roofline"), traces, layout(
    { ...log(left, right), title: { text: "Operational intensity (FLOP per byte of DRAM traffic)" } },
    { ...log(low, top), title: { text: "Attained performance (FLOP/s)" }, tickformat: "~s" }), CONFIG);

  const table = byId("operators");
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  for (const name of ["Operator", "Phase", "Time", "Share", "FLOP/byte", "FLOP/s", "Bound"]) {
    head.append(make("th", name, { scope: "col" }));
  }
  const body = table.createTBody();
  const add = (cells) => {
    const line = body.insertRow();
    cells.forEach((text, i) => line.append(make("td", text, i < 2 ? { class: "text" } : {})));
  };
  for (const o of operators) {
    const cells = [o.operator.replaceAll("_", " "), o.phase, prefixed(o.time, "s"), percent(o.share),
      o.intensity === null ? "on chip" : digits(o.intensity, 3), o.flops > 0 ? prefixed(o.attained, "") : "–", o.bound];
    add(cells);
  }
  for (const [phase, share] of Object.entries(found.fixed)) {
    if (share > 0) add(["fixed time of a pass", phase, "–", percent(share), "–", "–", "overhead"]);
  }
}

// ---- the table of members ----------------------------------------------------------------------

const COLUMNS = [
  { name: "Member", value: (row) => row },
  ...data.axes.map((axis) => ({
    name: `${axis.title} (${axis.unit})`, value: (row) => data.front[axis.column][row],
    text: (row) => digits(data.front[axis.column][row] / axis.scale, axis.objective === "loss" ? 5 : 4),
  })),
  { name: "On the front", value: (row) => data.front.p_front[row], text: (row) => percent(data.front.p_front[row]) },
  ...(data.front.p_feasible ? [{ name: "Within limits", value: (row) => data.front.p_feasible[row], text: (row) => percent(data.front.p_feasible[row]) }] : []),
  ...(data.front.survives ? [{ name: "Every law", value: (row) => (data.front.survives[row] ? "keeps it" : "does not") }] : []),
  { name: "Parameters", value: (row) => data.front.parameters[row], text: (row) => count(data.front.parameters[row]) },
  { name: "Active", value: (row) => data.front.active_parameters[row], text: (row) => count(data.front.active_parameters[row]) },
  ...[["layers", "Layers"], ["width", "Width"], ["query_heads", "Heads"], ["kv_heads", "KV heads"], ["experts", "Experts"],
    ["weight_format", "Weights"], ["bound", "Bound"]]
    .map(([column, name]) => ({ name, value: (row) => data.front[column][row] })),
  { name: "Law", value: (row) => (data.front.in_range[row] ? "inside" : "beyond") },
];

function drawTable(some) {
  const { column, descending } = state.sort;
  const order = [...some];
  if (column !== null) {
    const value = COLUMNS[column].value;
    order.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a - b) * (descending ? -1 : 1));
  }
  const table = byId("members");
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  COLUMNS.forEach((given, i) => {
    const cell = make("th", undefined, { scope: "col", "aria-sort": i === column ? (descending ? "descending" : "ascending") : "none" });
    const button = make("button", given.name, { type: "button", "data-column": i });
    button.onclick = () => {
      state.sort = { column: i, descending: column === i && !descending };
      draw();
      byId("members").querySelector(`button[data-column="${i}"]`).focus();
    };
    cell.append(button);
    head.append(cell);
  });
  const body = table.createTBody();
  for (const row of state.all ? order : order.slice(0, PAGE)) {
    const line = body.insertRow();
    line.dataset.row = row;
    line.setAttribute("aria-selected", row === state.selected);
    COLUMNS.forEach((given, i) => {
      const text = given.text ? given.text(row) : String(given.value(row));
      const cell = line.insertCell();
      if (i === 0) cell.append(make("button", `${text} ${role(row)}`.trim(), { type: "button" }));
      else cell.textContent = text;
    });
    line.onclick = () => select(row);
  }
  const more = byId("more");
  more.hidden = state.all || order.length <= PAGE;
  more.textContent = `Show all ${order.length} members`;
}

// ---- controls ----------------------------------------------------------------------------------

function select(row) {
  state.selected = row;
  for (const line of byId("members").tBodies[0].rows) line.setAttribute("aria-selected", Number(line.dataset.row) === row);
  drawFront(visible());
  drawMember();
  drawRoofline();
}

function draw() {
  const some = visible();
  drawFront(some);
  drawTable(some);
}

function addBudget(axis) {
  const values = data.front[axis.column].filter(Number.isFinite).map((value) => value / axis.scale);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const STEPS = 1000;
  const box = make("label", undefined, { class: "budget" });
  const name = `${axis.title} (${axis.unit})`;
  const slider = make("input", undefined, { type: "range", min: 0, max: STEPS, "aria-label": `${name}, slider` });
  const number = make("input", undefined, { type: "number", step: "any", min: 0, placeholder: "no limit", "aria-label": name });
  const positionOf = (value) => (high > low ? Math.ceil((STEPS * Math.log(value / low)) / Math.log(high / low)) : STEPS);
  const show = () => {
    const budget = state.budgets[axis.objective] / axis.scale;
    number.value = Number.isFinite(budget) ? Number(budget.toPrecision(4)) : "";
    slider.value = Number.isFinite(budget) ? positionOf(budget) : STEPS;
  };
  slider.oninput = () => {
    const free = Number(slider.value) === STEPS;
    const value = Number((low * (high / low) ** (slider.value / STEPS)).toPrecision(4));
    state.budgets[axis.objective] = free ? Infinity : value * axis.scale;
    show();
    draw();
  };
  number.onchange = () => {
    const value = Number(number.value);
    state.budgets[axis.objective] = number.value !== "" && value > 0 ? value * axis.scale : Infinity;
    show();
    draw();
  };
  show();
  box.append(make("span", name), slider, number);
  byId("budgets").append(box);
}

function start() {
  for (const side of ["x", "y"]) {
    const choice = byId(`axis-${side}`);
    for (const axis of data.axes) choice.append(make("option", axis.title, { value: axis.objective }));
    choice.value = state[side];
    choice.onchange = () => { state[side] = choice.value; drawFront(visible()); };
  }
  for (const [id, key] of [["show-references", "references"], ["show-beyond", "beyond"]]) {
    byId(id).onchange = (event) => { state[key] = event.target.checked; draw(); };
  }
  data.axes.forEach(addBudget);
  byId("more").onclick = () => { state.all = true; draw(); };
  byId("controls").onsubmit = (event) => event.preventDefault();
  draw();
  drawMember();
  drawRoofline();
  byId("front").on("plotly_click", (event) => {
    const row = event.points.map((point) => point.customdata).find((found) => found !== undefined);
    if (row !== undefined) select(row);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawFront(visible()); drawRoofline(); });
}

start();

// The front as a plot: members, known models, picks, budgets, intervals.

function layout(x, y, annotations = []) {
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
    xaxis: side(x), yaxis: side({ ...y, title: { ...y.title, standoff: 10 } }),
    annotations: annotations.map((given) => ({ showarrow: false, font: { color: colour("quiet"), size: 11 }, ...given })),
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
  const budget = (state.budgets[axis.objective] ?? Infinity) / axis.scale;
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (budget < 2 * high) high = Math.max(high, budget);
  if (axis.log) [low, high] = [Math.log10(low), Math.log10(high)];
  const margin = 0.06 * (high - low) || 0.1 * Math.abs(high) || 1;
  return [low - margin, high + margin];
}

// A text in lines that a narrow screen has room for.
function broken(text, most = 46) {
  const lines = [""];
  for (const word of String(text).split(" ")) {
    if (lines.at(-1).length + word.length >= most) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) ? " " : "") + word;
  }
  return lines;
}

function hover(row) {
  const lines = [`<b>Member ${row}</b> ${role(row)}`];
  for (const axis of Object.values(axes)) lines.push(`${axis.title}: ${withEnds(axis, row)}`);
  for (const [term, value] of sureness(row)) lines.push(`${term}: ${escapeHtml(value)}`);
  lines.push(...broken(data.front.shape[row]).map(escapeHtml));
  lines.push(`Bound: prefill ${data.front.prefill_bound[row]}, decode ${data.front.decode_bound[row]}`);
  lines.push(...broken(`Basis: ${data.basis}`).map(escapeHtml));
  if (!data.front.in_range[row]) lines.push(...broken(`Beyond the law's data: ${data.front.out_of_range[row]}`).map(escapeHtml));
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

// The sides of their points that names stand on, without names that would cover anything.
// points, marks: places on the axes, with the radius of their marks in pixels; taken: boxes of
// pixels, from the lower left of the plot, that hold words already; lines: places along lines, on
// which names stand only of points that must be named.
function apart(points, marks, ranges, width, height, taken = [], lines = []) {
  const pixel = ({ at }) => at.map((value, i) =>
    ((value - ranges[i][0]) / (ranges[i][1] - ranges[i][0])) * (i ? height : width));
  const around = (point) => {
    const [[px, py], radius] = [pixel(point), point.radius ?? 5];
    return [px - radius, py - radius, px + radius, py + radius];
  };
  const lined = lines.map(around);
  const placed = [...taken, ...[...points, ...marks].map(around)];
  return points.map((point) => {
    const [px, py] = pixel(point);
    const [wide, off] = [6.5 * point.name.length, (point.radius ?? 5) + 1];
    const boxes = {
      "middle right": [px + off, py - 7, px + off + 4 + wide, py + 7],
      "top center": [px - wide / 2, py + off, px + wide / 2, py + off + 14],
      "bottom center": [px - wide / 2, py - off - 14, px + wide / 2, py - off],
      "middle left": [px - off - 4 - wide, py - 7, px - off, py + 7],
    };
    const clear = (box, others) =>
      others.every((other) => box[0] > other[2] || box[2] < other[0] || box[1] > other[3] || box[3] < other[1]);
    const free = (box) => box[0] > 0 && box[1] > 0 && box[2] < width && box[3] < height && clear(box, placed);
    const apartFromLines = Object.keys(boxes).find((key) => free(boxes[key]) && clear(boxes[key], lined));
    const side = apartFromLines ?? (point.must ? Object.keys(boxes).find((key) => free(boxes[key])) : undefined);
    if (side) placed.push(boxes[side]);
    return { text: side ? escapeHtml(point.name) : "", side: side ?? "middle right" };
  });
}

// The colour of markers: one for all, or by a quantity.
function paintOf(some, all, bar) {
  const axis = axes[state.colour];
  if (!axis) return { color: colour("blue") };
  const values = (given) => given.map((row) => {
    const value = data.front[axis.column][row] / axis.scale;
    return axis.log ? Math.log10(value) : value;
  });
  const known = values(all).filter(Number.isFinite);
  const ends = [Math.min(...known), Math.max(...known)];
  const at = axis.log ? ticks(ends).map(Math.log10).filter((tick) => tick >= ends[0] && tick <= ends[1]) : undefined;
  return {
    color: values(some), cmin: ends[0], cmax: ends[1], colorscale: isDark() ? [[0, "#7f8ff0"], [0.5, "#2fc79a"], [1, "#fde725"]] : "Viridis", showscale: bar,
    colorbar: {
      title: { text: `${axis.title} (${axis.unit})`, side: "right" }, thickness: 12, outlinewidth: 0,
      ...(at?.length > 1 ? { tickvals: at, ticktext: at.map((tick) => digits(10 ** tick)) } : {}),
    },
  };
}

// The band that nine of ten values of the loss lie in, behind the front.
function band(some, x, y) {
  const loss = x.objective === "loss" ? x : y;
  const [low, high] = ["low", "high"].map((end) => data.front[`${loss.column}_${end}`]);
  if (loss.objective !== "loss" || x === y || data.colour !== "" || !low || !some.length || low.some((value) => value === null)) return [];
  const other = loss === x ? y : x;
  const order = [...some].sort((a, b) => data.front[other.column][a] - data.front[other.column][b]);
  const along = order.map((row) => data.front[other.column][row] / other.scale);
  const edge = [...order.map((row) => low[row]), ...order.map((row) => high[row]).reverse()].map((value) => value / loss.scale);
  const ends = [...along, ...[...along].reverse()];
  return [{
    type: "scatter", mode: "lines", fill: "toself", name: "90 % band", hoverinfo: "skip", line: { width: 0 },
    fillcolor: colour("band"),
    ...(loss === x ? { x: edge, y: ends } : { x: ends, y: edge }),
  }];
}

function drawFront(some) {
  const [x, y] = [axes[state.x], axes[state.y]];
  const ranges = [rangeOf(x), rangeOf(y)];
  const plot = byId("front");
  const inside = some.filter((row) => data.front.in_range[row]);
  const beyond = some.filter((row) => !data.front.in_range[row]);
  const traces = [
    [inside, "Front", { ...paintOf(inside, some, true), size: 6, opacity: inside.map(opacity) }],
    [beyond, `Front, ${BEYOND}`, { ...paintOf(beyond, some, !inside.length), size: 7, symbol: "diamond-open", opacity: beyond.map(opacity) }],
  ].map(([group, name, marker]) => ({ ...members(group, name, marker, x, y), showlegend: group.some((row) => !role(row)) }));
  if (state.intervals) traces.unshift(...band(some, x, y));
  let outside = 0;
  if (state.references && [x, y].every((axis) => axis.column in data.references)) {
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
  const picks = [[data.runner_up, "Runner-up", "green", "triangle-up", 15], [data.knee, "Knee", "orange", "star", 16]];
  for (const [row, name, paint, symbol, points] of picks) {
    if (row !== null && some.includes(row)) {
      const kept = data.front.in_range[row];
      const line = kept ? { color: colour("paper"), width: 1 } : { color: colour(paint), width: 2 };
      const marker = { color: colour(kept ? paint : "paper"), symbol, size: points, line };
      const bars = state.intervals && row === data.knee ? { error_x: errorBar(x, [row], colour(paint)), error_y: errorBar(y, [row], colour(paint)) } : {};
      traces.push({ ...members([row], kept ? name : `${name}, ${BEYOND}`, marker, x, y), ...bars });
    }
  }
  const ring = { color: "rgba(0,0,0,0)", size: 20, line: { color: colour("ink"), width: 2 } };
  const selected = [state.selected];
  const bars = state.intervals && state.selected !== data.knee
    ? { error_x: errorBar(x, selected, colour("quiet")), error_y: errorBar(y, selected, colour("quiet")) } : {};
  traces.push({ ...members(selected, "Selected", ring, x, y), ...bars, showlegend: false, hoverinfo: "skip", hovertemplate: null });
  const budgetLine = (axis, along) => {
    const at = (state.budgets[axis.objective] ?? Infinity) / axis.scale;
    if (!Number.isFinite(at)) return [];
    const ends = along === "x" ? { x0: at, x1: at, yref: "paper", y0: 0, y1: 1 } : { y0: at, y1: at, xref: "paper", x0: 0, x1: 1 };
    return [{ type: "line", line: { color: colour("quiet"), dash: "dash", width: 1.5 }, ...ends }];
  };
  const side = (axis, range) => ({ title: { text: `${axis.title} (${axis.unit})` }, type: axis.log ? "log" : "linear", range,
    ...(axis.log ? { tickvals: ticks(range) } : {}) });
  Plotly.react(plot, traces, { ...layout(side(x, ranges[0]), side(y, ranges[1])),
    shapes: [...budgetLine(x, "x"), ...budgetLine(y, "y")] }, CONFIG);
  const others = outside ? `; ${outside} known model${outside > 1 ? "s" : ""} beyond the view` : "";
  byId("count").textContent = `${some.length} of ${size} members shown${others}. Choose a point, or go from one to the next with the arrow keys, to see its architecture and its roofline.`;
}

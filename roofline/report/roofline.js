// ---- what the page carries of rooflines ---------------------------------------------------------

function decoded(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

const kept = (() => {
  const given = data.rooflines;
  const floats = (name) => new Float32Array(decoded(given[name]).buffer);
  return {
    at: new Map(given.rows.map((row, position) => [row, position])),
    flops: floats("flops"), bytes: floats("bytes"), time: floats("time"), whole: floats("whole"),
    bound: decoded(given.bound),
  };
})();

// Operators, roofs and fixed times of one member; undefined where the page does not carry them.
function rooflineOf(row) {
  const position = kept.at.get(row);
  if (position === undefined) return undefined;
  const given = data.rooflines;
  const wide = given.operators.length;
  const whole = Object.fromEntries(given.phases.map((phase, i) => [phase, kept.whole[position * given.phases.length + i]]));
  const operators = given.operators.map(([phase, operator], i) => {
    const [flops, bytes, time] = ["flops", "bytes", "time"].map((name) => kept[name][position * wide + i]);
    return {
      phase, operator, flops, bytes, time, share: time / whole[phase], attained: flops / time,
      intensity: flops > 0 ? flops / bytes : 0, bound: given.bounds[kept.bound[position * wide + i]],
      format: given.formats[given.roof[position]][i],
    };
  }).filter((operator) => operator.time > 0);
  const fixed = Object.fromEntries(given.phases.map((phase) => [phase,
    Math.max(0, 1 - operators.filter((o) => o.phase === phase).reduce((sum, o) => sum + o.share, 0))]));
  return { operators, roofs: given.roofs[given.roof[position]], fixed };
}

// ---- the plot and its table --------------------------------------------------------------------

function drawRoofline() {
  const found = rooflineOf(state.selected);
  byId("roofline-title").textContent = `Roofline of member ${state.selected}`;
  byId("roofline-pair").hidden = !found;
  const missing = byId("roofline-missing");
  missing.hidden = Boolean(found);
  if (!found) {
    const drawn = data.rooflines.rows;
    const nearest = [...drawn].sort((a, b) => Math.abs(a - state.selected) - Math.abs(b - state.selected))[0];
    missing.firstElementChild.textContent = `Rooflines of ${drawn.length} of the ${size} members are kept here, and not of member ${state.selected}.`;
    const button = missing.lastElementChild;
    button.hidden = nearest === undefined;
    button.textContent = `Show member ${nearest}`;
    button.onclick = () => select(nearest);
    return;
  }
  const { operators, roofs } = found;
  const placed = operators.filter((o) => o.flops > 0 && Number.isFinite(o.intensity));
  const peaksOfAll = roofs.flatMap((roof) => roof.peaks);
  const spots = [...placed.map((o) => o.intensity), ...peaksOfAll.flatMap((p) => [p.ridge, p.attainable_ridge])];
  const [left, right] = [Math.min(...spots) / 4, Math.max(...spots) * 20];
  const top = Math.max(...peaksOfAll.map((p) => p.nominal)) * 4;
  const low = Math.min(...roofs.map((roof) => left * roof.bandwidths[0].attainable), ...placed.map((o) => o.attained)) / 2;
  const line = (x, y, paint, name, said, dash = "solid") => ({
    type: "scatter", mode: "lines", x, y, name, line: { color: colour(paint), width: 1.6, dash },
    legendgroup: name, showlegend: false, hoverinfo: "text", text: said,
  });
  const traces = [];
  const names = [];
  roofs.forEach(({ processor, peaks, bandwidths }, number) => {
    const of = roofs.length > 1 ? ` of the ${processor}` : "";
    const dram = bandwidths[0];
    const dash = ["solid", "longdash", "dashdot"][number % 3];
    for (const [kind, paint, title] of [["nominal", "faint", "Data-sheet roof"], ["attainable", "ink", "Attainable roof"]]) {
      const name = title + of;
      const best = Math.max(...peaks.map((p) => p[kind]));
      for (const p of peaks) {
        traces.push(line([p[kind] / dram[kind], right], [p[kind], p[kind]], paint, name, `${p.format}: ${prefixed(p[kind], "FLOP/s")} ${kind}`, dash));
        const said = kind === "nominal" ? `${escapeHtml(p.format)} ${prefixed(p[kind], "FLOP/s")}${of}` : `${prefixed(p[kind], "FLOP/s")} attainable`;
        names.push({ x: Math.log10(right), y: Math.log10(p[kind]), text: said, xanchor: "right", yanchor: kind === "nominal" ? "bottom" : "top" });
      }
      traces.push(line([left, best / dram[kind]], [left * dram[kind], best], paint, name, `${dram.level}: ${prefixed(dram[kind], "B/s")} ${kind}`, dash));
      traces[traces.length - 1].showlegend = true;
      if (kind === "nominal") {
        for (const level of bandwidths.slice(1)) {
          traces.push(line([left, best / level.nominal], [left * level.nominal, best], paint, level.level, `${level.level}: ${prefixed(level.nominal, "B/s")}`, "dot"));
        }
      }
    }
  });
  for (const [phase, paint] of [["prefill", "blue"], ["decode", "orange"]]) {
    const some = placed.filter((o) => o.phase === phase);
    traces.push({
      type: "scatter", mode: "markers", name: phase, x: some.map((o) => o.intensity), y: some.map((o) => o.attained),
      marker: { color: colour(paint), opacity: 0.75, size: some.map((o) => 6 + 30 * Math.sqrt(o.share)), line: { color: colour("paper"), width: 1 } },
      text: some.map((o) => `<b>${escapeHtml(words(o.operator))}</b>, ${phase}<br>${percent(o.share)} of the phase, ${prefixed(o.time, "s")}` +
        `<br>${digits(o.intensity, 3)} FLOP/byte<br>${prefixed(o.attained, "FLOP/s")}${o.format ? ` in ${escapeHtml(o.format)}` : ""}<br>bound by ${o.bound}`),
      hovertemplate: "%{text}<extra></extra>",
    });
  }
  // The longest operators are named where there is room; all of them are in the table.
  const plot = byId("roofline");
  const [width, height] = [plot.clientWidth - 75, plot.clientHeight - 110];
  const ranges = [[left, right], [low, top]].map((ends) => ends.map(Math.log10));
  const spotOf = (o) => ({
    name: `${words(o.operator)} ${percent(o.share)}`, radius: (6 + 30 * Math.sqrt(o.share)) / 2, must: o.share >= 0.1,
    at: [Math.log10(o.intensity), Math.log10(o.attained)],
  });
  const heightOf = (y) => (height * (y - ranges[1][0])) / (ranges[1][1] - ranges[1][0]);
  const written = names.map(({ y, text, yanchor }) =>
    [width - 7 * text.length, heightOf(y) - (yanchor === "top" ? 18 : 0), width, heightOf(y) + (yanchor === "top" ? 0 : 18)]);
  const long = placed.filter((o) => o.share >= 0.03).sort((a, b) => b.share - a.share);
  const steps = Array.from({ length: 80 }, (_, i) => ranges[0][0] + ((ranges[0][1] - ranges[0][0]) * i) / 79);
  const lines = roofs.flatMap(({ peaks, bandwidths }) => ["nominal", "attainable"].flatMap((kind) => steps.map((x) => ({
    at: [x, Math.min(Math.log10(bandwidths[0][kind]) + x, Math.log10(Math.max(...peaks.map((p) => p[kind]))))], radius: 1,
  }))));
  const labels = apart(long.map(spotOf), placed.map(spotOf), ranges, width, height, written, lines);
  const [toSide, upright] = [{ right: "left", left: "right", center: "center" }, { top: "bottom", bottom: "top", middle: "middle" }];
  long.forEach((o, i) => {
    if (!labels[i].text) return;
    const [up, side] = labels[i].side.split(" ");
    const { at, radius } = spotOf(o);
    names.push({
      x: at[0], y: at[1], text: labels[i].text, xanchor: toSide[side], yanchor: upright[up],
      xshift: { right: radius, left: -radius, center: 0 }[side], yshift: { top: radius, bottom: -radius, middle: 0 }[up],
      font: { size: 11, color: colour(o.phase === "prefill" ? "blue" : "orange") },
    });
  });
  const narrow = plot.clientWidth < 480;
  const across = `Operational intensity${narrow ? "<br>" : " "}(FLOP per byte of DRAM traffic)`;
  const log = (from, to) => ({ type: "log", range: [Math.log10(from), Math.log10(to)], dtick: 1 });
  Plotly.react(plot, traces, layout(
    { ...log(left, right), title: { text: across } },
    { ...log(low, top), title: { text: "Attained performance (FLOP/s)" }, tickformat: "~s" }, names), CONFIG);

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
    const cells = [words(o.operator), o.phase, prefixed(o.time, "s"), percent(o.share),
      !Number.isFinite(o.intensity) ? "on chip" : digits(o.intensity, 3), o.flops > 0 ? prefixed(o.attained, "") : "–", o.bound];
    add(cells);
  }
  for (const [phase, share] of Object.entries(found.fixed)) {
    if (share > 0) add(["fixed time of a pass", phase, "–", percent(share), "–", "–", "overhead"]);
  }
}

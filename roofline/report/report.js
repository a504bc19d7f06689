// Controls, and what they call.

function select(row) {
  state.selected = row;
  for (const line of byId("members").tBodies[0].rows) mark(line, Number(line.dataset.row) === row);
  drawFront(visible());
  drawMember();
  drawRoofline();
}

function draw() {
  const some = visible();
  drawFront(some);
  drawTable(some);
}

// Go from one shown member to the next: left and right along the axis across, up and down along
// the other.
function walkFront(event) {
  const step = { ArrowRight: ["x", 1], ArrowLeft: ["x", -1], ArrowUp: ["y", 1], ArrowDown: ["y", -1], Home: ["x", -Infinity], End: ["x", Infinity] }[event.key];
  const some = visible();
  if (!step || !some.length) return;
  event.preventDefault();
  const column = data.front[axes[state[step[0]]].column];
  const order = [...some].sort((a, b) => column[a] - column[b] || a - b);
  const at = order.indexOf(state.selected);
  const to = at < 0 ? 0 : Math.max(0, Math.min(order.length - 1, at + step[1]));
  select(order[to]);
}

function addBudget(axis) {
  const values = data.front[axis.column].filter(Number.isFinite).map((value) => value / axis.scale);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const STEPS = 1000;
  const box = make("div", undefined, { class: "budget" });
  const name = `${axis.title} (${axis.unit})`;
  const slider = make("input", undefined, { type: "range", min: 0, max: STEPS, "data-budget": axis.objective, "aria-label": `${name}, slider` });
  const number = make("input", undefined, { type: "number", step: "any", min: 0, placeholder: "no limit", "aria-label": `${name}, at most` });
  const positionOf = (value) => (high > low ? Math.ceil((STEPS * Math.log(value / low)) / Math.log(high / low)) : STEPS);
  const show = (moved = false) => {
    const budget = state.budgets[axis.objective] / axis.scale;
    number.value = Number.isFinite(budget) ? Number(budget.toPrecision(4)) : "";
    // A slider that is being moved stays where the reader has it: rounding would hold it back.
    if (!moved) slider.value = Number.isFinite(budget) ? positionOf(budget) : STEPS;
    slider.setAttribute("aria-valuetext", Number.isFinite(budget) ? `at most ${number.value} ${axis.unit}` : "no limit");
  };
  slider.oninput = () => {
    const free = Number(slider.value) === STEPS;
    const value = atLeast(low * (high / low) ** (slider.value / STEPS));
    state.budgets[axis.objective] = free ? Infinity : value * axis.scale;
    show(true);
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

// A choice among the values that members have in one column.
function addChoice({ column, title, values }) {
  const label = make("label", `${title} `);
  const choice = make("select", undefined, { "data-choice": column });
  choice.append(make("option", "any", { value: "" }));
  for (const value of values) choice.append(make("option", String(value), { value }));
  choice.onchange = () => { state.choices[column] = choice.value; draw(); };
  label.append(choice);
  byId("filters").append(label);
}

function addChance() {
  const most = Math.max(...data.front[CHANCE]);
  const label = make("label", CHANCE === "p_feasible" ? "Within the limits in at least " : "On the front in at least ");
  const slider = make("input", undefined, { type: "range", min: 0, max: 100, value: 0, id: "chance" });
  const told = make("output", "0 %", { for: "chance" });
  slider.oninput = () => {
    state.chance = (most * slider.value) / 100;
    told.textContent = `${digits(100 * state.chance, 2)} %`;
    slider.setAttribute("aria-valuetext", `${told.textContent} of draws`);
    draw();
  };
  label.append(slider);
  byId("filters").append(label, told);
}

// The theme is the reader's system's until the button says otherwise.
function isDark() {
  const said = document.documentElement.dataset.theme;
  return said ? said === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// What is printed is light, whatever the reader reads by, and as wide as the paper.
function printed(begins) {
  const page = document.documentElement;
  if (begins) {
    printed.theme = page.dataset.theme;
    page.dataset.theme = "light";
  } else if (printed.theme === undefined) delete page.dataset.theme;
  else page.dataset.theme = printed.theme;
  page.classList.toggle("printed", begins);
  repaint();
  // At once: the paper does not wait, as Plots.resize would.
  for (const id of ["front", "roofline"]) Plotly.relayout(byId(id), { autosize: true });
}

function repaint() {
  byId("theme").setAttribute("aria-pressed", isDark());
  drawFront(visible());
  drawRoofline();
}

function start() {
  for (const side of ["x", "y"]) {
    const choice = byId(`axis-${side}`);
    for (const axis of Object.values(axes)) choice.append(make("option", axis.title, { value: axis.objective }));
    choice.value = state[side];
    choice.onchange = () => { state[side] = choice.value; drawFront(visible()); };
  }
  const paint = byId("colour");
  paint.append(make("option", "one for all", { value: "" }));
  for (const axis of Object.values(axes)) paint.append(make("option", axis.title, { value: axis.objective }));
  paint.value = state.colour;
  paint.onchange = () => { state.colour = paint.value; drawFront(visible()); };
  for (const [id, key] of [["show-references", "references"], ["show-beyond", "beyond"], ["show-intervals", "intervals"], ["only-survivors", "survivors"]]) {
    byId(id).onchange = (event) => { state[key] = event.target.checked; draw(); };
  }
  byId("survivors").hidden = !data.front.survives;
  data.choices.forEach(addChoice);
  addChance();
  data.axes.forEach(addBudget);
  byId("more").onclick = () => { state.all = true; draw(); };
  byId("controls").onsubmit = (event) => event.preventDefault();
  byId("front").onkeydown = walkFront;
  byId("members").onkeydown = walkTable;
  if (matchMedia("(max-width: 600px)").matches) byId("narrow").open = false;
  draw();
  drawMember();
  drawRoofline();
  addEventListener("beforeprint", () => printed(true));
  addEventListener("afterprint", () => printed(false));
  byId("front").on("plotly_click", (event) => {
    const row = event.points.map((point) => point.customdata).find((found) => found !== undefined);
    if (row !== undefined) select(row);
  });
  byId("theme").setAttribute("aria-pressed", isDark());
  byId("theme").onclick = () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; repaint(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}

// Plotly is kept compressed, which halves the page.
async function unpack() {
  const packed = decoded(byId("plotly").textContent);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(make("script", await new Response(stream).text()));
}

unpack().then(start, () => {
  byId("count").textContent = "This browser is too old to draw the page: it needs one of 2023 or later.";
});

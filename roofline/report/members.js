// The selected member in words, and the table of all that are shown.

const SIZES = ["parameters", "active_parameters"];

function drawMember() {
  const row = state.selected;
  const what = role(row);
  byId("member-title").textContent = `Member ${row}${what ? `, the ${what}` : ""}`;
  const list = byId("member-fields");
  list.replaceChildren();
  const say = (term, value, title = "") => list.append(make("dt", term, { title }), make("dd", value));
  say("Shape", data.front.shape[row]);
  for (const axis of Object.values(axes)) if (!SIZES.includes(axis.objective)) say(axis.title, withEnds(axis, row));
  for (const [term, value] of sureness(row)) say(term, value);
  say("Tokens per second", digits(data.front.tokens_per_s[row]));
  say("Parameters", `${count(data.front.parameters[row])} (${count(data.front.active_parameters[row])} active)`);
  say("Weights, KV cache", `${prefixed(data.front.weight_bytes[row], "B")}, ${prefixed(data.front.kv_cache_bytes[row], "B")}`);
  say("Bound by", `prefill ${data.front.prefill_bound[row]}, decode ${data.front.decode_bound[row]}`);
  say("Law", data.front.in_range[row] ? "inside its data" : `beyond its data: ${data.front.out_of_range[row]}`);
  if (data.front.placement) say("Placement", data.front.placement[row].replaceAll(",", ", "));
  for (const field of data.fields) {
    const value = data.front[field.column][row];
    if (value !== 0) say(headed(words(field.column)), typeof value === "boolean" ? (value ? "yes" : "no") : String(value), field.about);
  }
}

const COLUMNS = [
  { name: "Member", value: (row) => row },
  ...Object.values(axes).filter((axis) => !SIZES.includes(axis.objective)).map((axis) => ({
    name: `${axis.title} (${axis.unit})`, value: (row) => data.front[axis.column][row],
    text: (row) => digits(data.front[axis.column][row] / axis.scale, axis.column.startsWith("loss") ? 5 : 4),
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

function mark(line, chosen) {
  line.setAttribute("aria-selected", chosen);
  line.tabIndex = chosen ? 0 : -1;
}

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
    mark(line, row === state.selected);
    COLUMNS.forEach((given, i) => {
      const text = given.text ? given.text(row) : String(given.value(row));
      line.insertCell().textContent = i === 0 ? `${text} ${role(row)}`.trim() : text;
    });
    line.onclick = () => select(row);
  }
  // One row can always be reached by the keyboard, the selected one where it is shown.
  if (body.rows.length && !body.querySelector("[tabindex='0']")) body.rows[0].tabIndex = 0;
  const more = byId("more");
  more.hidden = state.all || order.length <= PAGE;
  more.textContent = `Show all ${order.length} members`;
}

// Go through the rows by keyboard.
function walkTable(event) {
  const line = event.target.closest("tbody tr");
  if (!line) return;
  const lines = [...line.parentElement.rows];
  const at = lines.indexOf(line);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1, Enter: at, " ": at }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = lines[Math.max(0, Math.min(lines.length - 1, to))];
  select(Number(next.dataset.row));
  next.focus();
}

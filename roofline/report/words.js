"use strict";
// The data of the page, its one state, and how numbers are written. Every control changes `state`,
// and `draw` shows it.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const size = data.front.loss.length;
const rows = Array.from({ length: size }, (_, row) => row);
const axes = Object.fromEntries([...data.axes, ...data.law_axes].map((axis) => [axis.objective, axis]));

const PAGE = 200; // table rows that are drawn before one asks for all
const state = {
  x: data.objectives[1],
  y: data.objectives[0],
  colour: data.colour,
  budgets: Object.fromEntries(data.axes.map((axis) => [axis.objective, data.limits[axis.objective] ?? Infinity])),
  choices: Object.fromEntries(data.choices.map((choice) => [choice.column, ""])),
  chance: 0, // least share of draws in which a member is within the limits, or on the front
  references: true,
  beyond: true,
  intervals: true,
  survivors: false,
  selected: data.knee,
  sort: { column: null, descending: false },
  all: false,
};

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
const SHORT = { kv: "KV", qk: "QK", ffn: "FFN", mla: "MLA" };
const words = (name) => name.split("_").map((word) => SHORT[word] ?? word).join(" ");
const headed = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const percent = (share) => (share > 0 && share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`);
// The same rounded up, so that a budget of a member's own value keeps the member.
function atLeast(value, count = 4) {
  const unit = 10 ** (Math.floor(Math.log10(value)) - count + 1);
  return Number((Math.ceil(value / unit - 1e-9) * unit).toPrecision(count));
}
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

// What a member's chance is of: the limits where there are any, else the front.
const CHANCE = data.front.p_feasible ? "p_feasible" : "p_front";

function visible() {
  return rows.filter((row) =>
    (state.beyond || data.front.in_range[row]) &&
    (!state.survivors || data.front.survives[row]) &&
    data.front[CHANCE][row] >= state.chance &&
    data.choices.every(({ column }) => state.choices[column] === "" || String(data.front[column][row]) === state.choices[column]) &&
    data.axes.every((axis) => !(data.front[axis.column][row] > state.budgets[axis.objective])));
}

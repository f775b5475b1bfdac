"use strict";
// The page of results: one task at a time, a table that sorts, score against speed, and the tracks
// on which two competitors differ. Text from files is only ever set as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const state = { task: location.hash.slice(1), sort: null, down: true, first: null, second: null };

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "on") for (const [event, call] of Object.entries(value)) made.addEventListener(event, call);
    else if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function drawing(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const number = (value, digits = 3) => (value === null || value === undefined ? "" : value.toFixed(digits));

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function columns(rows) {
  const others = [...new Set(rows.flatMap((row) => Object.keys(row.others)))];
  return [
    { name: "competitor", of: (row) => row.competitor, show: title },
    { name: rows[0].metric, of: (row) => row.value, show: (row) => `${number(row.value)} (${number(row.low)}–${number(row.high)})` },
    { name: "to the best", of: (row) => (row.behind ? row.behind.difference : 0), show: difference },
    ...others.map((name) => ({ name, of: (row) => row.others[name] ?? null, show: (row) => number(row.others[name]) })),
    { name: "× real time", of: (row) => row.speed, show: (row) => number(row.speed, 0) },
    { name: "on all cores", of: (row) => row.all_cores, show: (row) => number(row.all_cores, 0) },
    { name: "start, s", of: (row) => row.start_up, show: (row) => number(row.start_up, 1) },
    { name: "MB", of: (row) => row.peak, show: (row) => (row.peak ? (row.peak / 1e6).toFixed(0) : "") },
    { name: "bytes per track", of: (row) => row.bytes_per_track, show: (row) => number(row.bytes_per_track, 0) },
    { name: "licence", of: (row) => row.licence, show: (row) => row.licence + (row.weights ? `; weights ${row.weights}` : "") },
  ];
}

const title = (row) =>
  row.competitor + (row.weights.includes("untrained") ? " (untrained)" : "") + (row.status === "partial" ? " *" : "");

function difference(row) {
  if (!row.behind) return "";
  const sign = row.behind.difference > 0 ? "+" : "";
  return sign + number(row.behind.difference) + (row.behind.high >= 0 ? " (tied)" : "");
}

function sorted(rows, column) {
  const rank = (value) => (value === null || value === undefined ? (state.down ? -Infinity : Infinity) : value);
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const result = [...rows].sort((a, b) => order(rank(column.of(a)), rank(column.of(b))));
  return state.down ? result.reverse() : result;
}

function table(rows, shown) {
  const all = columns(rows);
  const column = all.find((one) => one.name === state.sort) ?? all[1];
  const head = element("tr");
  for (const one of all) {
    const direction = one === column ? (state.down ? "descending" : "ascending") : "none";
    const sort = () => {
      state.down = one === column ? !state.down : one.name !== "competitor";
      state.sort = one.name;
      draw();
      document.querySelector(`th[aria-sort]:not([aria-sort="none"]) button`).focus();
    };
    head.append(element("th", { scope: "col", "aria-sort": direction }, element("button", { type: "button", on: { click: sort } }, one.name)));
  }
  const body = element("tbody");
  for (const row of sorted(rows, column)) {
    const cells = all.map((one, i) => {
      const text = one.show(row);
      if (i > 0) return element("td", {}, text);
      const choose = () => { state.first = row.competitor; draw(); document.getElementById("command").focus(); };
      return element("td", {}, element("button", { type: "button", title: "compare, and show the command", on: { click: choose } }, text));
    });
    const best = !row.behind || row.behind.high >= 0;
    body.append(element("tr", { className: (best ? "best " : "") + (row.competitor === state.first ? "chosen" : "") }, ...cells));
  }
  const chance = rows.find((row) => row.chance !== null);
  if (chance) {
    body.append(element("tr", { className: "soft" }, element("td", {}, "chance"), element("td", {}, number(chance.chance)), element("td", { colSpan: all.length - 2 })));
  }
  shown.append(element("div", { className: "wide" }, element("table", {}, element("thead", {}, head), body)));
}

// Return the box (x0, y0, x1, y1) of a text near a point that is free and inside, or nothing.
function freePlace(cx, cy, length, taken, inside) {
  const free = (box) =>
    box[0] >= inside[0] && box[1] >= inside[1] && box[2] <= inside[2] && box[3] <= inside[3] &&
    taken.every((other) => box[2] <= other[0] || other[2] <= box[0] || box[3] <= other[1] || other[3] <= box[1]);
  for (let far = 6; far <= 90; far += 7) {
    for (const [dx, dy] of [[1, 0], [-1, 0], [1, -1], [1, 1], [-1, -1], [-1, 1], [0, -1], [0, 1]]) {
      const x0 = dx > 0 ? cx + far : dx < 0 ? cx - far - length : cx - length / 2;
      const y0 = cy - 6 + dy * (far + (dx ? 0 : 4));
      const box = [x0, y0, x0 + length, y0 + 12];
      if (free(box)) return box;
    }
  }
  return null;
}

function plot(rows, shown) {
  const points = rows.filter((row) => row.speed);
  if (points.length < 2) return;
  const [width, height, left, bottom] = [900, points.length > 16 ? 560 : 380, 50, 40];
  const logs = points.map((row) => Math.log10(row.speed));
  const [x0, x1] = [Math.min(...logs) - 0.1, Math.max(...logs) + 0.45];
  const lows = points.map((row) => row.low ?? row.value);
  const highs = points.map((row) => row.high ?? row.value);
  const [y0, y1] = [Math.max(0, Math.min(...lows) - 0.03), Math.min(1.02, Math.max(...highs) + 0.03)];
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - 10);
  const y = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - bottom - 10);
  const picture = drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${rows[0].metric} against speed; the table has the same numbers` });
  for (let power = Math.floor(x0); power <= x1; power++) {
    for (const speed of [1, 2, 5].map((step) => step * 10 ** power)) {
      const place = Math.log10(speed);
      if (place < x0 || place > x1) continue;
      picture.append(drawing("line", { class: "axis", x1: x(place), x2: x(place), y1: 10, y2: height - bottom }));
      picture.append(drawing("text", { x: x(place), y: height - bottom + 16, "text-anchor": "middle" }, String(Number(speed.toPrecision(1)))));
    }
  }
  const step = y1 - y0 > 0.5 ? 0.2 : y1 - y0 > 0.2 ? 0.1 : 0.05;
  for (let value = Math.ceil(y0 / step) * step; value <= y1; value += step) {
    picture.append(drawing("line", { class: "axis", x1: left, x2: width - 10, y1: y(value), y2: y(value) }));
    picture.append(drawing("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)));
  }
  picture.append(drawing("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle" }, "× real time on one core"));
  const front = [];
  for (const row of [...points].sort((a, b) => b.speed - a.speed || b.value - a.value)) {
    if (!front.length || row.value > front.at(-1).value) front.push(row);
  }
  const corners = front.map((row) => `${x(Math.log10(row.speed))},${y(row.value)}`);
  picture.append(drawing("polyline", { class: "front", points: corners.join(" ") }));
  const places = points.map((row) => [x(Math.log10(row.speed)), y(row.value)]);
  for (const [i, row] of points.entries()) {
    const [cx, cy] = places[i];
    if (row.low !== null) picture.append(drawing("line", { class: "bar", x1: cx, x2: cx, y1: y(row.low), y2: y(row.high) }));
    const dot = drawing("circle", { cx, cy, r: 4, class: front.includes(row) ? "best" : "" });
    dot.append(drawing("title", {}, `${row.competitor}: ${number(row.value)}, ${number(row.speed, 0)} × real time`));
    picture.append(dot);
  }
  // the names of the front first: where it is crowded, others have to make way
  const order = [...points.keys()].sort((a, b) => front.includes(points[b]) - front.includes(points[a]) || points[b].value - points[a].value);
  const taken = places.map(([cx, cy]) => [cx - 4, cy - 4, cx + 4, cy + 4]);
  for (const i of order) {
    const [cx, cy] = places[i];
    const box = freePlace(cx, cy, 4 + 6.9 * points[i].competitor.length, taken, [left, 8, width - 4, height - bottom - 4]);
    if (!box) continue; // the title of the point and the table have it
    taken.push(box);
    const [lx, ly] = [Math.min(Math.max(cx, box[0]), box[2]), Math.min(Math.max(cy, box[1]), box[3])];
    if (Math.hypot(lx - cx, ly - cy) > 10) picture.append(drawing("line", { class: "leader", x1: cx, y1: cy, x2: lx, y2: ly }));
    picture.append(drawing("text", { class: "name", x: box[0], y: box[3] - 2 }, points[i].competitor));
  }
  shown.append(element("h3", {}, "Score against speed"), element("div", { className: "wide" }, picture));
}

function compare(task, rows, shown) {
  const names = rows.map((row) => row.competitor);
  if (!names.includes(state.first)) state.first = names[0];
  if (!names.includes(state.second) || state.second === state.first) state.second = names.find((name) => name !== state.first);
  const chosen = rows.find((row) => row.competitor === state.first);
  shown.append(element("h3", {}, "Command of ", state.first), element("p", { id: "command", tabIndex: -1 }, element("code", {}, chosen.command)));
  if (!state.second) return;
  const pick = (key) => {
    const change = (event) => { state[key] = event.target.value; draw(); document.getElementById(key).focus(); };
    return element("select", { id: key, on: { change }, "aria-label": key }, ...names.map((name) => element("option", { value: name, selected: name === state[key] }, name)));
  };
  shown.append(element("h3", {}, "Tracks on which two differ"), element("p", { className: "pair" }, pick("first"), " minus ", pick("second")));
  const [a, b] = [task.tracks[state.first] ?? {}, task.tracks[state.second] ?? {}];
  const gaps = Object.keys(a).filter((track) => track in b).map((track) => [a[track] - b[track], track]);
  gaps.sort((p, q) => Math.abs(q[0]) - Math.abs(p[0]));
  const body = element("tbody");
  for (const [gap, track] of gaps.slice(0, 20)) {
    const player = element("td");
    if (task.paths[track]) player.append(element("audio", { controls: true, preload: "none", src: task.paths[track] }));
    body.append(element("tr", {}, element("td", {}, track), element("td", {}, number(a[track])), element("td", {}, number(b[track])), element("td", {}, (gap > 0 ? "+" : "") + number(gap)), player));
  }
  const head = element("tr", {}, ...["track", state.first, state.second, "difference", ""].map((name) => element("th", { scope: "col" }, name)));
  shown.append(element("div", { className: "wide" }, element("table", {}, element("thead", {}, head), body)));
}

function missing(rows, shown) {
  const without = rows.filter((row) => row.value === null && row.status !== "not applicable");
  if (!without.length) return;
  const body = element("tbody", {}, ...without.map((row) => element("tr", {}, element("td", {}, row.competitor), element("td", {}, row.status), element("td", { className: "reason" }, row.reason))));
  shown.append(element("h3", {}, "Without a score"), element("div", { className: "wide" }, element("table", {}, body)));
}

function draw() {
  if (!(state.task in data.tasks)) state.task = Object.keys(data.tasks)[0];
  for (const button of document.querySelectorAll("nav button")) button.setAttribute("aria-current", String(button.value === state.task));
  const task = data.tasks[state.task];
  const shown = document.getElementById("main");
  shown.replaceChildren(element("h2", {}, state.task), element("p", {}, task.summary));
  const scored = task.rows.filter((row) => row.value !== null);
  if (scored.length) {
    shown.append(element("p", { className: "soft" }, `${scored[0].n} tracks. Intervals are 95 %. Rows in colour are the best, or not distinguishable from it by paired differences.`));
    table(scored, shown);
    plot(scored, shown);
    compare(task, scored, shown);
  }
  missing(task.rows, shown);
}

const machine = data.machine;
document.getElementById("about").textContent = `${counted(Object.keys(data.tasks).length, "task")}, ${counted(data.competitors, "competitor")}; featx ${data.featx}, ${data.finished}; ${machine.processor}, ${machine.cores} cores, Python ${machine.python}`;
for (const name of Object.keys(data.tasks)) {
  const open = () => { state.task = name; state.sort = null; state.down = true; history.replaceState(null, "", `#${name}`); draw(); document.getElementById("main").focus(); };
  document.getElementById("tasks").append(element("li", {}, element("button", { type: "button", value: name, on: { click: open } }, name)));
}
draw();

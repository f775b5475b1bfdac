"use strict";

/* The page: one query, sliders, a list, a map. Names of songs only ever become text nodes. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { names, details, ids, audio, entries, seconds } = data.tracks;
  const n = names.length;
  const $ = (id) => document.getElementById(id);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const CLASSES = {
    light: ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#4aa9dd", "#d55e00", "#8c6bb1", "#a6761d", "#14866f", "#e7298a", "#66a61e", "#332288", "#b3bac6", "#d3d8e0"],
    dark: ["#4aa3e0", "#f0b429", "#2fc79a", "#e29ac4", "#8fd0f5", "#ff8748", "#b395d9", "#d0a04e", "#53d6c0", "#ff6db3", "#96d84b", "#8f86ff", "#67717f", "#454e5b"],
  };
  const SCALE = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
  const [MANY, OTHERS, NONE] = [12, 12, 13];

  const vectors = data.vectors;
  const ranking = new Ranking({
    n,
    dim: vectors.dim,
    values: unpack(vectors.values, vectors.bytes === 2 ? Int16Array : Int8Array),
    scales: unpack(vectors.scales, Float32Array),
    edges: vectors.edges,
    parts: vectors.parts,
  });
  const parts = vectors.parts;
  const state = {
    query: [0], // rows
    weights: parts.map((part) => (part.whole ? 1 : 0)),
    pins: parts.map(() => null), // another query for a part
    mode: "nearest",
    rows: [], // of the list
    chosen: 0,
    only: null, // a class of the colour column
    open: parts.filter((part) => part.whole).length === 1, // are aspects shown?
    playing: -1,
  };
  let cosines = [];
  let scores = new Float32Array(n);

  /* ------------------------------------------------------------------------------ helpers */
  function make(tag, classes, text) {
    const element = document.createElement(tag);
    if (classes) element.className = classes;
    if (text !== undefined) element.textContent = text;
    return element;
  }
  function button(text, label, action) {
    const element = make("button", "", text);
    element.type = "button";
    element.title = label;
    element.setAttribute("aria-label", label);
    element.addEventListener("click", (event) => {
      event.stopPropagation();
      action();
    });
    return element;
  }
  const colours = () => CLASSES[dark.matches ? "dark" : "light"];
  const byRank = parts.map((_, p) => p).sort((a, b) => parts[b].whole - parts[a].whole || a - b);
  const partColour = (p) => colours()[byRank.indexOf(p) % MANY];
  const dot = (colour) => {
    const element = make("span", "dot");
    element.style.background = colour;
    return element;
  };
  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

  /* -------------------------------------------------------------------------------- score */
  function compare(rows) {
    return ranking.cosines(ranking.query(rows));
  }
  function search(rows) {
    state.query = rows;
    const own = compare(rows);
    cosines = parts.map((part, p) => (state.pins[p] ? state.pins[p].cosines[p] : own[p]));
    rank();
  }
  function rank() {
    scores = ranking.scores(cosines, state.weights);
    if (state.mode !== "nearest") return show();
    const omitted = new Set(state.query);
    state.pins.forEach((pin, p) => pin && state.weights[p] && pin.rows.forEach((row) => omitted.add(row)));
    for (let row = 0; row < n; row++) if (map.look.dimmed[row]) omitted.add(row);
    state.rows = ranking.nearest(scores, 20, omitted);
    state.chosen = 0;
    show();
  }
  function ask(rows) {
    state.mode = "nearest";
    $("search").value = "";
    dim();
    search(rows);
    $("list").scrollTop = 0;
  }

  /* --------------------------------------------------------------------------------- list */
  function show() {
    const several = state.query.length > 1;
    const [first] = state.query;
    $("query-name").textContent = several ? `${state.query.length} songs` : names[first];
    $("query-detail").textContent = several ? "the mean of their vectors" : details[first];
    const number = state.rows.length;
    const songs = (count) => `${count} song${count === 1 ? "" : "s"}`;
    $("list-title").textContent = { nearest: "Nearest", selection: `${songs(number)} in the lasso`, found: `${songs(number)} found` }[state.mode];
    $("like").hidden = state.mode !== "selection" || !number;
    $("back").hidden = state.mode === "nearest";
    $("save").hidden = !number;
    const list = $("list");
    list.replaceChildren(...state.rows.slice(0, 200).map(item));
    if (!number) list.append(make("li", "empty", weightless() ? "Every weight is 0: move a slider." : "No song."));
    choose(Math.min(state.chosen, Math.max(0, Math.min(number, 200) - 1)));
    mark();
  }
  const weightless = () => state.weights.every((weight) => !weight);

  function item(row, place) {
    const element = make("li");
    element.id = `item-${place}`;
    element.setAttribute("role", "option");
    const words = make("div");
    words.style.minWidth = "0";
    const name = make("div", "name", names[row]);
    const detail = make("div", "detail", details[row]);
    name.dir = detail.dir = "auto";
    words.append(name, detail);
    element.title = ids[row];
    const play = button(row === state.playing ? "❚❚" : "▶", `Listen to ${names[row]}`, () => listen(row));
    play.tabIndex = -1;
    play.disabled = !audio[row];
    const like = button("≈", `More like ${names[row]}`, () => ask([row]));
    like.tabIndex = -1;
    element.append(play, words, make("span", "score", state.mode === "nearest" ? scores[row].toFixed(2) : ""), like);
    if (state.mode === "nearest") element.append(...why(row));
    element.addEventListener("click", () => {
      choose(place);
      listen(row, true);
    });
    element.addEventListener("pointerenter", () => mark(row));
    element.addEventListener("pointerleave", () => mark());
    return element;
  }

  function why(row) {
    const shares = reasons(row);
    const bar = make("div", "bar");
    const text = make("div", "why");
    for (const { name, colour, share } of shares) {
      if (share > 0) {
        const piece = make("span");
        piece.style.width = `${100 * share}%`;
        piece.style.background = colour;
        bar.append(piece);
      }
      const words = make("span");
      words.append(dot(colour), make("span", "", `${name} ${signed(share)}`));
      text.append(words);
    }
    return [bar, text];
  }
  function reasons(row) {
    const shares = ranking.reasons(cosines, state.weights, row).map(({ part, share }) => ({ name: parts[part].name, colour: partColour(part), share }));
    return shares.sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
  }

  function choose(place) {
    const list = $("list");
    list.querySelectorAll("[aria-selected]").forEach((element) => element.removeAttribute("aria-selected"));
    const element = state.rows.length ? list.children[place] : null;
    state.chosen = place;
    if (!element) return list.removeAttribute("aria-activedescendant");
    element.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", element.id);
    const [top, bottom] = [element.offsetTop - list.offsetTop, element.offsetTop - list.offsetTop + element.offsetHeight];
    if (top < list.scrollTop) list.scrollTop = top;
    else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
  }

  /* -------------------------------------------------------------------------------- audio */
  const player = $("audio");
  function listen(row, keep = false) {
    $("trouble").textContent = "";
    if (!audio[row]) {
      $("trouble").textContent = "The page has no audio of this song.";
      return;
    }
    if (row === state.playing && !player.paused) {
      if (!keep) player.pause();
      return;
    }
    if (row !== state.playing) player.src = audio[row];
    state.playing = row;
    player.play().catch((error) => {
      if (error.name !== "AbortError") trouble();
    });
  }
  function trouble() {
    if (state.playing < 0) return;
    const name = names[state.playing];
    $("trouble").textContent = `“${name}” cannot be played: the audio is not at its place beside this page (make it with --embed-audio), or of a format that this browser does not know.`;
  }
  function buttons() {
    [...$("list").children].forEach((element, place) => {
      const play = element.querySelector("button");
      if (play) play.textContent = state.rows[place] === state.playing && !player.paused ? "❚❚" : "▶";
    });
  }
  for (const name of ["play", "pause", "ended"]) player.addEventListener(name, buttons);
  player.addEventListener("error", trouble);

  /* ------------------------------------------------------------------------------ sliders */
  function sliders() {
    $("aspects").textContent = state.open ? "Fewer" : "Aspects";
    $("aspects").setAttribute("aria-expanded", String(state.open));
    const lowest = $("signed").checked ? -2 : 0;
    $("sliders").replaceChildren(
      ...parts.map((part, p) => {
        const row = make("div", part.whole ? "" : "notion");
        row.hidden = !part.whole && !state.open && !state.weights[p] && !state.pins[p];
        const label = make("label", "name", part.name);
        const input = make("input");
        Object.assign(input, { type: "range", min: lowest, max: 2, step: 0.1, value: state.weights[p], id: `weight-${p}` });
        label.htmlFor = input.id;
        label.title = part.title;
        const output = make("output", "", state.weights[p].toFixed(1));
        input.addEventListener("input", () => {
          state.weights[p] = Number(input.value);
          output.textContent = state.weights[p].toFixed(1);
          rank();
        });
        const pin = button(state.pins[p] ? "●" : "○", `Hold the query of ${part.name} while others change`, () => {
          state.pins[p] = state.pins[p] ? null : { rows: state.query, cosines: compare(state.query) };
          sliders();
          search(state.query);
        });
        pin.setAttribute("aria-pressed", String(Boolean(state.pins[p])));
        pin.id = `pin-${p}`;
        row.append(dot(partColour(p)), label, input, output, pin);
        if (state.pins[p]) {
          const { rows } = state.pins[p];
          const text = make("div", "pinned", rows.length > 1 ? `from ${rows.length} songs` : `from ${names[rows[0]]}`);
          text.dir = "auto";
          row.append(text);
        }
        return row;
      }),
    );
  }
  $("aspects").hidden = parts.every((part) => part.whole);
  $("aspects").addEventListener("click", () => {
    state.open = !state.open;
    sliders();
  });
  $("signed").addEventListener("change", () => {
    if (!$("signed").checked) state.weights = state.weights.map((weight) => Math.max(0, weight));
    sliders();
    rank();
  });
  $("equal").addEventListener("click", () => {
    state.weights = parts.map((part) => (part.whole ? 1 : 0));
    state.pins = parts.map(() => null);
    sliders();
    search(state.query);
  });

  /* ---------------------------------------------------------------------------------- map */
  const scaled = Float32Array.from(unpack(data.points, Uint16Array), (value) => value / 65535);
  const map = new SongMap($("map"), scaled, {
    pick: (row) => {
      ask([row]);
      listen(row, true);
    },
    hover: (row, x, y) => {
      mark(row < 0 ? undefined : row);
      const tip = $("tip");
      tip.hidden = row < 0;
      if (row < 0) return;
      tip.replaceChildren(make("bdi", "", names[row]), make("span", "", details[row]));
      tip.style.left = `${Math.min(x + 14, Math.max(0, map.width - 290))}px`;
      tip.style.top = `${y + (y > map.height - 90 ? -64 : 16)}px`;
    },
    lasso: (rows) => {
      arm(false);
      Object.assign(state, { mode: "selection", rows, chosen: 0 });
      dim();
      show();
    },
  });
  function mark(row = -1) {
    map.marks = { query: state.query, nearest: state.mode === "nearest" ? state.rows : [], hover: row };
    map.draw();
  }
  function arm(on) {
    map.lassoing = on;
    $("lasso").setAttribute("aria-pressed", String(on));
    $("map").classList.toggle("lassoing", on);
  }
  $("lasso").addEventListener("click", () => arm(!map.lassoing));
  $("in").addEventListener("click", () => map.zoomBy(1.5));
  $("out").addEventListener("click", () => map.zoomBy(1 / 1.5));
  $("reset").addEventListener("click", () => map.reset());

  /* ------------------------------------------------------------------------------- colour */
  let column = null;
  function paint() {
    column = data.columns[$("colour").value] || null;
    const codes = new Uint8Array(n);
    const legend = [];
    let palette = colours();
    if (column && column.numbers) {
      const known = column.numbers.filter((value) => value !== null);
      const [low, high] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
      column.numbers.forEach((value, row) => {
        codes[row] = value === null ? SCALE.length : Math.min(SCALE.length - 1, Math.floor(((value - low) / (high - low || 1)) * SCALE.length));
      });
      palette = [...SCALE, palette[NONE]];
      const scale = make("div", "scale");
      const strip = make("canvas");
      Object.assign(strip, { width: SCALE.length, height: 1 });
      SCALE.forEach((colour, place) => {
        strip.getContext("2d").fillStyle = colour;
        strip.getContext("2d").fillRect(place, 0, 1, 1);
      });
      const short = (value) => String(Number(value.toPrecision(4)));
      if (known.length) scale.append(make("span", "", short(low)), strip, make("span", "", short(high)));
      legend.push(scale);
    } else if (column) {
      const counts = new Map();
      column.codes.forEach((code) => code >= 0 && counts.set(code, (counts.get(code) || 0) + 1));
      const ranked = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || a - b);
      const place = new Map(ranked.slice(0, MANY).map((code, rank) => [code, rank]));
      column.codes.forEach((code, row) => {
        codes[row] = code < 0 ? NONE : (place.get(code) ?? OTHERS);
      });
      const entry = (code, name, count) => {
        const element = make("button");
        element.type = "button";
        const words = make("span", "name", name);
        words.dir = "auto";
        element.append(dot(palette[code]), words, make("span", "count", String(count)));
        element.setAttribute("aria-pressed", String(state.only === code));
        element.addEventListener("click", () => {
          state.only = state.only === code ? null : code;
          paint();
          rank();
        });
        return element;
      };
      ranked.slice(0, MANY).forEach((code, rank) => legend.push(entry(rank, column.classes[code], counts.get(code))));
      const others = codes.filter((code) => code === OTHERS).length;
      const none = codes.filter((code) => code === NONE).length;
      if (others) legend.push(entry(OTHERS, `${ranked.length - MANY} others`, others));
      if (none) legend.push(entry(NONE, "none", none));
    }
    $("legend").replaceChildren(...legend);
    $("legend").hidden = !legend.length;
    map.look = { ...map.look, palette, codes };
    dim();
  }
  function dim() {
    const dimmed = new Uint8Array(n);
    const inList = state.mode === "nearest" ? null : new Set(state.rows);
    for (let row = 0; row < n; row++) {
      const out = state.only !== null && map.look.codes[row] !== state.only;
      dimmed[row] = out || (inList && !inList.has(row)) ? 1 : 0;
    }
    map.look = { ...map.look, dimmed };
    map.draw();
  }
  data.columns.forEach((each, place) => {
    const option = make("option", "", each.name);
    option.value = place;
    $("colour").append(option);
  });
  $("colour").append(Object.assign(make("option", "", "none"), { value: "" }));
  $("colour").addEventListener("change", () => {
    state.only = null;
    paint();
    rank();
  });
  dark.addEventListener("change", () => {
    paint();
    sliders();
    show();
  });

  /* ----------------------------------------------------------------------- names and keys */
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const texts = names.map((name, row) => plain(`${name} ${details[row]} ${ids[row]}`));
  function close() {
    arm(false);
    Object.assign(state, { mode: "nearest", only: null });
    $("search").value = "";
    paint();
    rank();
  }
  $("search").addEventListener("input", () => {
    const words = plain($("search").value).split(/\s+/).filter(Boolean);
    if (!words.length) return close();
    const rows = [];
    texts.forEach((text, row) => words.every((word) => text.includes(word)) && rows.push(row));
    Object.assign(state, { mode: "found", rows, chosen: 0 });
    dim();
    show();
  });
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      $("list").focus();
    } else if (event.key === "Enter" && state.rows.length && state.mode === "found") {
      ask([state.rows[0]]);
      $("list").focus();
    }
  });
  $("back").addEventListener("click", close);
  $("like").addEventListener("click", () => ask(state.rows));
  $("list").addEventListener("keydown", (event) => {
    const last = Math.min(state.rows.length, 200) - 1;
    const moves = { ArrowDown: state.chosen + 1, ArrowUp: state.chosen - 1, Home: 0, End: last };
    if (event.target !== $("list") || last < 0) return;
    const row = state.rows[state.chosen];
    if (event.key in moves) {
      choose(Math.max(0, Math.min(last, moves[event.key])));
      mark(state.rows[state.chosen]);
    } else if (event.key === "Enter") ask([row]);
    else if (event.key === " ") listen(row);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return close();
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "/") {
      event.preventDefault();
      $("search").focus();
    } else if (event.key.toLowerCase() === "l") arm(!map.lassoing);
  });

  /* ----------------------------------------------------------------------------- playlist */
  $("save").addEventListener("click", () => {
    const heads = state.mode === "nearest" ? [...state.query, ...state.rows] : state.rows;
    const items = heads.map((row) => ({ entry: entries[row], seconds: seconds[row], name: [data.artists[row], names[row]].filter(Boolean).join(" - ") }));
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([playlist(items)], { type: "audio/x-mpegurl" }));
    link.download = state.mode === "nearest" ? "nearest.m3u8" : "songs.m3u8";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  $("title").textContent = data.title;
  $("subtitle").textContent = data.subtitle;
  paint();
  sliders();
  search([0]);
})();

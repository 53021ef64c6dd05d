"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const report = data.report, before = data.before;
const classes = ["unknown", "live", "metadata", "boot code", "free", "slack", "stale", "gap"];
const colours = ["unknown", "live", "metadata", "boot", "free", "slack", "stale", "gap"].map(c => `var(--${c})`);
const severities = ["info", "low", "medium", "high", "critical"];
const residueAt = classes.length, firstDead = classes.indexOf("free");
const $ = id => document.getElementById(id);

// el makes an element; text from the image is only ever a text node.
function el(name, attrs, ...children) {
  const svg = ["svg", "rect", "g", "path", "text", "title", "line"].includes(name);
  const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [k, v] of Object.entries(attrs || {})) e.setAttribute(k, v);
  e.append(...children);
  return e;
}
function bytes(n) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let i = 0, v = n;
  while (v >= 1024 && i < units.length - 1) { v /= 1024; i++; }
  return (i === 0 ? v : v.toFixed(v < 10 ? 2 : 1)) + " " + units[i];
}
const count = n => n.toLocaleString("en");
const dead = f => f.class !== "live";

// --- The numbers ---------------------------------------------------------
function total(kind, live) {
  return report.sums.filter(s => s.kind === kind).reduce((n, s) => n + s.recoverable + (live ? s.live : 0), 0);
}
function residueOf(map) { return map.cells.reduce((n, c) => n + c[residueAt], 0); }
function tiles() {
  const list = [
    ["size", bytes(report.size)],
    ["recoverable files", count(total("file"))],
    ["names of deleted files", count(total("name"))],
    ["secrets", count(total("secret", true))],
    ["against the policy", count(report.forbidden)],
    ["dead and not zero", bytes(residueOf(report.maps[0]))],
  ];
  $("tiles").append(...list.map(([k, v]) => el("div", { "data-tile": k }, el("dt", {}, k), el("dd", {}, v))));
  const v = $("verdict");
  v.className = report.ok ? "good" : "bad";
  v.textContent = report.ok ? `✓ nothing against the policy ${report.policy}` : `✗ ${count(report.forbidden)} against the policy ${report.policy}`;
}

// --- The disk ------------------------------------------------------------
const view = { map: 0, from: 0, len: report.size };
let width = 1000;
const top = 24, high = 44, low = 14;

function strip(map, title, pins) {
  const svg = el("svg", { viewBox: `0 0 ${width} 96`, preserveAspectRatio: "none", tabindex: "0", role: "img", "aria-label": `${title}, ${bytes(view.len)} from byte ${view.from}` });
  const x = off => (off - view.from) / view.len * width;
  const end = view.from + view.len;
  const first = Math.max(0, Math.floor((view.from - map.offset) / map.unit));
  const last = Math.min(map.cells.length, Math.ceil((end - map.offset) / map.unit));
  svg.append(el("rect", { x: 0, y: top, width, height: high, fill: "var(--panel)" }));
  for (let i = first; i < last;) {
    // Neighbours that look the same are one rectangle for each class.
    let j = i + 1;
    const same = (a, b) => classes.every((_, k) => (a[k] > 0) === (b[k] > 0)) && classes.filter((_, k) => a[k] > 0).length === 1 && (a[residueAt] > 0) === (b[residueAt] > 0) && a[residueAt] === 0;
    while (j < last && same(map.cells[i], map.cells[j])) j++;
    const from = map.offset + i * map.unit, to = Math.min(map.offset + j * map.unit, map.offset + map.length);
    const cell = map.cells[i], sum = classes.reduce((n, _, k) => n + cell[k], 0) || 1;
    let y = top;
    classes.forEach((name, k) => {
      if (!cell[k]) return;
      const h = cell[k] / sum * high;
      svg.append(el("rect", { x: x(from), y, width: Math.max(x(to) - x(from), .3), height: h, fill: colours[k], opacity: k >= firstDead && !cell[residueAt] ? .4 : 1 }));
      y += h;
    });
    if (cell[residueAt] > 0) {
      const h = Math.max(2, cell[residueAt] / sum * low);
      svg.append(el("rect", { x: x(from), y: top + high + low - h, width: Math.max(x(to) - x(from), .5), height: h, fill: "var(--residue)", class: "residue" }));
    }
    i = j;
  }
  svg.append(el("line", { x1: 0, x2: width, y1: top + high + low, y2: top + high + low, stroke: "var(--line)" }));
  if (view.map === 0) for (const m of report.maps.slice(1)) {
    for (const at of [m.offset, m.offset + m.length]) if (at >= view.from && at <= end) svg.append(el("line", { x1: x(at), x2: x(at), y1: top - 4, y2: top + high + 4, stroke: "var(--ink)", "stroke-width": ".8" }));
  }
  if (pins) svg.append(pinLayer(x, end));
  return svg;
}

// pinLayer draws one pin for all findings that would stand on one another.
function pinLayer(x, end) {
  const g = el("g", { class: "pins" }), piles = new Map();
  for (const f of shown) {
    if (f.offset < view.from || f.offset >= end) continue;
    const key = Math.round(x(f.offset) / 8);
    if (!piles.has(key)) piles.set(key, []);
    piles.get(key).push(f);
  }
  for (const [key, pile] of piles) {
    const kind = ["secret", "file", "name"].find(k => pile.some(f => f.kind === k));
    const at = key * 8, label = pile.length === 1 ? `${pile[0].title} at byte ${pile[0].offset}` : `${pile.length} findings from byte ${pile[0].offset} on`;
    const p = el("path", { d: `M${at} ${top - 2} l-4 -9 h8 z`, class: `pin ${kind}` }, el("title", {}, label));
    p.addEventListener("click", () => { choose(pile); });
    g.append(p);
  }
  return g;
}

function draw() {
  const map = report.maps[view.map], focus = document.activeElement && document.activeElement.closest(".strip");
  const index = focus ? [...$("strips").children].indexOf(focus) : -1;
  width = $("strips").clientWidth || 1000;
  const list = [];
  const old = before && before.maps[view.map];
  if (old) list.push(["before the scrub", old, false]);
  list.push([old ? "after the scrub" : "", map, true]);
  $("strips").replaceChildren(...list.map(([title, m, pins]) => {
    const box = el("div", { class: "strip" });
    if (title) box.append(el("h3", {}, `${title}: ${bytes(residueOf(m))} dead and not zero`));
    const svg = strip(m, title || map.title, pins);
    steer(svg);
    box.append(svg);
    return box;
  }));
  if (index >= 0 && $("strips").children[index]) $("strips").children[index].querySelector("svg").focus();
  $("span").textContent = `${bytes(view.len)} from byte ${count(Math.round(view.from))} to ${count(Math.round(view.from + view.len))}`;
}
function zoom(by, at) {
  const map = report.maps[view.map];
  const least = Math.min(map.length, Math.max(4096, map.unit * 8));
  const len = Math.min(map.length, Math.max(least, view.len * by));
  const pivot = view.from + view.len * (at === undefined ? .5 : at);
  view.from = pivot - len * (at === undefined ? .5 : at);
  view.len = len;
  clamp();
  draw();
}
function move(by) { view.from += view.len * by; clamp(); draw(); }
function clamp() {
  const map = report.maps[view.map];
  view.from = Math.max(map.offset, Math.min(view.from, map.offset + map.length - view.len));
}
function whole(map) { view.map = map; view.from = report.maps[map].offset; view.len = report.maps[map].length; draw(); }
function steer(svg) {
  const share = e => { const r = svg.getBoundingClientRect(); return (e.clientX - r.left) / r.width; };
  svg.addEventListener("wheel", e => { e.preventDefault(); zoom(e.deltaY < 0 ? .7 : 1 / .7, share(e)); }, { passive: false });
  svg.addEventListener("keydown", e => {
    const act = { "+": () => zoom(.5), "=": () => zoom(.5), "-": () => zoom(2), "0": () => whole(view.map), ArrowLeft: () => move(-.2), ArrowRight: () => move(.2) }[e.key];
    if (act) { e.preventDefault(); act(); }
  });
  let grip = null;
  svg.addEventListener("pointerdown", e => { if (!e.target.classList.contains("pin")) grip = { x: e.clientX, from: view.from }; });
  svg.addEventListener("pointermove", e => {
    const at = view.from + share(e) * view.len, f = regionAt(at);
    $("about").textContent = f;
    if (!grip || !e.buttons) { grip = null; return; }
    view.from = grip.from - (e.clientX - grip.x) / svg.getBoundingClientRect().width * view.len;
    clamp();
    const keep = grip;
    draw();
    grip = keep;
  });
  window.addEventListener("pointerup", () => { grip = null; });
}
// regionAt says in words what a place holds.
function regionAt(off) {
  const map = report.maps[view.map], cell = map.cells[Math.floor((off - map.offset) / map.unit)];
  if (!cell) return "";
  const parts = classes.map((c, k) => [c, cell[k]]).filter(([, n]) => n > 0).map(([c, n]) => `${c} ${bytes(n)}`);
  return `byte ${count(Math.round(off))}: ${parts.join(", ")}${cell[residueAt] ? `; ${bytes(cell[residueAt])} dead and not zero` : ""}`;
}
function legend() {
  $("legend").append(...report.classes.filter(c => c.bytes > 0).map(c => el("li", {}, el("i", { style: `background:${colours[classes.indexOf(c.class)]}` }), `${c.class} ${bytes(c.bytes)}`)),
    el("li", {}, el("i", { style: "background:var(--residue)" }), "dead and not zero"));
}

// --- Sums ----------------------------------------------------------------
function row(cells, name) {
  return el("tr", {}, ...cells.map(([text, cls, label]) => el(name || "td", { class: cls || "", ...(label ? { "data-label": label } : {}) }, text)));
}
// sums fills a table with what was counted of some kinds, the most first. A
// row leads to its findings.
function sums(id, kinds, columns) {
  const was = new Map(before ? before.sums.map(s => [s.kind + s.rule, s]) : []);
  const all = [...report.sums];
  for (const s of was.values()) if (!all.some(o => o.kind === s.kind && o.rule === s.rule)) all.push({ ...s, live: 0, recoverable: 0, sure: 0, bytes: 0, first: [] });
  const many = s => s.live + s.recoverable + (was.has(s.kind + s.rule) ? was.get(s.kind + s.rule).recoverable : 0);
  const rows = all.filter(s => kinds.includes(s.kind)).sort((a, b) => many(b) - many(a));
  const used = columns.filter(([name]) => name !== "before" || before);
  const text = { type: s => s.rule, what: s => s.title, "first at byte": s => s.first.map(count).join("  "), before: s => count(was.has(s.kind + s.rule) ? was.get(s.kind + s.rule).recoverable : 0) };
  const table = $(id), body = table.tBodies[0];
  table.tHead.append(row(used, "th"));
  const fill = n => {
    body.replaceChildren(...rows.slice(0, n).map(s => {
      const r = row(used.map(([name, cls]) => [(text[name] || (s => count(s[name])))(s), cls]));
      r.tabIndex = 0;
      act(r, () => { $("filters").reset(); picked = null; $("f-kind").value = s.kind; $("f-rule").value = s.rule; limit = 100; list(); $("h-findings").scrollIntoView({ block: "start" }); });
      return r;
    }));
    if (!rows.length) body.append(el("tr", {}, el("td", { colspan: used.length }, "nothing")));
    if (rows.length > n) {
      const more = el("button", { type: "button" }, `show all ${count(rows.length)}`);
      more.addEventListener("click", () => fill(rows.length));
      body.append(el("tr", { class: "no-print" }, el("td", { colspan: used.length }, more)));
    }
  };
  fill(rows.length > 20 ? 15 : 20);
}
// act lets a row be chosen by mouse and by keyboard.
function act(row, go) {
  row.addEventListener("click", go);
  row.addEventListener("keydown", e => { if (e.key === "Enter") go(); });
}

// --- Findings ------------------------------------------------------------
let shown = report.findings, picked = null, limit = 100;
function matches(f) {
  if (picked) return picked.has(f);
  const kind = $("f-kind").value, cls = $("f-class").value, rule = $("f-rule").value, text = $("f-text").value.toLowerCase();
  return (!kind || f.kind === kind) && (!cls || (cls === "dead") === dead(f)) && (!rule || f.rule === rule) &&
    severities.indexOf(f.severity) >= severities.indexOf($("f-severity").value) && (!$("f-forbidden").checked || f.forbidden) &&
    (!text || [f.rule, f.title, f.owner, f.inside, f.text, f.detail, f.forbidden].some(s => s && s.toLowerCase().includes(text)));
}
function choose(pile) {
  picked = pile ? new Set(pile) : null;
  limit = 100;
  list();
  if (pile) $("h-findings").scrollIntoView({ block: "start" });
}
// columns of the findings, and what each sorts by.
const columns = [
  ["severity", "", f => -severities.indexOf(f.severity)], ["type", "", f => f.rule], ["what", "", f => f.title], ["where", "", f => f.owner],
  ["at byte", "n", f => f.offset], ["bytes", "n", f => -f.length], ["sure", "", f => -["low", "medium", "high"].indexOf(f.confidence)], ["policy", "", f => f.forbidden ? 0 : 1],
];
function sort(by) {
  const key = columns[by][2];
  report.findings.sort((a, b) => { const x = key(a), y = key(b); return x < y ? -1 : x > y ? 1 : a.offset - b.offset; });
  [...$("findings").tHead.rows[0].cells].forEach((c, i) => i === by ? c.setAttribute("aria-sort", "other") : c.removeAttribute("aria-sort"));
  list();
}
function list() {
  shown = report.findings.filter(matches);
  const body = $("findings").tBodies[0];
  body.replaceChildren(...shown.slice(0, limit).map(f => {
    const where = (dead(f) ? `${f.owner} (${f.class})` : f.owner) + (f.inside ? `, ${f.inside}` : "");
    const what = el("td", { class: "wrap", "data-label": "what" }, f.title);
    for (const s of [f.text, f.detail]) if (s) what.append(el("span", { class: "small" }, " " + s));
    const r = el("tr", { tabindex: "0" },
      el("td", { class: "sev " + f.severity, "data-label": "severity" }, f.severity), el("td", { "data-label": "type" }, f.rule), what,
      el("td", { class: "wrap", "data-label": "where" }, where), el("td", { class: "n", "data-label": "at byte" }, count(f.offset)),
      el("td", { class: "n", "data-label": "bytes" }, count(f.length)), el("td", { "data-label": "sure" }, f.confidence),
      el("td", { "data-label": "policy" }, f.forbidden || (f.allowed ? "allowed: " + f.allowed : "–")));
    const go = () => { show(f); for (const o of body.children) o.classList.remove("chosen"); r.classList.add("chosen"); };
    act(r, go);
    return r;
  }));
  const hidden = report.leftOut + data.hidden;
  $("count").textContent = `${count(shown.length)} of ${count(report.findings.length)} findings` + (hidden ? `; ${count(hidden)} more are counted and not on this page` : "") + (picked ? "; those of one pin" : "");
  $("more").hidden = shown.length <= limit;
  draw();
}
// show moves the disk to a finding.
function show(f) {
  const i = report.maps.findIndex((m, i) => i > 0 && f.offset >= m.offset && f.offset < m.offset + m.length);
  view.map = Math.max(i, 0);
  $("which").value = view.map;
  const map = report.maps[view.map];
  view.len = Math.min(map.length, map.unit * 64);
  view.from = f.offset - view.len / 2;
  clamp();
  draw();
}
function findings() {
  $("findings").tHead.append(el("tr", {}, ...columns.map(([name, cls], i) => {
    const b = el("button", { type: "button", title: `Sort by ${name}` }, name);
    b.addEventListener("click", () => sort(i));
    return el("th", { class: cls }, b);
  })));
  $("f-rule").append(...[...new Set(report.findings.map(f => f.rule))].sort().map(r => el("option", {}, r)));
  $("filters").addEventListener("input", () => { picked = null; limit = 100; list(); });
  $("filters").addEventListener("reset", () => setTimeout(() => { picked = null; list(); }));
  $("filters").addEventListener("submit", e => e.preventDefault());
  $("more").addEventListener("click", () => { limit += 400; list(); });
}

// --- Owners --------------------------------------------------------------
// squarify lays areas out in rows whose tiles are as square as can be.
function squarify(items, x, y, w, h, out) {
  let rest = items.slice(), sum = rest.reduce((n, o) => n + o.bytes, 0);
  while (rest.length && w > 0 && h > 0) {
    const side = Math.min(w, h), scale = w * h / sum;
    const worst = (areas, total) => Math.max(...areas.map(a => Math.max(side * side * a / (total * total), total * total / (side * side * a))));
    let n = 1, areas = [rest[0].bytes * scale], total = areas[0];
    while (n < rest.length) {
      const a = rest[n].bytes * scale;
      if (worst([...areas, a], total + a) > worst(areas, total)) break;
      areas.push(a); total += a; n++;
    }
    const thick = total / side;
    let at = 0;
    areas.forEach((a, i) => {
      const long = a / thick;
      out.push(w >= h ? { o: rest[i], x, y: y + at, w: thick, h: long } : { o: rest[i], x: x + at, y, w: long, h: thick });
      at += long;
    });
    if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
    sum -= rest.slice(0, n).reduce((m, o) => m + o.bytes, 0);
    rest = rest.slice(n);
  }
}
function treemap() {
  const narrow = window.innerWidth < 640, w = narrow ? 500 : 1100, h = narrow ? 620 : 420, tilesOut = [];
  squarify(report.owners.filter(o => o.bytes > 0), 0, 0, w, h, tilesOut);
  const svg = el("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": "sizes by owner" });
  for (const t of tilesOut) {
    const k = classes.indexOf(t.o.class), label = `${t.o.path || t.o.class} – ${t.o.class}, ${bytes(t.o.bytes)}`;
    const g = el("g", { class: [4, 5, 7].includes(k) ? "dark" : "" }, el("rect", { x: t.x + .5, y: t.y + .5, width: Math.max(t.w - 1, .2), height: Math.max(t.h - 1, .2), fill: colours[k], rx: 2 }), el("title", {}, label));
    const room = Math.floor((t.w - 10) / 6.6), name = t.o.path || t.o.class;
    if (t.h > 20 && room >= 4) {
      g.append(el("text", { x: t.x + 6, y: t.y + 16 }, name.length > room ? name.slice(0, room - 1) + "…" : name));
      if (t.h > 38 && room >= 8) g.append(el("text", { x: t.x + 6, y: t.y + 31, opacity: ".85" }, bytes(t.o.bytes)));
    }
    svg.append(g);
  }
  $("treemap").replaceChildren(svg);
}

function problems() {
  if (!report.problems.length) return;
  $("problems").hidden = false;
  $("problems").querySelector("ul").append(...report.problems.slice(0, 200).map(p => el("li", {}, `at byte ${count(p.offset)}${p.path ? ", " + p.path : ""}: ${p.error}`)));
}

tiles();
legend();
const place = ["first at byte", "n wide"];
sums("sums", ["file", "name"], [["type"], ["what", "wide"], ["recoverable", "n"], ["before", "n"], ["sure", "n wide"], ["bytes", "n"], place]);
sums("secrets", ["secret"], [["type"], ["what", "wide"], ["live", "n"], ["recoverable", "n"], ["before", "n"], place]);
findings();
treemap();
problems();
report.maps.forEach((m, i) => $("which").append(el("option", { value: i }, `${i ? `${i}: ` : ""}${m.title || "volume"}, ${bytes(m.length)}`)));
$("which").addEventListener("change", () => whole(+$("which").value));
$("in").addEventListener("click", () => zoom(.5));
$("out").addEventListener("click", () => zoom(2));
$("all").addEventListener("click", () => whole(view.map));
$("foot").textContent = `${count(report.scanned)} bytes looked at, ${count(report.files)} live files read. Secrets are masked.`;
window.addEventListener("resize", () => { draw(); treemap(); });
sort(0);
document.documentElement.dataset.ready = "yes";
})();

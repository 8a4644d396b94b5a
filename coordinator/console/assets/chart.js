// Draws charts of an answer as SVG. Each value has its interval, which covers the exact value within limits and bounds.

import { h, s } from './dom.js';
import { number, t } from './language.js';

const NUMERIC = new Set(['int', 'float']);
const TIMES = /(^|_)(year|month|week|day|date|quarter|time_of|annee|année|mois|jour|semaine|trimestre)(_|$)/i;
const DURATIONS = /(^|_)(time|days|months|weeks|years|duration|elapsed|followup|t)(_|$)/i;
const SURVIVES = /surviv|survie|kaplan|^km/i;
const RISK = /at_risk|n_risk|a_risque|à_risque/i;
const BINS = /(bin|from|low|lower|age|decade|bucket|tranche)/i;
const BIN = /^(.*) \[(-?[\d.e+-]+), (-?[\d.e+-]+)\)$/;
const COLOURS = 6;

const numberOf = (x) => (x === null || x === undefined || x === '' ? null : Number(x));
const label = (x) => (x === null ? '∅' : x === true ? 'true' : x === false ? 'false' : String(x));

/** onlyNoise reports whether a number may be noise alone: its interval contains 0. */
export const onlyNoise = ({ value, low, high }) => typeof low === 'number' && typeof high === 'number' && (value === null || low <= 0 && high >= 0);

/** read turns an answer into the data of charts. */
export function read(answer) {
  const columns = answer.columns.map((c, index) => ({ ...c, index }));
  const keys = columns.filter((c) => !c.noisy);
  let measures = columns.filter((c) => c.noisy && NUMERIC.has(c.type));
  let rows = answer.rows;
  const bins = measures.filter((c) => BIN.test(c.name));
  let binned = false;
  if (bins.length >= 2 && bins.length === measures.length && new Set(bins.map((c) => c.name.match(BIN)[1])).size === 1) {
    // HISTOGRAM(…) has a column for each bin. Charts need a row for each bin.
    binned = true;
    const by = { name: 'bin', type: 'float', index: keys.length, noisy: false };
    rows = rows.flatMap((row) => bins.map((c) => [...keys.map((k) => row[k.index]), Number(c.name.match(BIN)[2]), row[c.index], Number(c.name.match(BIN)[3])]));
    keys.forEach((k, i) => { k.index = i; });
    const measure = { name: bins[0].name.match(BIN)[1], type: 'int', noisy: true, index: keys.length + 1 };
    measures = [measure];
    keys.push(by);
  }
  return { keys, measures, rows, binned };
}

/** axisOf picks the key for the axis. It prefers times to numbers, and numbers to names. */
function axisOf(data, keys) {
  if (data.binned) return data.keys[data.keys.length - 1];
  const numeric = keys.filter((k) => NUMERIC.has(k.type));
  return keys.find((k) => k.type === 'date' || k.type === 'timestamp') || numeric.find((k) => DURATIONS.test(k.name)) || numeric.find((k) => TIMES.test(k.name)) || numeric[0] || keys[0];
}

/** mainOf returns the measure that is shown first. For a life table it is the survival curve. */
export const mainOf = (data) => data.measures.find((m) => SURVIVES.test(m.name)) || data.measures[0];

/** kinds lists the kinds of chart that fit, the best first. The list is empty if there is nothing to draw. */
export function kinds(data) {
  if (!data.measures.length || !data.rows.length) return [];
  if (!data.keys.length) return ['figures'];
  const facet = data.keys.find((k) => k.name.toLowerCase() === 'hospital');
  const by = data.keys.filter((k) => k !== facet || data.keys.length === 1);
  const x = axisOf(data, by);
  const plain = ['bars'];
  const continuous = NUMERIC.has(x.type) || x.type === 'date' || x.type === 'timestamp';
  if (continuous) plain.push('lines', 'histogram', 'survival');
  let best = 'bars';
  if (data.binned) best = 'histogram';
  else if (continuous && data.measures.some((m) => SURVIVES.test(m.name))) best = 'survival';
  else if (x.type === 'date' || x.type === 'timestamp' || NUMERIC.has(x.type) && TIMES.test(x.name)) best = 'lines';
  else if (NUMERIC.has(x.type) && DURATIONS.test(x.name)) best = 'lines';
  else if (NUMERIC.has(x.type) && BINS.test(x.name)) best = 'histogram';
  const rest = plain.filter((k) => k !== best);
  if (facet && data.keys.length > 1) return ['multiples', best, ...rest];
  return data.keys.length > 1 ? [best, ...rest, 'multiples'] : [best, ...rest];
}

/** roles decides which key is the axis, which one sets colours, and which one splits into small charts. */
function roles(data, kind) {
  const facet = kind !== 'multiples' ? null : data.keys.find((k) => k.name.toLowerCase() === 'hospital') || data.keys[0];
  const left = data.keys.filter((k) => k !== facet);
  const x = axisOf(data, left);
  const series = left.filter((k) => k !== x);
  return { facet, x, series };
}

const place = (type, value) => {
  if (type === 'date') return Date.parse(`${value}T00:00:00Z`);
  if (type === 'timestamp') return Date.parse(`${String(value).replace(' ', 'T')}Z`);
  return Number(value);
};

/** points returns the values to draw: {x, at, value, low, high, colour, facet}. */
function points(data, kind, measure) {
  const { facet, x, series } = roles(data, kind);
  const names = [];
  const all = data.rows.map((row) => {
    const name = series.map((k) => label(row[k.index])).join(' · ');
    if (!names.includes(name)) names.push(name);
    const cell = row[measure.index];
    return {
      label: label(row[x.index]), at: place(x.type, row[x.index]), value: numberOf(cell.value), low: numberOf(cell.low), high: numberOf(cell.high),
      series: names.indexOf(name), facet: facet ? label(row[facet.index]) : '', end: data.binned ? row[measure.index + 1] : null,
    };
  });
  const told = all.filter((p) => p.value !== null);
  // These curves end because too few patients are left.
  const ended = new Set(all.filter((p) => p.value === null && told.some((q) => q.series === p.series && q.at < p.at)).map((p) => p.series));
  return { all: told, names, x, facet, ended };
}

function nice(low, high, count) {
  const span = high - low || Math.abs(high) || 1;
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((m) => m >= raw * 0.999) || 10 * power;
  const from = Math.floor(low / step + 1e-9) * step;
  const to = Math.ceil(high / step - 1e-9) * step;
  const ticks = [];
  for (let i = 0; from + i * step <= to + step / 1e6; i++) ticks.push(Number((from + i * step).toPrecision(12)));
  return { from, to: to === from ? from + step : to, ticks };
}

const finite = (list) => list.filter((v) => v !== null && Number.isFinite(v));

/** range covers the values and the finite ends of their intervals. With zero it contains 0, where bars begin. */
function range(all, zero) {
  const values = finite(all.map((p) => p.value));
  const ends = finite(all.flatMap((p) => [p.low, p.high]));
  const spread = Math.max(...values, zero ? 0 : -Infinity) - Math.min(...values, zero ? 0 : Infinity) || Math.abs(values[0]) || 1;
  // Next to a very wide interval the values could not be seen, so the range leaves its ends out.
  const low = Math.min(...values, ...ends.filter((e) => e > Math.min(...values) - 4 * spread), zero ? 0 : Infinity);
  const high = Math.max(...values, ...ends.filter((e) => e < Math.max(...values) + 4 * spread), zero ? 0 : -Infinity);
  return [low, high];
}

const compact = (v) => (Math.abs(v) >= 1e5 ? number(v, { notation: 'compact', maximumFractionDigits: 1 }) : number(v));
const tip = (p) => s('title', {}, `${[p.facet, p.label].filter(Boolean).join(' · ')}: ${number(p.value)} (${t('chart.to', { low: number(p.low), high: number(p.high) })})`);
const f = (x) => Math.round(x * 100) / 100;

/** whisker draws an interval along one axis. An open end reaches to the border. */
function whisker(p, scale, limits, across, cap, upright, css = '') {
  const low = p.low === null ? limits[0] : Math.max(limits[0], p.low);
  const high = p.high === null ? limits[1] : Math.min(limits[1], p.high);
  const a = f(scale(low));
  const b = f(scale(high));
  const c = f(across);
  const ends = [p.low !== null && p.low >= limits[0] ? a : null, p.high !== null && p.high <= limits[1] ? b : null].filter((e) => e !== null);
  const d = upright
    ? `M${c} ${a}V${b}${ends.map((e) => `M${f(c - cap)} ${e}h${2 * cap}`).join('')}`
    : `M${a} ${c}H${b}${ends.map((e) => `M${e} ${f(c - cap)}v${2 * cap}`).join('')}`;
  return s('path', { class: `whisker ${css}`, d });
}

function legend(names, width, y) {
  if (names.length < 2) return { node: null, height: 0 };
  const g = s('g', { class: 'legend' });
  let x = 0;
  let line = 0;
  names.slice(0, 24).forEach((name, i) => {
    const w = 36 + name.length * 7;
    if (x + w > width && x > 0) { x = 0; line++; }
    g.append(s('rect', { class: `fill-${i % COLOURS + 1}`, x: f(x), y: y + line * 20, width: 11, height: 11, rx: 3 }), s('text', { x: f(x + 17), y: y + line * 20 + 10 }, name || '–'));
    x += w;
  });
  return { node: g, height: (line + 1) * 20 + 8 };
}

const svg = (width, height, words, ...children) => s('svg', { class: 'chart', viewBox: `0 0 ${f(width)} ${f(height)}`, width: f(width), height: f(height), role: 'img', 'aria-label': words }, ...children);

/** bars draws horizontal bars, so that long names have room. */
function bars(data, all, names, width, words, measure) {
  const labels = [...new Set(all.map((p) => p.label))];
  const left = Math.min(width * 0.4, 16 + Math.max(...labels.map((l) => Math.min(l.length, 34))) * 7.1);
  const room = Math.max(4, Math.floor((left - 12) / 7.1)); // the letters that fit before a bar
  const right = 22;
  const thick = names.length > 1 ? Math.max(9, 22 - 2 * names.length) : 20;
  const band = thick * Math.max(1, names.length) + 14;
  const [low, high] = range(all, true);
  const axis = nice(low, high, Math.max(3, Math.floor((width - left) / 110)));
  const scale = (v) => left + (v - axis.from) / (axis.to - axis.from) * (width - left - right);
  const key = legend(names, width, 0);
  const top = key.height + 4;
  const height = top + labels.length * band + 44;
  const root = svg(width, height, words, key.node || '');
  for (const tick of axis.ticks) {
    root.append(s('line', { class: tick === 0 ? 'axis' : 'grid', x1: f(scale(tick)), x2: f(scale(tick)), y1: top, y2: f(height - 44) }), s('text', { class: 'tick', x: f(scale(tick)), y: f(height - 26), 'text-anchor': 'middle' }, compact(tick)));
  }
  root.append(s('text', { class: 'title', x: f((left + width) / 2), y: f(height - 6), 'text-anchor': 'middle' }, measure.name));
  labels.forEach((l, i) => {
    const y = top + i * band + 7;
    const short = l.length > room ? `${l.slice(0, room - 1)}…` : l;
    root.append(s('text', { class: 'name', x: f(left - 9), y: f(y + thick * Math.max(1, names.length) / 2 + 4.5), 'text-anchor': 'end' }, short === l ? '' : s('title', {}, l), short));
    for (const p of all.filter((q) => q.label === l)) {
      const at = y + p.series * thick;
      const a = scale(Math.min(0, p.value));
      const b = scale(Math.max(0, p.value));
      const noise = onlyNoise(p);
      root.append(s('g', { class: 'mark' }, s('rect', { class: noise ? 'bar noise' : `bar fill-${p.series % COLOURS + 1}`, x: f(b - a < 3 ? a + 1 : a), y: f(at), width: f(Math.max(2, b - a)), height: thick - 3, rx: b - a < 6 ? 1 : 3 }),
        whisker(p, scale, [axis.from, axis.to], at + (thick - 3) / 2, 4, false), tip(p)));
    }
  });
  return root;
}

const dates = (from, to, count) => {
  const years = (to - from) / 3.156e10;
  const ticks = [];
  const begin = new Date(from);
  if (years > 2.5) {
    const step = Math.max(1, Math.ceil(years / count));
    for (let y = begin.getUTCFullYear(); Date.UTC(y, 0) <= to; y += step) if (Date.UTC(y, 0) >= from) ticks.push([Date.UTC(y, 0), String(y)]);
  } else {
    const months = Math.max(1, Math.round(years * 12));
    const step = Math.max(1, Math.ceil(months / count));
    for (let i = 0; i <= months + 1; i += step) {
      const at = Date.UTC(begin.getUTCFullYear(), begin.getUTCMonth() + i);
      if (at >= from && at <= to) ticks.push([at, new Date(at).toISOString().slice(0, 7)]);
    }
  }
  return ticks.length ? ticks : [[from, new Date(from).toISOString().slice(0, 10)]];
};

/**
 * upright draws lines, histograms and survival curves. x is a number or a time. A small chart has a
 * heading and shares its range with others. The numbers at risk stand below a survival curve.
 */
function upright(kind, all, names, x, width, height, measure, { fixed, heading, risk = [], ended = new Set() } = {}) {
  const key = heading === undefined ? legend(names, width, 0) : { node: null, height: 0 };
  const top = key.height + 30;
  const bottom = (heading === undefined ? 46 : 26) + (risk.length ? 30 + 18 * names.length : 0);
  const ordered = Number.isFinite(all[0].at);
  const labels = [...new Set(all.map((p) => p.label))];
  const at = (p) => (ordered ? p.at : labels.indexOf(p.label));
  const [low, high] = fixed || range(all, kind === 'histogram' || kind === 'survival' || kind === 'columns');
  const axis = nice(low, high, Math.max(2, Math.floor((height - top - bottom) / 44)));
  if (kind === 'survival' && high <= 1.2) Object.assign(axis, nice(0, 1, 4));
  const side = risk.length ? Math.max(...names.map((n) => Math.min(n.length, 16))) * 7 + 24 : 0; // room for the names beside the numbers at risk
  const left = 14 + Math.max(side, Math.max(...axis.ticks.map((v) => compact(v).length)) * 7.2);
  const right = 20;
  const xs = [...new Set(all.map(at))].sort((a, b) => a - b);
  const gaps = xs.slice(1).map((v, i) => v - xs[i]);
  const step = gaps.length ? Math.min(...gaps) : 1;
  const wide = kind === 'histogram' || kind === 'columns';
  const ends = finite(all.map((p) => p.end));
  const from = wide && kind === 'columns' ? xs[0] - step / 2 : xs[0];
  const to = wide ? (ends.length ? Math.max(...ends) : xs[xs.length - 1] + (kind === 'columns' ? step / 2 : step)) : xs[xs.length - 1];
  const sx = (v) => left + (v - from) / (to - from || 1) * (width - left - right);
  const sy = (v) => height - bottom - (v - axis.from) / (axis.to - axis.from) * (height - top - bottom);
  const limits = [axis.from, axis.to];
  const root = s('g', {});
  if (key.node) root.append(key.node);
  root.append(s('text', { class: heading === undefined ? 'title' : 'heading', x: heading === undefined ? 0 : f(left), y: key.height + 16 }, heading === undefined ? measure.name : heading));
  for (const tick of axis.ticks) {
    root.append(s('line', { class: tick === 0 ? 'axis' : 'grid', x1: f(left), x2: f(width - right), y1: f(sy(tick)), y2: f(sy(tick)) }),
      s('text', { class: 'tick', x: f(left - 7), y: f(sy(tick) + 4), 'text-anchor': 'end' }, compact(tick)));
  }
  const room = Math.max(2, Math.floor((width - left - right) / 74));
  let ticks;
  if (!ordered || kind === 'columns') ticks = xs.map((v) => [v, ordered ? all.find((p) => at(p) === v).label : labels[v]]).filter((_, i) => i % Math.ceil(xs.length / room) === 0);
  else if (x.type === 'date' || x.type === 'timestamp') ticks = dates(from, to, room);
  else {
    const whole = xs.every(Number.isInteger) && (TIMES.test(x.name) || risk.length > 0);
    ticks = whole ? xs.filter((_, i) => i % Math.ceil(xs.length / room) === 0).map((v) => [v, TIMES.test(x.name) ? String(v) : compact(v)]) : nice(from, to, room).ticks.filter((v) => v >= from && v <= to).map((v) => [v, compact(v)]);
  }
  for (const [v, text] of ticks) root.append(s('text', { class: 'tick', x: f(sx(v)), y: f(height - bottom + 18), 'text-anchor': 'middle' }, text));
  if (heading === undefined) root.append(s('text', { class: 'title', x: f((left + width - right) / 2), y: f(height - bottom + 40), 'text-anchor': 'middle' }, x.name));
  if (risk.length) {
    const y = height - bottom + 62;
    root.append(s('text', { class: 'title', x: 0, y: f(y) }, t('chart.atRisk')));
    names.forEach((name, i) => {
      const row = y + 18 * (i + 1);
      root.append(s('text', { class: 'tick', x: f(left - 26), y: f(row), 'text-anchor': 'end' }, name.length > 16 ? `${name.slice(0, 15)}…` : name));
      for (const [v] of ticks) {
        const p = risk.find((r) => r.series === i && r.at === v);
        if (p) root.append(s('text', { class: 'tick', x: f(sx(v)), y: f(row), 'text-anchor': 'middle' }, number(Math.round(p.value))));
      }
    });
  }
  names.forEach((_, i) => {
    const own = all.filter((p) => p.series === i).sort((a, b) => at(a) - at(b));
    if (!own.length) return;
    const n = i % COLOURS + 1;
    const clip = (v, missing) => sy(Math.max(axis.from, Math.min(axis.to, v === null ? missing : v)));
    if (wide) {
      const share = (kind === 'columns' ? 0.78 : 1) / names.length;
      for (const p of own) {
        const begin = kind === 'columns' ? at(p) - step * 0.39 : at(p);
        const span = p.end === null ? step : p.end - at(p);
        const a = sx(begin + i * span * share);
        const b = sx(begin + (i + 1) * span * share);
        const y0 = sy(Math.max(axis.from, Math.min(axis.to, 0)));
        const y1 = clip(p.value, 0);
        root.append(s('g', { class: 'mark' }, s('rect', { class: onlyNoise(p) ? 'bar noise' : `bar fill-${n}`, x: f(a + 0.75), y: f(Math.min(y0, y1)), width: f(Math.max(1, b - a - 1.5)), height: f(Math.max(0.8, Math.abs(y1 - y0))), rx: 1.5 }),
          whisker(p, sy, limits, (a + b) / 2, Math.min(4, (b - a) / 4), true), tip(p)));
      }
      return;
    }
    if (kind === 'survival') {
      const steps = (pick) => own.map((p, k) => (k === 0 ? `M${f(sx(at(p)))} ${f(pick(p))}` : `H${f(sx(at(p)))}V${f(pick(p))}`)).join('');
      const back = [...own].reverse().map((p, k, list) => (k === 0 ? `L${f(sx(at(p)))} ${f(clip(p.low, axis.from))}` : `V${f(clip(p.low, axis.from))}H${f(sx(at(p)))}`)).join('');
      root.append(s('path', { class: `ribbon fill-${n}`, d: `${steps((p) => clip(p.high, axis.to))}${back}Z` }), s('path', { class: `line stroke-${n}`, d: steps((p) => clip(p.value, 0)) }));
      own.forEach((p) => root.append(s('g', { class: 'mark' }, s('circle', { class: `spot fill-${n}`, cx: f(sx(at(p))), cy: f(clip(p.value, 0)), r: 2.5 }), tip(p))));
      if (ended.has(i)) {
        const last = own[own.length - 1];
        const near = sx(at(last)) > width - right - 110;
        root.append(s('text', { class: 'tick ended', x: f(sx(at(last)) + (near ? -7 : 7)), y: f(clip(last.value, 0) - 7), 'text-anchor': near ? 'end' : 'start' }, t('chart.ended')));
      }
      return;
    }
    const up = own.map((p) => `${f(sx(at(p)))} ${f(clip(p.high, axis.to))}`);
    const down = [...own].reverse().map((p) => `${f(sx(at(p)))} ${f(clip(p.low, axis.from))}`);
    root.append(s('path', { class: `ribbon fill-${n}`, d: `M${up.join('L')}L${down.join('L')}Z` }), s('path', { class: `line stroke-${n}`, d: `M${own.map((p) => `${f(sx(at(p)))} ${f(clip(p.value, 0))}`).join('L')}` }));
    for (const p of own) root.append(s('g', { class: 'mark' }, whisker(p, sy, limits, sx(at(p)), 3.5, true, `stroke-${n}`), s('circle', { class: `spot fill-${n}`, cx: f(sx(at(p))), cy: f(clip(p.value, 0)), r: 3.6 }), tip(p)));
  });
  return root;
}

function multiples(data, all, names, x, width, words, measure) {
  const facets = [...new Set(all.map((p) => p.facet))];
  const most = Math.max(1, Math.min(facets.length, Math.floor(width / 270), 4));
  const across = Math.ceil(facets.length / Math.ceil(facets.length / most)); // all rows have about the same length
  const w = (width - (across - 1) * 18) / across;
  const high = 190;
  const numeric = Number.isFinite(all[0].at);
  const kind = data.binned ? 'histogram' : x.type === 'date' || x.type === 'timestamp' || numeric && TIMES.test(x.name) && new Set(all.map((p) => p.at)).size > 2 ? 'lines' : 'columns';
  const same = range(all, kind !== 'lines');
  const key = legend(names, width, 0);
  const height = key.height + Math.ceil(facets.length / across) * (high + 14) + 18;
  const root = svg(width, height, words, key.node || '');
  facets.forEach((name, i) => {
    const own = all.filter((p) => p.facet === name);
    root.append(s('g', { transform: `translate(${f(i % across * (w + 18))} ${f(key.height + Math.floor(i / across) * (high + 14))})` },
      upright(kind, own, names, x, w, high, measure, { fixed: same, heading: name })));
  });
  root.append(s('text', { class: 'title', x: f(width / 2), y: f(height - 4), 'text-anchor': 'middle' }, `${measure.name} · ${x.name}`));
  return root;
}

/** figures shows single values in large type. */
function figures(data, answer) {
  return h('div', { class: 'figures' }, data.measures.map((m) => {
    const cell = data.rows[0][m.index];
    const value = numberOf(cell.value);
    const low = numberOf(cell.low);
    const high = numberOf(cell.high);
    const width = 220;
    const span = low !== null && high !== null ? high - low || 1 : null;
    const at = span === null ? width / 2 : 16 + (value - low) / span * (width - 32);
    return h('div', { class: 'figure' }, h('div', { class: 'muted' }, m.name), h('div', { class: onlyNoise({ value, low, high }) ? 'big muted' : 'big', title: value === null ? t('answer.nothing') : undefined }, value === null ? '–' : number(value)),
      s('svg', { class: 'chart', width, height: 18, viewBox: `0 0 ${width} 18`, 'aria-hidden': 'true' },
        s('path', { class: 'whisker stroke-1', d: `M${low === null ? 0 : 16} 9H${high === null ? width : width - 16}${low === null ? '' : 'M16 4v10'}${high === null ? '' : `M${width - 16} 4v10`}` }),
        value === null ? '' : s('circle', { class: 'spot fill-1', cx: f(Math.max(4, Math.min(width - 4, at))), cy: 9, r: 4.5 })),
      h('div', { class: 'muted small' }, t('chart.to', { low: low === null ? '−∞' : number(low), high: high === null ? '∞' : number(high) })));
  }));
}

/** draw returns a chart of that kind and width. */
export function draw(data, kind, measure, width, answer) {
  if (kind === 'figures') return figures(data, answer);
  const { all, names, x, ended } = points(data, kind, measure);
  if (!all.length) return h('p', { class: 'muted' }, t('chart.none'));
  const words = t('chart.alt', { kind: t(`chart.${kind}`), measure: measure.name, by: data.keys.map((k) => k.name).join(', '), n: all.length });
  if (kind === 'bars') return bars(data, all, names, width, words, measure);
  if (kind === 'multiples') return multiples(data, all, names, x, width, words, measure);
  const atRisk = kind === 'survival' && data.measures.find((m) => RISK.test(m.name) && m !== measure);
  const risk = atRisk ? points(data, kind, atRisk).all : [];
  const height = Math.max(260, Math.min(420, width * 0.48)) + (risk.length ? 30 + 18 * names.length : 0);
  return svg(width, height, words, upright(kind, all, names, x, width, height, measure, { risk, ended }));
}

const STYLED = ['fill', 'stroke', 'stroke-width', 'opacity', 'fill-opacity', 'stroke-linejoin', 'stroke-linecap', 'font-family', 'font-size', 'font-weight'];

/** alone returns a chart as an SVG file that contains its styles. */
export function alone(chart) {
  const copy = chart.cloneNode(true);
  const from = [chart, ...chart.querySelectorAll('*')];
  const to = [copy, ...copy.querySelectorAll('*')];
  from.forEach((element, i) => {
    const style = getComputedStyle(element);
    for (const p of STYLED) if (element.localName !== 'g' && element.localName !== 'title') to[i].setAttribute(p, style.getPropertyValue(p));
    to[i].removeAttribute('class');
  });
  const ground = s('rect', { width: '100%', height: '100%', fill: getComputedStyle(document.documentElement).getPropertyValue('--card').trim() });
  copy.insertBefore(ground, copy.firstChild);
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return new Blob([new XMLSerializer().serializeToString(copy)], { type: 'image/svg+xml' });
}

/** picture returns a chart as a PNG file, at twice its size. */
export async function picture(chart) {
  const url = URL.createObjectURL(alone(chart));
  try {
    const image = new Image();
    await new Promise((done, failed) => { image.onload = done; image.onerror = failed; image.src = url; });
    const canvas = h('canvas', { width: chart.viewBox.baseVal.width * 2, height: chart.viewBox.baseVal.height * 2 });
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => { canvas.toBlob(done, 'image/png'); });
  } finally {
    URL.revokeObjectURL(url);
  }
}

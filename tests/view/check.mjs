// The page of event-view in real Chromium, against what the org and the documents say. Each line of the output is a sentence that is true.
//
//   node check.mjs --view target/release/event-view --programs target/release --component dist/salesforce-source.wasm [--pictures docs/view]

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { ATTACK, attack, collect, documents, OCEAN, placed } from './events.mjs';
import { facts } from './org.mjs';
import { step, withUnit } from '../../crates/event-view/page/src/format.js';
import { csv, stacks, tabular } from '../../crates/event-view/page/src/tables.js';
import { is } from '../../crates/event-view/page/src/view.js';
import { at, head, hours, truth, valuesOf } from './truth.mjs';

const { values: options } = parseArgs({ options: { programs: { type: 'string' }, view: { type: 'string' }, component: { type: 'string' }, pictures: { type: 'string' }, chromium: { type: 'string', default: '/usr/bin/chromium' } } });
const work = new URL('work', import.meta.url).pathname;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const running = [];

const view = (...args) => started([options.view, ...args]);

async function started([command, ...args]) {
  const program = spawn(command, [...args, '--port', '0', '--no-open'], { stdio: ['ignore', 'pipe', 'ignore'] });
  running.push(program);
  const [line] = await once(createInterface({ input: program.stdout }), 'line');
  const address = line.split(' ')[0];
  return { program, address };
}

async function until(what, holds) {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await holds()) return;
    await new Promise((done) => { setTimeout(done, 50); });
  }
  assert.fail(`${what} did not come about within 20 seconds`);
}

const state = async (address) => (await fetch(`${address}api/state`)).json();
const read = (address, count) => until('the index', async () => { const known = await state(address); return known.ready && (count === undefined || known.documents === count); });

function parse(text) {
  const rows = [];
  let row = [];
  let at = 0;
  while (at < text.length) {
    const [whole, quoted] = /^(?:"((?:[^"]|"")*)"|[^,\r\n]*)/.exec(text.slice(at, at + 20000));
    row.push(quoted === undefined ? whole : quoted.replaceAll('""', '"'));
    at += whole.length;
    if (text[at] === ',') at += 1;
    else {
      assert.equal(text.slice(at, at + 2), '\r\n');
      at += 2;
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

async function saved(page, panel, kind) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator(`#panel-${panel}`).getByRole('button', { name: new RegExp(`^Save .* as ${kind}$`) }).click()]);
  return readFileSync(await download.path());
}

const settled = (page) => page.waitForFunction(() => document.querySelectorAll('.panel').length > 0 && !document.querySelector('.panel[aria-busy]') && /events of/.test(document.querySelector('#status').textContent));

/** What of a row is compared: some cells have no truth that is known here. */
function compared(panel, rows) {
  switch (panel.kind) {
    case 'events': return rows.map(([time]) => [time]);
    case 'beside': return rows.map((row) => [row[0], row[panel.columns.length + 2]]);
    case 'files':
    case 'heat': return rows.sort();
    case 'top': return panel.split ? rows.sort() : rows;
    default: return rows;
  }
}

function same(one, other) {
  if (String(one) === String(other)) return true;
  // What a spreadsheet would take for a formula has an apostrophe before its sign.
  const signed = (text) => String(text).replaceAll(/'(?=[=+\-@])/g, '');
  if (signed(one) === signed(other)) return true;
  const [a, b] = [Number(one), Number(other)];
  return one !== '' && other !== '' && Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}

async function compare(page, all, dashboard, looked) {
  for (const panel of dashboard.panels) {
    const [names, ...shown] = parse((await saved(page, panel.id, 'CSV')).toString());
    const expected = truth(all, dashboard, panel, looked, shown);
    const given = compared(panel, shown);
    const where = `${dashboard.name} / ${panel.id} of ${looked.searches.join(' and ') || 'everything'}`;
    assert.deepEqual(names, head(all, dashboard, panel, looked), `${where}: the names of columns`);
    assert.equal(given.length, expected.length, `${where}: so many rows`);
    given.forEach((row, index) => {
      const right = row.length === expected[index].length && row.every((cell, column) => same(cell, expected[index][column]));
      assert.ok(right, `${where}: row ${index} is ${JSON.stringify(row)}, and should be ${JSON.stringify(expected[index])}`);
    });
    if (panel.kind === 'files') {
      const { summary, cells } = await (await fetch(new URL(`/api/panel?${new URLSearchParams({ dashboard: dashboard.name, panel: panel.id, q: looked.searches.map((one) => `(${one})`).join(' and '), from: looked.from, to: looked.to })}`, page.url()))).json();
      const told = { cells: cells.map(({ kind, at: start, state: like, files }) => [kind, start, like, files].join(' ')).sort(), summary };
      assert.deepEqual(told, hours(all, dashboard, panel, looked), where);
    }
    compare.panels += 1;
  }
}
compare.panels = 0;

async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html.slice(0, 150)} ${any[0]?.message ?? ''}`).slice(0, 3).join(' | ')}`);
}

/** The fields that a definition names, its searches included. */
function fieldsOf(dashboard) {
  const named = (text) => [...(text ?? '').matchAll(/([@a-z_]+(?:\.[a-z_0-9]+)+)\s*[:<>]/g)].map(([, field]) => field);
  return [...named(dashboard.filter), ...dashboard.panels.flatMap((panel) => [
    ...named(panel.filter), ...named(panel.other), panel.field, panel.split, ...(panel.place ? [`${panel.place}.lat`, `${panel.place}.lon`] : []), panel.country, ...panel.by, ...panel.columns, ...panel.other_columns,
    ...panel.series.flatMap((series) => [series.field, ...named(series.filter), ...named(series.of)]),
    ...(panel.files ? [...named(panel.files.receipts), ...['id', 'covers', 'made', 'interval', 'group', 'receipt_group', 'rows', 'left_out'].map((name) => panel.files[name])] : []),
  ])].filter(Boolean);
}

// What the simulated org has no value of: these panels are tried with documents that were placed there.
const ABSENT = ['error.message', 'salesforce.login.application', 'source.geo.location.lat', 'source.geo.location.lon', 'source.geo.postal_code', 'user_agent.name'];

const told = (sentence) => console.log(`ok  ${sentence}`);

function asked(address, headers) {
  return new Promise((done, failed) => { request(new URL('/api/state', address), { headers }, (answer) => { answer.resume(); done(answer.statusCode); }).on('error', failed).end(); });
}

/** What needs no browser. */
function written() {
  for (const [unit, second] of [['ns', 1e9], ['ms', 1e3], ['s', 1], ['bytes', 1]]) {
    for (let most = (unit === 'bytes' ? 1100 : 11) * second; most < 1e9 * second; most *= 1.07) {
      for (const marks of [3, 6]) {
        const interval = step(most, unit, marks);
        const count = Math.ceil(most / interval);
        assert.ok(count >= 1 && count <= marks, `${most} ${unit}: ${count} marks`);
        for (let mark = 1; mark <= count; mark += 1) assert.match(withUnit(mark * interval, unit), unit === 'bytes' ? /^\d+(\.5|\.25)? (bytes|[KMG]iB)$/ : /^[\d,]+(\.5)? (s|min|h|d)$/);
      }
    }
  }
  assert.deepEqual([step(9, 's'), step(500, 'bytes'), step(0.4, 'percent'), step(70, '')], [undefined, undefined, undefined, undefined]);
  assert.deepEqual([3600, 5400, 86400, 100000].map((seconds) => withUnit(seconds, 's')), ['1 h', '90 min', '1 d', '27.78 h']);
  told('the marks of axes of times and bytes are whole ones of their units, or halves');
  const line = (raw) => csv({ head: ['h'], rows: [[{ raw }]] }).slice(5, -2);
  const formulas = ['=1', '+1', '-1', '@a', ' =1', '\t=1', 'a;=1', 'a,@b', 'a\t-1', 'a\n=1', 'a; \r+1', ';="x"', ';;=1', 'a;=1;-2', 'a|=1', 'a;"=1"', 'a;""=1', '"=1', 'a;＝1'];
  for (const text of formulas) {
    // However a spreadsheet takes the line to pieces, none of them begins like a formula: neither as it stands, nor without its quotes.
    for (const ends of [/[;,|\t\r\n]/, /;/, /,/, /\|/, /\t/, /\r\n|\r|\n/]) {
      for (const part of line(text).split(ends)) assert.doesNotMatch(part.replaceAll('"', '').trim(), /^[=+\-@＝＋－＠]/, JSON.stringify(text));
    }
    assert.equal(line(text).replaceAll("'", ''), `"${text.replaceAll('"', '""')}"`);
  }
  for (const text of ['', 'a=1', '2026-11-27', 'a@b.example', 'a, b', '1+1']) assert.equal(line(text), `"${text}"`);
  // If it took longer than a text is long, this would not end before the limit of all of this.
  for (const between of ['\t', ' ', '"', ';']) assert.equal(line(`a${between.repeat(3e6)}b`).replaceAll('""', '"').length, 3e6 + 4);
  assert.equal(line(-5), '-5');
  const cells = Array.from({ length: 12 }, (_, part) => [['a', `${part}`, part], ['b', `${part}`, 100]]).flat();
  const parts = stacks(['b', 'a'], cells);
  assert.deepEqual([parts.length, parts[0], parts.at(-1)], [11, { name: '11', values: [100, 11] }, { name: '2 others', values: [200, 1], others: true }]);
  told('of a bar more than ten parts are one, so that the bar is as long as all of them');
  const several = tabular({ kind: 'events' }, { columns: ['a.b'], rows: [{ at: 0, place: {}, values: [['r1', 'r, "2"', 'r1']] }, { at: 0, place: {}, values: [[]] }] });
  assert.deepEqual(several.rows.map(([, { raw, filter }]) => [raw, filter]), [['r1, r, "2", r1', 'a.b:"r1" or a.b:"r, \\"2\\""'], ['', undefined]]);
  assert.deepEqual(['_exists_', 'not', '2026-11-27', '::1', 'x*', '@timestamp', 'a-b.c_9'].map((field) => is(field, 1)),
    ['"_exists_":"1"', '"not":"1"', '"2026-11-27":"1"', '"::1":"1"', '"x*":"1"', '@timestamp:"1"', 'a-b.c_9:"1"']);
  told('a cell with several values is a filter by any of them, and whatever name a field has, it is written so that it is one');
  told('whatever a spreadsheet ends cells by, none of a CSV begins like a formula: before the sign stands an apostrophe, and every text is in quotes');
}

/** Every other kind of mark, and what is chosen of a piece of time. */
async function marks({ page, all, dashboards, show, span }) {
  const filters = () => new URL(page.url()).searchParams.getAll('filter');
  const looked = () => ['from', 'to'].map((name) => Number(new URL(page.url()).searchParams.get(name)));
  const numbers = new Intl.NumberFormat('en');
  const clicks = async (panel, points) => {
    const chart = page.locator(`#panel-${panel} .chart`);
    await chart.scrollIntoViewIfNeeded();
    await chart.locator('canvas').first().waitFor();
    const { x, y, width, height } = await chart.boundingBox();
    const before = page.url();
    for (const [left, top] of points) {
      await page.mouse.click(x + left * width, y + top * height);
      // The page itself knows at once what this has heard of it later.
      if (await page.evaluate(() => location.href) === before) continue;
      await page.waitForURL((url) => url.href !== before);
      return settled(page);
    }
    return assert.fail(`nothing of ${panel} can be clicked`);
  };
  const grid = (lefts, tops) => tops.flatMap((top) => lefts.map((left) => [left, top]));
  const steps = (from, to, count) => Array.from({ length: count }, (_, index) => from + ((to - from) * index) / (count - 1));

  await show('/?dashboard=setupaudittrail');
  const trail = dashboards.find(({ name }) => name === 'setupaudittrail');
  await clicks('delegates', grid(steps(0.45, 0.9, 30), steps(0.05, 0.9, 8)));
  assert.deepEqual(filters().map((one) => one.split(':')[0]), ['event.action', 'salesforce.setup_audit_trail.delegate_user', 'salesforce.setup_audit_trail.delegate_user']);
  await compare(page, all, trail, { searches: filters(), ...span });
  await show('/?dashboard=overview');
  await page.waitForFunction(() => document.querySelector('#panel-lanes canvas'));
  const [, ...lanes] = parse((await saved(page, 'lanes', 'CSV')).toString());
  await clicks('lanes', grid(steps(0.4, 0.7, 20), steps(0.05, 0.5, 6)));
  const [lane, hour] = [filters()[0], looked()];
  const cell = lanes.find(([time, name]) => lane === `event.action:"${name}"` && Math.max(Date.parse(time), span.from) === hour[0]);
  assert.equal(await page.locator('#panel-events .value').textContent(), numbers.format(cell[2]));
  told('a part of a stacked bar is a filter by the bar, by the part and by the search of the panel, and a cell of a heat map one by its row and its piece of time');

  // Lines and areas of so many pieces of time that they have no symbols: what is clicked is what is painted in the colour of the first.
  for (const [dashboard, panel, below, search, number] of [['overview', 'failures-over-time', 0, 'event.outcome:failure', 'events'], ['aurarequest', 'over-time', 5, undefined, 'total']]) {
    await show(`/?dashboard=${dashboard}`);
    const [[, first], ...pieces] = parse((await saved(page, panel, 'CSV')).toString());
    assert.ok(pieces.length >= 60, `${panel} has ${pieces.length} pieces of time`);
    const point = await page.locator(`#panel-${panel} canvas`).first().evaluate((canvas, down) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
      const isFirst = (at) => data[at] === 0x0b && data[at + 1] === 0x5c && data[at + 2] === 0xad;
      // Below the legend, and the highest one.
      for (let y = 60; y < height; y += 1) for (let x = 0; x < width; x += 1) if (isFirst(4 * (y * width + x))) return [(x + 0.5) / width, (y + 0.5 + down) / height];
      return null;
    }, below);
    await clicks(panel, [point]);
    const { split } = dashboards.find(({ name }) => name === dashboard).panels.find(({ id }) => id === panel);
    assert.deepEqual(filters(), [`${split}:"${first}"`, ...(search ? [search] : [])]);
    const [, value] = pieces.find(([time]) => Date.parse(time) === looked()[0]);
    assert.ok(value > 0);
    assert.equal(await page.locator(`#panel-${number} .value`).textContent(), numbers.format(value));
    assert.equal(looked()[1] - looked()[0], Date.parse(pieces[1][0]) - Date.parse(pieces[0][0]));
  }
  await show('/?dashboard=login');
  const [, ...durations] = parse((await saved(page, 'duration', 'CSV')).toString());
  await clicks('duration', [[0.5, 0.3]]);
  assert.deepEqual([filters(), looked()[1] - looked()[0]], [[], Date.parse(durations[1][0]) - Date.parse(durations[0][0])]);
  told('a line and an area are filters by what they are of at a piece of time, and beside them a click chooses the piece of time');

  await show('/?dashboard=login');
  assert.match(await page.locator('#panel-map .note').last().textContent(), /^3 events of countries that the outline lacks: SG, BH\.$/);
  // The outline reaches from 84 degrees in the north to 56 in the south.
  const [lat, lon] = OCEAN;
  const near = (middle) => steps(middle - 0.03, middle + 0.03, 7);
  await clicks('map', grid(near(0.01 + (0.98 * (lon + 180)) / 360), near(0.01 + (0.9 * (83.6 - lat)) / 139.2)));
  assert.deepEqual(filters(), [`source.geo.location.lat:"${lat}" and source.geo.location.lon:"${lon}"`]);
  assert.equal(await page.locator('#panel-total .value').textContent(), '3');
  told('a place on the map is a filter, and what the outline lacks is named');

  // What is clicked, or drawn over, within a piece of time is no more than that.
  const half = { from: Math.ceil(span.from / 3600000) * 3600000 + 1200000, to: span.to - 7200000 };
  await show(`/?dashboard=overview&from=${half.from}&to=${half.to}`);
  const toggle = page.locator('#panel-streams').getByRole('button', { name: /as a table$/ });
  await toggle.click();
  await page.locator('#panel-streams tbody button').first().click();
  await page.waitForURL((url) => url.searchParams.get('to') !== String(half.to));
  assert.equal(looked()[0], half.from);
  await settled(page);
  const first = all.filter((document) => at(document) >= half.from && at(document) < looked()[1]).length;
  assert.equal(await page.locator('#panel-events .value').textContent(), numbers.format(first));
  await show(`/?dashboard=overview&from=${half.from}&to=${half.to}`);
  const over = await page.locator('#panel-streams .chart').boundingBox();
  await page.mouse.move(over.x + over.width * 0.005, over.y + over.height * 0.5);
  await page.mouse.down();
  await page.mouse.move(over.x + over.width * 0.5, over.y + over.height * 0.5, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL((url) => url.searchParams.get('to') !== String(half.to));
  assert.equal(looked()[0], half.from);
  told('of a piece of time that is looked at in part, the part is chosen');

  await show('/?dashboard=completeness');
  const cells = page.locator('#panel-files [aria-label^="Each file"] td button');
  const reached = page.locator('#panel-files [aria-label^="Each file"] td button[tabindex="0"]');
  const around = [];
  await reached.focus();
  for (const key of ['ArrowRight', 'ArrowDown', 'ArrowLeft', 'ArrowUp', 'ArrowUp', 'ArrowRight']) {
    await page.keyboard.press(key);
    assert.equal(await reached.count(), 1);
    around.push(await page.evaluate(() => [document.activeElement.tabIndex, document.activeElement.closest('tr').rowIndex, document.activeElement.closest('td').cellIndex].join()));
  }
  assert.equal(new Set(around).size, 4, around.join(' '));
  assert.ok(around.every((place) => place.startsWith('0,')), around.join(' '));
  await page.keyboard.press('Enter');
  await page.waitForURL(/from=\d+&to=\d+/);
  assert.equal(looked()[1] - looked()[0], 3600000);
  await settled(page);
  told('of the hours of all kinds of files one is reached by the tabulator, and the others by arrows; one is chosen by the keyboard as well');

  await show('/?dashboard=completeness');
  const gaps = cells.filter({ hasText: /no file$/ });
  // Of its kind alone, so that no file of another one stands beside it.
  const kind = await gaps.first().locator('xpath=ancestor::tr/th').textContent();
  const own = `salesforce.receipt.event_type:"${kind}"`;
  await show(`/?dashboard=completeness&filter=${encodeURIComponent(own)}`);
  await gaps.first().click();
  await page.waitForURL(/from=\d+&to=\d+/);
  await settled(page);
  assert.ok(await gaps.count() > 0);
  const [from, to] = looked();
  await compare(page, all, dashboards.find(({ name }) => name === 'completeness'), { searches: [own], from, to });
  told('an hour without a file is one as well where nothing but it is looked at');
}

async function main() {
  written();
  mkdirSync(work, { recursive: true });
  const folder = join(work, 'org');
  const events = join(work, 'events.ndjson');
  const collected = await collect(options.programs, options.component, folder);
  copyFileSync(collected.events, events);
  const last = documents(events).findLast((document) => document.event.action === 'login-attempt');
  attack(events, last);
  placed(events, last);
  const all = documents(events);
  const delivered = all.filter((document) => document.data_stream.dataset !== 'salesforce.collector' && !/^(attack|placed-.*)$/.test(document.event.id)).map((document) => document.event.id).sort();
  const [wanted, here] = [collected.org.ids, new Set(delivered)];
  const lacks = [...wanted].filter((id) => !here.has(id));
  const unknown = all.filter((document) => here.has(document.event.id) && !wanted.has(document.event.id));
  assert.deepEqual([lacks.length, unknown.length, delivered.length], [0, 0, wanted.size], `${lacks.slice(0, 3)} are not here; nobody knows ${unknown.slice(0, 3).map((document) => JSON.stringify(document))}`);
  told(`the documents are those ${delivered.length} that the org says a complete collection delivers, each once`);
  const span = { from: Math.min(...all.map(at)), to: Math.max(...all.map(at)) + 1 };
  rmSync(join(work, 'index'), { recursive: true, force: true });
  const { address, program } = await view(events, '--index', join(work, 'index'));
  await read(address, all.length);
  const { dashboards } = await state(address);

  const used = [...new Set(dashboards.flatMap(fieldsOf))].sort();
  const absent = (among) => used.filter((field) => !among.some((document) => valuesOf(document, field).length));
  assert.deepEqual([absent(documents(collected.events)), absent(all)], [ABSENT, []]);
  told(`of the ${used.length} fields of the dashboards all but ${ABSENT.length} are in the documents that were collected, and these in what was placed there`);

  const browser = await chromium.launch({ executablePath: options.chromium, args: ['--no-sandbox'] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, acceptDownloads: true, colorScheme: 'light' });
  await context.addInitScript(() => {
    window.observers = 0;
    window.ResizeObserver = class extends ResizeObserver {
      constructor(...given) { super(...given); window.observers += 1; }
      disconnect() { super.disconnect(); window.observers -= 1; }
    };
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  const problems = [];
  const hosts = new Set();
  page.on('pageerror', (error) => problems.push(`${error}`));
  page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
  page.on('request', (sent) => { if (/^http/.test(sent.url())) hosts.add(new URL(sent.url()).host); });
  const show = async (to) => { await page.goto(new URL(to, address).href); await settled(page); };

  // Numbers.
  for (const dashboard of dashboards) {
    await show(`/?dashboard=${dashboard.name}`);
    await compare(page, all, dashboard, { searches: [], ...span });
  }
  told(`every panel of ${dashboards.length} dashboards says what the ${all.length} documents say (${compare.panels} panels)`);
  const org = facts(collected.org);
  const own = encodeURIComponent('not event.id:(attack or placed-*)');
  const attacked = all.find((document) => document.event.id === 'attack').salesforce.event_log_file.id;
  const eventsAlone = encodeURIComponent('not data_stream.dataset:salesforce.collector');
  let said = 0;
  for (const [dashboard, panels] of Object.entries(org)) {
    await show(`/?dashboard=${dashboard}&filter=${own}${dashboard === 'completeness' ? '' : `&filter=${eventsAlone}`}`);
    for (const [panel, expected] of Object.entries(panels)) {
      const [, ...shown] = parse((await saved(page, panel, 'CSV')).toString());
      const given = (panel === 'files' ? shown.map(([id, , , state, here, , listed]) => { const own = Number(here) - Number(id === attacked); assert.equal(own, Number(listed)); assert.equal(state === 'too many', id === attacked); return [id, own]; }) : shown).sort();
      const right = given.length === expected.length && expected.sort().every((row, index) => row.every((cell, column) => same(given[index][column], cell)));
      assert.ok(right, `${dashboard} / ${panel} is ${JSON.stringify(given)}, and the org says ${JSON.stringify(expected)}`);
      said += 1;
    }
  }
  told(`${said} panels say what the org's own files and records say`);
  compare.panels = 0;
  const line = 'event.outcome:failure or source.ip:203.0.113.0/24';
  for (const dashboard of dashboards) {
    await show(`/?dashboard=${dashboard.name}`);
    await page.getByLabel('Search', { exact: true }).fill(line);
    await page.keyboard.press('Enter');
    await settled(page);
    await compare(page, all, dashboard, { searches: [line], ...span });
  }
  told(`and of a search in each of them (${compare.panels} panels)`);

  // A brush, a mark, the address.
  await show('/?dashboard=login');
  const login = dashboards.find(({ name }) => name === 'login');
  const chart = page.locator('#panel-over-time .chart');
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.35, box.y + box.height * 0.5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.5, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.65, box.y + box.height * 0.5, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  await settled(page);
  const brushed = new URL(page.url()).searchParams;
  const times = { from: Number(brushed.get('from')), to: Number(brushed.get('to')) };
  assert.ok(times.from > span.from && times.to < span.to && times.to > times.from);
  await compare(page, all, login, { searches: [], ...times });
  told('a piece of time is chosen by drawing over a time line, and all panels follow');

  const bars = page.locator('#panel-user-agents .chart');
  await bars.scrollIntoViewIfNeeded();
  const bar = await bars.boundingBox();
  for (const part of [0.45, 0.4, 0.35, 0.3, 0.25]) {
    await page.mouse.click(bar.x + bar.width * part, bar.y + 22);
    if (await page.locator('#filters li').count()) break;
  }
  await page.locator('#filters li').waitFor();
  await settled(page);
  const clicked = new URL(page.url()).searchParams.getAll('filter');
  assert.equal(clicked.length, 1);
  assert.match(clicked[0], /^user_agent\.original:"/);
  await compare(page, all, login, { searches: clicked, ...times });
  told('a mark that is clicked is a filter, and all panels follow');

  const kept = page.url();
  const other = await context.newPage();
  await other.goto(kept);
  await settled(other);
  assert.equal(await other.locator('#panel-total .value').textContent(), await page.locator('#panel-total .value').textContent());
  assert.equal(await other.locator('#filters li').count(), 1);
  await other.close();
  await page.goBack();
  await settled(page);
  assert.equal(await page.locator('#filters li').count(), 0);
  await page.goForward();
  await page.locator('#filters button').click();
  await settled(page);
  assert.equal(await page.locator('#filters li').count(), 0);
  told('the address holds the view: another window shows the same, and back and forward work');

  await marks({ page, all, dashboards, show, span });

  // By the keyboard alone.
  await show('/?dashboard=login');
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'query');
  await page.keyboard.type('event.outcome:failure');
  await page.keyboard.press('Enter');
  await settled(page);
  const failures = all.filter((document) => document.event.action === 'login-attempt' && document.event.outcome === 'failure').length;
  assert.ok(failures > 0);
  assert.equal(await page.locator('#panel-total .value').textContent(), new Intl.NumberFormat('en').format(failures));
  const toggle = page.locator('#panel-statuses').getByRole('button', { name: /as a table$/ });
  await toggle.focus();
  await page.keyboard.press('Enter');
  await page.locator('#panel-statuses tbody button').first().focus();
  await page.keyboard.press('Enter');
  await page.locator('#filters li').waitFor();
  assert.match(new URL(page.url()).searchParams.get('filter'), /^salesforce\.login\.status:"/);
  await settled(page);
  await page.locator('#panel-table tbody button').first().focus();
  await page.keyboard.press('Enter');
  await page.locator('#document').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#document').waitFor({ state: 'hidden' });
  told('search, table, filter and document are reached by the keyboard');

  await show('/?dashboard=login');
  await page.getByLabel('Search', { exact: true }).fill('event.outcome:failure and');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('#mistake').textContent !== '');
  assert.match(await page.locator('#mistake').textContent(), /at character 26: something to search for is missing here/);
  problems.length = 0;
  told('a mistake in a search is told with its place');

  // Documents are text.
  await show(`/?dashboard=login&filter=${encodeURIComponent('event.id:attack')}`);
  await page.locator('#panel-table tbody button').first().click();
  await page.locator('#document').getByText(ATTACK, { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => window.attacked), undefined);
  assert.equal(await page.locator('#document-body script, #document-body img, main script, main img').count(), 0);
  assert.deepEqual(await violations(page), []);
  const values = await page.locator('#document-body tbody tr').evaluateAll((rows) => rows.map(({ cells: [field, value] }) => [field.textContent, value.textContent, value.querySelectorAll('button').length]));
  assert.deepEqual(values.filter(([field]) => field.startsWith('labels.')), [['labels.nothing', 'null', 0], ['labels.empty', '', 0], ...['r1', 'r, "2"', 'r1'].map((value) => ['labels.several', value, 1])]);
  await page.locator('#close').click();
  const sheet = (await saved(page, 'failing-users', 'CSV')).toString() + (await saved(page, 'table', 'CSV')).toString();
  assert.ok(sheet.includes(`"'=HYPERLINK(""http://example.invalid"")"`) && !/(^|,)"?=/m.test(sheet));
  told('a User-Agent with <script> in it is text, in panels and in the document; a formula is text in CSV');

  for (const panel of ['over-time', 'table', 'success-rate', 'map']) {
    const picture = await saved(page, panel, 'PNG');
    assert.deepEqual([...picture.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
    assert.ok(picture.length > 500);
  }
  await show('/?dashboard=completeness');
  const cut = await saved(page, 'files', 'PNG');
  assert.equal(cut.readUInt32BE(20), 2 * (44 + 22 * (1 + 60 + 1)));
  told('charts, tables and numbers are saved as PNG, and of a table that is cut there is a line that says so');

  await page.route('**/world.json', (route) => route.abort(), { times: 1 });
  await show('/?dashboard=login');
  await page.locator('#panel-map .error').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.press('Enter');
  await page.locator('#panel-map canvas').first().waitFor();
  await settled(page);
  problems.length = 0;
  told('a map whose outline could not be had is drawn the next time');

  // Looks. Pictures are of what was collected, without what was added here.
  const clean = options.pictures && await view(collected.events, '--no-index');
  if (clean) await read(clean.address);
  // Receipts are of when they were collected, a day later: what is not about them shows the day of the org.
  const day = clean && documents(collected.events).filter(({ data_stream: { dataset } }) => dataset !== 'salesforce.collector').map(at);
  const ofDay = (name) => (['completeness', 'collector'].includes(name) ? '' : `&from=${Math.min(...day)}&to=${Math.max(...day) + 1}`);
  for (const theme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: theme });
    for (const dashboard of dashboards) {
      await show(`/?dashboard=${dashboard.name}`);
      assert.deepEqual(await violations(page), [], `${dashboard.name}, ${theme}`);
      if (options.pictures) {
        mkdirSync(options.pictures, { recursive: true });
        await page.goto(new URL(`/?dashboard=${dashboard.name}${ofDay(dashboard.name)}`, clean.address).href);
        await settled(page);
        await page.screenshot({ path: join(options.pictures, `${dashboard.name}-${theme}.png`) });
      }
    }
  }
  await page.evaluate(() => document.querySelectorAll('.tools button[aria-pressed="false"]').forEach((toggle) => toggle.click()));
  assert.deepEqual(await violations(page), []);
  await page.emulateMedia({ colorScheme: 'light' });
  told('axe finds no violation on any dashboard, light or dark, nor in the tables');

  // It follows.
  await show('/?dashboard=overview');
  const notes = await page.locator('#panel-map .body .note').count();
  assert.ok(notes > 1, `${notes} notes`);
  const before = await page.locator('#panel-events .value').textContent();
  appendFileSync(events, `${JSON.stringify({ ...all[0], event: { ...all[0].event, id: 'new' } })}\n`);
  await page.waitForFunction((before) => document.querySelector('#panel-events .value').textContent !== before, before);
  assert.equal(await page.locator('#panel-events .value').textContent(), new Intl.NumberFormat('en').format(all.length + 1));
  await settled(page);
  assert.equal(await page.locator('#panel-map .body .note').count(), notes);
  told('what is appended to a file is shown without asking, and what is said below a map is said once');

  // While it follows, what somebody is at stays, and nothing piles up.
  let count = all.length + 1;
  const appended = async () => {
    count += 1;
    appendFileSync(events, `${JSON.stringify({ ...all[0], event: { ...all[0].event, id: `new ${count}` } })}\n`);
    await page.waitForFunction((text) => document.querySelector('#panel-events .value').textContent === text, new Intl.NumberFormat('en').format(count));
    await settled(page);
  };
  await page.locator('#query').fill('not sent yet');
  await page.locator('#from').fill('2026-01-01T00:00:01');
  const cell = page.locator('#panel-table tbody tr').nth(2).locator('button').nth(1);
  await cell.focus();
  const focused = await cell.textContent();
  await page.evaluate(() => {
    window.changed = [];
    const watch = new MutationObserver((changes) => window.changed.push(...changes.map(({ target }) => target.id)));
    for (const id of ['title', 'about', 'dashboards', 'filters', 'fields', 'notices', 'mistake']) watch.observe(document.getElementById(id), { childList: true, characterData: true, subtree: true });
  });
  await appended();
  assert.deepEqual([await page.locator('#query').inputValue(), await page.locator('#from').inputValue()], ['not sent yet', '2026-01-01T00:00:01']);
  assert.deepEqual(await page.evaluate(() => [document.activeElement.tagName, document.activeElement.textContent, window.changed.join()]), ['BUTTON', focused, '']);
  told('while a file grows, what is written in the boxes and what has the focus stay, and what says the same is left alone');
  const charts = () => page.evaluate(() => [window.observers, [...document.querySelectorAll('.chart')].filter((chart) => chart.querySelector('canvas')).length]);
  const devtools = await context.newCDPSession(page);
  const held = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    const { nodes, jsEventListeners } = await devtools.send('Memory.getDOMCounters');
    return [nodes, jsEventListeners];
  };
  const around = async (times) => {
    for (let time = 0; time < times; time += 1) {
      for (const name of ['Login', 'Apex', 'Overview']) {
        await page.locator('#dashboards').getByText(name, { exact: true }).click();
        await settled(page);
      }
      await page.evaluate(() => { for (let twice = 0; twice < 2; twice += 1) document.querySelectorAll('.tools button[aria-pressed]').forEach((toggle) => toggle.click()); });
      await appended();
    }
  };
  await around(2);
  const few = await held();
  await around(5);
  const many = await held();
  const [observers, canvases] = await charts();
  assert.equal(observers, canvases);
  assert.ok(many.every((number, index) => number < few[index] * 1.2 + 50), `${few} became ${many} nodes and listeners`);
  told('charts that are gone hold nothing: no observer, no listener, no node');

  // Times beyond all bounds.
  for (const [from, to] of [['99999999999999999', ''], ['-99999999999999999', '99999999999999999'], ['-8640000000000000', '8640000000000000'], ['8640000000000000', ''], ['99999999999999999999', '']]) {
    await show(`/?dashboard=overview&from=${from}&to=${to}`);
    assert.deepEqual([await page.locator('.error').count(), await page.locator('#mistake').textContent()], [0, '']);
    assert.match(await page.locator('#status').textContent(), /events of/);
    for (const panel of ['streams', 'lanes']) {
      const [names, ...rows] = parse((await saved(page, panel, 'CSV')).toString());
      const sum = rows.flatMap((row) => row.slice(names[1] === 'event.action' ? 2 : 1)).reduce((a, b) => a + Number(b), 0);
      assert.equal(await page.locator('#panel-events .value').textContent(), new Intl.NumberFormat('en').format(sum), panel);
    }
  }
  told('times beyond all bounds in an address are no reason to show nothing, and all that lies between them is counted');

  // Opened again.
  assert.deepEqual(problems, []);
  await page.goto('about:blank');
  program.kill();
  await once(program, 'exit');
  const again = await view(events, '--index', join(work, 'index'));
  const begun = performance.now();
  await read(again.address, count);
  const took = performance.now() - begun;
  told(`opened again, all is there after ${Math.round(took)} ms`);

  // What others may ask.
  const { host, port } = new URL(again.address);
  assert.equal(await asked(again.address, { host }), 200);
  assert.equal(await asked(again.address, { host: `attacker.example:${port}` }), 403);
  assert.equal(await asked(again.address, { host, origin: 'http://attacker.example' }), 403);
  assert.equal(await asked(again.address, { host, 'sec-fetch-site': 'cross-site' }), 403);
  const others = Object.values(networkInterfaces()).flat().filter(({ internal, family }) => !internal && family === 'IPv4');
  for (const { address: own } of others) {
    await assert.rejects(new Promise((done, failed) => { connect(port, own, () => done()).on('error', failed); }), undefined, `it listens on ${own}`);
  }
  const policy = (await fetch(again.address)).headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  told('it refuses other names and other origins');
  if (others.length) told('it listens on loopback alone');
  else console.log('--  there is no other interface here: whether it listens on loopback alone was not tried');

  // Bad input.
  const bad = join(work, 'bad');
  rmSync(bad, { recursive: true, force: true });
  mkdirSync(bad);
  const file = join(bad, 'events.ndjson');
  const lines = all.slice(0, 100).map((document) => JSON.stringify(document));
  writeFileSync(file, `${lines.slice(0, 60).join('\n')}\nno json\n{"a":1}\n{"@timestamp":"2026-11-27T01:00:00.000Z","x":1e999}\n[]\n${lines.slice(60, 99).join('\n')}\n${lines[99].slice(0, 200)}`);
  const odd = await view(bad, '--index', join(file, 'nowhere'));
  await read(odd.address, 99);
  await page.goto(odd.address);
  await settled(page);
  const notices = () => page.locator('#notices').textContent();
  for (const part of [/3 of its lines are no JSON objects/, /1 of its lines are JSON, but have no time/, /last line is not finished \(\d+ bytes/, /index cannot be written/]) {
    assert.match(await notices(), part);
  }
  assert.equal(await page.locator('#panel-events .value').textContent(), '99');
  appendFileSync(file, `${lines[99].slice(200)}\n`);
  await page.waitForFunction(() => document.querySelector('#panel-events .value').textContent === '100');
  assert.doesNotMatch(await notices(), /not finished/);
  truncateSync(file, 0);
  await page.waitForFunction(() => /became shorter/.test(document.querySelector('#notices').textContent));
  writeFileSync(`${file}.other`, `${lines[5]}\n${lines[6]}\n`);
  renameSync(`${file}.other`, file);
  await page.waitForFunction(() => document.querySelector('#panel-events .value').textContent === '2');
  writeFileSync(join(bad, 'more.jsonl'), `${lines[7]}\n`);
  await page.waitForFunction(() => document.querySelector('#panel-events .value').textContent === '3');
  told('torn lines, lines that are no JSON, documents of another kind, files that shrink, are replaced or come later, and an index that cannot be written are told, and the rest is shown');

  // A disk that is full: a file system of its own, where this may be made.
  const small = join(work, 'small');
  mkdirSync(small, { recursive: true });
  const mounted = ['unshare', '--map-root-user', '--mount', 'sh', '-c', 'mount -t tmpfs -o size=256k none "$0" && exec "$@"', small];
  if (spawnSync(mounted[0], [...mounted.slice(1), 'true']).status === 0) {
    const full = await started([...mounted, options.view, events, '--index', small]);
    await read(full.address, count);
    await page.goto(full.address);
    await settled(page);
    assert.match(await notices(), /index cannot be written.*No space left/s);
    assert.equal(await page.locator('#panel-events .value').textContent(), new Intl.NumberFormat('en').format(count));
    told('a disk that is full is told, and all events are shown');
  } else {
    console.log('--  a file system of its own cannot be mounted here: a disk that is full was not tried');
  }

  assert.deepEqual(problems, []);
  assert.ok([...hosts].every((one) => one.startsWith('127.0.0.1:')), [...hosts].join());
  told('the page asked no other host, and had no error');
  await browser.close();
}

// Whatever is left running then would keep this from ending.
const limit = setTimeout(() => ended(new Error('this took longer than 10 minutes')), 600000);
function ended(error) {
  if (error) console.error(error);
  for (const program of running) program.kill();
  clearTimeout(limit);
  process.exit(error ? 1 : 0);
}
await main().then(() => ended(), ended);

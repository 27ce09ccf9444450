// The page: what is looked at, and its panels.

import { draw, drawn, outside, picture as chartPicture, release } from './charts.js';
import { iso, number, time, withUnit } from './format.js';
import { csv, element as tableElement, picture as tablePicture, summary, tabular } from './tables.js';
import { address, asked, is, read, view, within } from './view.js';

const $ = (id) => document.getElementById(id);
let state = null;
// Answers to an earlier question are dropped.
let asking = 0;
const skips = new Map();

// ---- what is looked at -------------------------------------------------------------------------

function go(changes) {
  skips.clear();
  Object.assign(view, changes);
  history.pushState(null, '', address());
  show(true);
}

/** What a mark stands for: searches that all must match, and a piece of time if it is of one. */
function choose(searches, times) {
  const anew = searches.filter((search) => !view.filters.includes(search));
  if (anew.length || times) go({ filters: [...view.filters, ...anew], ...(times && within(times)) });
}

addEventListener('popstate', () => { read(); skips.clear(); show(true); });

$('search').addEventListener('submit', (event) => {
  event.preventDefault();
  // Untouched boxes show whole seconds of what is finer, and the ends of what may grow.
  const chosen = (id, known) => ($(id).value === $(id).filled ? known : $(id).value ? Date.parse(`${$(id).value}Z`) : null);
  go({ query: $('query').value.trim(), from: chosen('from', view.from), to: chosen('to', view.to) });
});

$('whole').addEventListener('click', () => go({ from: null, to: null }));

addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input, textarea, dialog');
  if (event.key === '/' && !typing) {
    event.preventDefault();
    $('query').focus();
    $('query').select();
  } else if (event.key === 'Escape' && event.target === $('query')) {
    $('panels').focus();
  }
});

const shownTime = (at) => (at === null || at === undefined ? '' : iso(at).slice(0, 19));

// ---- light and dark ----------------------------------------------------------------------------

const themes = ['auto', 'light', 'dark'];
const preference = matchMedia('(prefers-color-scheme: dark)');
function chosen() {
  try { return localStorage.getItem('theme') ?? 'auto'; } catch { return 'auto'; }
}
function paint() {
  const theme = chosen();
  document.documentElement.dataset.theme = theme === 'auto' ? (preference.matches ? 'dark' : 'light') : theme;
  $('theme').textContent = `Colours: ${theme}`;
}
$('theme').addEventListener('click', () => {
  try { localStorage.setItem('theme', themes[(themes.indexOf(chosen()) + 1) % themes.length]); } catch { /* not kept then */ }
  paint();
  show();
});
preference.addEventListener('change', () => { paint(); show(); });

// ---- the frame ---------------------------------------------------------------------------------

// Files may grow every second. What says the same as before is left alone: somebody may be at it, or have it read out.

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes what is in an element anew if it is to be about something else than it is. */
function renew(element, about, make) {
  const now = JSON.stringify(about);
  if (element.about === now) return;
  element.about = now;
  element.replaceChildren(...make());
}

/** What somebody writes there stays until the next choice. */
function form(anew) {
  if (anew) $('query').value = view.query;
  for (const [id, at] of [['from', view.from ?? state.span?.[0]], ['to', view.to ?? state.span?.[1]]]) {
    const box = $(id);
    box.filled ??= '';
    if (!anew && (box.value !== box.filled || document.activeElement === box)) continue;
    box.value = shownTime(at);
    box.filled = box.value;
  }
}

function frame(anew) {
  const dashboard = state.dashboards.find(({ name }) => name === view.dashboard) ?? state.dashboards[0];
  view.dashboard = dashboard.name;
  document.title = `${dashboard.title} – event-view`;
  say($('title'), dashboard.title);
  say($('about'), dashboard.about);
  renew($('dashboards'), [state.dashboards.map(({ name, title }) => [name, title]), address()], () => state.dashboards.map(({ name, title }) => {
    const link = document.createElement('a');
    link.href = address({ dashboard: name });
    link.textContent = title;
    if (name === dashboard.name) link.setAttribute('aria-current', 'page');
    link.addEventListener('click', (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      go({ dashboard: name });
      $('panels').focus();
      scrollTo(0, 0);
    });
    return link;
  }));
  form(anew);
  $('whole').hidden = view.from === null && view.to === null;
  renew($('filters'), view.filters, () => view.filters.map((search) => {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = `${search} ✕`;
    button.setAttribute('aria-label', `Remove the filter ${search}`);
    button.addEventListener('click', () => {
      go({ filters: view.filters.filter((known) => known !== search) });
      ($('filters').querySelector('button') ?? $('query')).focus();
    });
    item.append(button);
    return item;
  }));
  renew($('fields'), state.fields, () => state.fields.map((field) => {
    const option = document.createElement('option');
    option.value = `${field}:`;
    return option;
  }));
  notices();
  return dashboard;
}

function notices() {
  $('notices').hidden = state.notices.length === 0;
  renew($('notices'), state.notices, () => state.notices.map(({ file, text }) => {
    const line = document.createElement('p');
    line.textContent = file ? `${file}: ${text}` : text;
    return line;
  }));
  const [done, total] = state.progress;
  const files = state.files.length === 1 ? '1 file' : `${number(state.files.length)} files`;
  say($('status'), !state.ready
    ? `Reading: ${withUnit(done, 'bytes')} of ${withUnit(total, 'bytes')}. The first time takes a while; the next time the index is there.`
    : `${number(state.documents)} events of ${files}${state.span ? `, from ${time(state.span[0])} to ${time(state.span[1])} UTC` : ''}.`);
}

// ---- panels ------------------------------------------------------------------------------------

let shownDashboard = null;

function show(anew = false) {
  if (!state) return;
  const dashboard = frame(anew);
  if (shownDashboard !== dashboard.name) {
    release($('grid'));
    $('grid').replaceChildren(...dashboard.panels.map(build));
    shownDashboard = dashboard.name;
  }
  asking += 1;
  for (const definition of dashboard.panels) load(definition, asking);
}

function button(label, name, act) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  made.setAttribute('aria-label', name);
  made.title = name;
  made.addEventListener('click', act);
  return made;
}

function build(definition) {
  const panel = document.createElement('section');
  panel.className = `panel w${definition.width}`;
  panel.id = `panel-${definition.id}`;
  panel.setAttribute('aria-labelledby', `title-${definition.id}`);
  const head = document.createElement('div');
  head.className = 'head';
  const title = document.createElement('h2');
  title.id = `title-${definition.id}`;
  title.textContent = definition.title;
  const tools = document.createElement('div');
  tools.className = 'tools';
  if (drawn(definition)) {
    const toggle = button('Table', `Show ${definition.title} as a table`, () => {
      const pressed = toggle.getAttribute('aria-pressed') !== 'true';
      toggle.setAttribute('aria-pressed', String(pressed));
      if (panel.answer) fill(panel, definition, panel.answer);
    });
    toggle.setAttribute('aria-pressed', 'false');
    panel.toggle = toggle;
    tools.append(toggle);
  }
  tools.append(
    button('CSV', `Save ${definition.title} as CSV`, () => save(panel, definition, 'csv')),
    button('PNG', `Save ${definition.title} as PNG`, () => save(panel, definition, 'png')),
  );
  head.append(title, tools);
  const note = document.createElement('p');
  note.className = 'note';
  note.textContent = definition.about;
  note.hidden = !definition.about;
  const body = document.createElement('div');
  body.className = 'body';
  panel.append(head, note, body);
  return panel;
}

async function load(definition, question) {
  const panel = $(`panel-${definition.id}`);
  panel.setAttribute('aria-busy', 'true');
  let answer;
  try {
    const response = await fetch(asked(definition.id, skips.get(definition.id)));
    answer = await response.json();
  } catch {
    answer = { error: 'event-view does not answer. Is it still running?' };
  }
  if (question !== asking) return;
  panel.answer = answer.error ? null : answer;
  say($('mistake'), answer.at === undefined ? '' : answer.error);
  const { generation, milliseconds, from, to, ...content } = answer;
  const now = JSON.stringify([document.documentElement.dataset.theme, content]);
  if (panel.shows !== now) {
    panel.shows = now;
    if (answer.error) {
      const line = document.createElement('p');
      line.className = 'error';
      line.textContent = answer.error;
      replace(panel.querySelector('.body'), line);
    } else {
      await fill(panel, definition, answer);
    }
  }
  panel.removeAttribute('aria-busy');
}

/** What has the focus keeps it, if there is something that says the same, and what is scrolled stays so. */
function replace(body, ...nodes) {
  const all = (selector) => [...body.querySelectorAll(selector)];
  const within = 'button, [tabindex]';
  const at = all(within).indexOf(document.activeElement);
  const said = document.activeElement?.textContent;
  const scrolled = all('.scroll').map(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop]);
  release(body);
  body.replaceChildren(...nodes);
  all('.scroll').forEach((scroll, index) => scroll.scrollTo(...(scrolled[index] ?? [0, 0])));
  if (at < 0) return;
  const now = all(within);
  (now.find((one, index) => index >= at && one.textContent === said) ?? now[Math.min(at, now.length - 1)])?.focus({ preventScroll: true });
}

const empty = (answer) => !answer.cells?.length && (answer.rows?.length === 0 || answer.names?.length === 0 || answer.series?.length === 0);

async function fill(panel, definition, answer) {
  const body = panel.querySelector('.body');
  panel.filled = answer;
  const words = document.createElement('p');
  words.className = 'sr';
  words.textContent = summary(definition, answer);
  if (definition.kind === 'number') {
    const value = document.createElement('p');
    value.className = answer.unit === 'time' ? 'value small' : 'value';
    value.textContent = withUnit(answer.value, answer.unit);
    replace(body, value);
    return;
  }
  if (empty(answer) && !(definition.kind === 'map' && answer.without)) {
    const line = document.createElement('p');
    line.className = 'empty';
    line.textContent = 'There is nothing of this in what is looked at.';
    replace(body, line);
    return;
  }
  const table = () => {
    const scroll = document.createElement('div');
    scroll.className = 'scroll';
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'region');
    scroll.setAttribute('aria-label', `${definition.title}, table`);
    scroll.append(tableElement(tabular(definition, answer), definition.title, { choose, open }));
    return scroll;
  };
  if (drawn(definition) && panel.toggle?.getAttribute('aria-pressed') !== 'true') {
    let chart = body.querySelector('.chart');
    if (!chart) {
      chart = document.createElement('div');
      chart.className = definition.kind === 'map' || definition.width > 8 ? 'chart tall' : 'chart';
      chart.setAttribute('role', 'img');
      replace(body, chart, words);
    } else {
      body.querySelector('.sr')?.replaceWith(words);
      for (const known of body.querySelectorAll('.note')) known.remove();
    }
    chart.setAttribute('aria-label', `${definition.title}. ${words.textContent} As a table: the button Table.`);
    // While the outline of a map comes, what is newer may come to stand here.
    const stands = () => panel.filled === answer && chart.isConnected;
    try {
      await draw(chart, definition, answer, { choose, stands });
    } catch (problem) {
      if (!stands()) return;
      const line = document.createElement('p');
      line.className = 'error';
      line.textContent = `This panel cannot be drawn: ${problem.message}. Its table can be shown.`;
      panel.shows = null;
      replace(body, line);
      return;
    }
    if (stands()) rest(body, definition, answer);
    return;
  }
  const parts = [];
  if (definition.kind === 'files') {
    parts.push(hours(answer));
    if (answer.total > answer.rows.length) parts.push(note(`The worst ${number(answer.rows.length)} of ${number(answer.total)} files are listed.`));
  }
  if (definition.kind === 'first' || definition.kind === 'beside') parts.push(note(`${number(answer.total)} in all${answer.total > answer.rows.length ? `, the newest ${number(answer.rows.length)} of them are shown` : ''}.`));
  replace(body, words, ...parts, table(), ...(definition.kind === 'events' ? [pages(definition, answer)] : []));
  rest(body, definition, answer);
}

function note(text) {
  const line = document.createElement('p');
  line.className = 'note';
  line.textContent = text;
  return line;
}

function rest(body, definition, answer) {
  if (answer.others > 0) body.append(note(`${number(answer.others)} more values${answer.rest ? `, with ${number(answer.rest)} together` : ''}.`));
  if (definition.kind !== 'map') return;
  if (answer.without > 0) body.append(note(`${number(answer.without)} events tell no country.`));
  const lacks = body.querySelector('.chart') ? outside(answer) : [];
  const named = lacks.slice(0, 20).map(({ key }) => key).join(', ') + (lacks.length > 20 ? ` and ${number(lacks.length - 20)} more` : '');
  if (lacks.length) body.append(note(`${number(lacks.reduce((sum, { value }) => sum + value, 0))} events of countries that the outline lacks: ${named}.`));
  if (answer.left > 0) body.append(note(`The ${number(answer.places.length)} places with most events are shown, and ${number(answer.left)} are not.`));
}

function pages(definition, answer) {
  const line = document.createElement('div');
  line.className = 'pages';
  const turn = (skip) => { skips.set(definition.id, skip); load(definition, asking); };
  const newer = button('Newer', 'Newer events', () => turn(Math.max(0, answer.skip - answer.page)));
  const older = button('Older', 'Older events', () => turn(answer.skip + answer.page));
  newer.disabled = answer.skip === 0;
  older.disabled = answer.skip + answer.rows.length >= answer.total;
  const text = document.createElement('span');
  text.textContent = `${number(answer.skip + 1)} to ${number(answer.skip + answer.rows.length)} of ${number(answer.total)}`;
  line.append(newer, text, older);
  return line;
}

// A sign for each state, so that no colour is needed to tell them apart.
const SIGNS = { complete: '●', 'no receipt': '○', late: '◔', 'too many': '▲', 'rows lack': '▼', 'no file': '✕', 'given up': '■' };

function hours(answer) {
  const whole = document.createElement('div');
  const list = document.createElement('ul');
  list.className = 'states';
  list.append(...answer.summary.filter(([, count]) => count > 0).map(([name, count]) => {
    const item = document.createElement('li');
    item.textContent = `${SIGNS[name]} ${name}: ${number(count)}`;
    if (!['complete', 'no receipt'].includes(name)) item.className = 'failure';
    return item;
  }));
  const rows = new Map();
  for (const cell of answer.cells) {
    if (!rows.has(cell.kind)) rows.set(cell.kind, []);
    rows.get(cell.kind).push(cell);
  }
  const starts = [...new Set(answer.cells.map(({ at }) => at))].sort((a, b) => a - b);
  const scroll = document.createElement('div');
  scroll.className = 'scroll';
  scroll.tabIndex = 0;
  scroll.setAttribute('role', 'region');
  const days = answer.cell / 86400000;
  scroll.setAttribute('aria-label', `Each file in its ${days < 1 ? 'hour' : days === 1 ? 'day' : `${days} days`}, by kind. Arrow keys lead from one to the other.`);
  const table = document.createElement('table');
  const line = table.createTHead().insertRow();
  // The hour alone, so that all columns are as wide; the day stands where it begins.
  const hour = (at, index) => {
    const text = iso(at);
    if (days >= 1) return days === 1 ? text.slice(5, 10) : text.slice(0, -14);
    return index === 0 || text.slice(11, 13) === '00' ? `${text.slice(8, 10)}. ${text.slice(11, 13)}` : text.slice(11, 13);
  };
  for (const name of ['kind', ...starts.map(hour)]) {
    const cell = document.createElement('th');
    cell.scope = 'col';
    cell.textContent = name;
    line.append(cell);
  }
  const body = table.createTBody();
  for (const [kind, cells] of rows) {
    const line = body.insertRow();
    const head = document.createElement('th');
    head.scope = 'row';
    head.textContent = kind;
    line.append(head);
    const known = new Map(cells.map((cell) => [cell.at, cell]));
    for (const at of starts) {
      const cell = line.insertCell();
      const found = known.get(at);
      if (!found) continue;
      const act = document.createElement('button');
      act.type = 'button';
      act.title = `${kind}, ${days >= 1 ? time(at).slice(0, 10) : time(at)}: ${found.state}${found.files > 1 ? `, ${found.files} files` : ''}. Show this piece of time`;
      act.addEventListener('click', () => choose([], [at, found.to]));
      const sign = document.createElement('span');
      sign.setAttribute('aria-hidden', 'true');
      sign.textContent = SIGNS[found.state];
      const word = document.createElement('span');
      word.className = 'sr';
      word.textContent = found.state;
      if (!['complete', 'no receipt'].includes(found.state)) sign.className = 'failure';
      act.append(sign, word);
      cell.append(act);
    }
  }
  roving(table);
  scroll.append(table);
  whole.append(list, scroll);
  return whole;
}

/** Of the buttons of a table the one that was last at hand is reached by the tabulator, the others from there by arrows. */
function roving(table) {
  const buttons = [...table.querySelectorAll('button')];
  for (const one of buttons) one.tabIndex = -1;
  if (buttons.length) buttons[0].tabIndex = 0;
  table.addEventListener('focusin', ({ target }) => {
    for (const one of buttons) one.tabIndex = one === target ? 0 : -1;
  });
  table.addEventListener('keydown', (event) => {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
    const cell = event.target.closest('td');
    if (!cell || (!down && !right)) return;
    // The page is not scrolled by it, even where there is no other.
    event.preventDefault();
    const { rows } = table;
    for (let [row, column] = [cell.parentNode.rowIndex + down, cell.cellIndex + right]; rows[row]?.cells[column]; row += down, column += right) {
      const found = rows[row].cells[column].querySelector('button');
      if (found) return found.focus();
    }
  });
}

// ---- saving ------------------------------------------------------------------------------------

function save(panel, definition, kind) {
  if (!panel.answer) return;
  const table = tabular(definition, panel.answer);
  const link = document.createElement('a');
  link.download = `${view.dashboard}-${definition.id}.${kind}`;
  if (kind === 'csv') {
    link.href = URL.createObjectURL(new Blob([csv(table)], { type: 'text/csv' }));
  } else {
    const style = getComputedStyle(document.documentElement);
    const colors = { panel: style.getPropertyValue('--panel').trim(), text: style.getPropertyValue('--text').trim() };
    const chart = panel.querySelector('.chart');
    link.href = (chart && chartPicture(chart, colors.panel)) ?? tablePicture(table, definition.title, colors);
  }
  link.click();
  if (kind === 'csv') setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ---- one document ------------------------------------------------------------------------------

let whole = '';

async function open(place) {
  const response = await fetch(`/api/document?${new URLSearchParams(place)}`);
  whole = await response.text();
  const body = $('document-body');
  let parsed;
  try { parsed = JSON.parse(whole); } catch { parsed = null; }
  if (!response.ok || parsed === null) {
    body.textContent = parsed?.error ?? whole;
  } else {
    const rows = [];
    flatten(parsed, '', rows);
    const table = document.createElement('table');
    table.className = 'whole';
    const line = table.createTHead().insertRow();
    for (const name of ['field', 'value']) {
      const head = document.createElement('th');
      head.scope = 'col';
      head.textContent = name;
      line.append(head);
    }
    const lines = table.createTBody();
    for (const [field, value] of rows) {
      const line = lines.insertRow();
      line.insertCell().textContent = field;
      const cell = line.insertCell();
      // Where there is no value there is none to search for.
      if (value === null || value === '') {
        cell.textContent = String(value);
        continue;
      }
      const act = document.createElement('button');
      act.type = 'button';
      act.textContent = String(value);
      act.title = `Filter by ${is(field, value)}`;
      act.addEventListener('click', () => { $('document').close(); choose([is(field, value)]); });
      cell.append(act);
    }
    body.replaceChildren(table);
  }
  $('document').showModal();
}

function flatten(value, path, rows) {
  if (Array.isArray(value)) for (const one of value) flatten(one, path, rows);
  else if (value !== null && typeof value === 'object') for (const [key, one] of Object.entries(value)) flatten(one, path ? `${path}.${key}` : key, rows);
  else rows.push([path, value]);
}

$('close').addEventListener('click', () => $('document').close());
$('copy').addEventListener('click', () => navigator.clipboard?.writeText(whole.trim()));

// ---- what is new -------------------------------------------------------------------------------

async function look() {
  try {
    await follow();
  } finally {
    setTimeout(look, state?.ready ? 2000 : 500);
  }
}

async function follow() {
  let next;
  try {
    next = await (await fetch('/api/state')).json();
  } catch {
    next = { error: 'event-view does not answer. Is it still running?' };
  }
  if (next.error) return say($('status'), next.error);
  const before = state;
  state = next;
  if (state.generation !== before?.generation || state.ready !== before?.ready) show(before === null);
  else notices();
}

read();
paint();
look();

// Every panel as a table: what is shown to those who do not see the chart, and what becomes CSV.

import { iso, number, piece, time, withUnit } from './format.js';
import { is, isOneOf, isPlace } from './view.js';

const text = (raw, shown = raw ?? '', more = {}) => ({ raw: raw ?? '', shown, ...more });
const value = (raw, unit) => (unit === 'time' && typeof raw === 'number' ? at(raw) : { raw: raw ?? '', shown: withUnit(raw, unit), number: unit !== 'time', time: unit === 'time' });
const at = (raw) => ({ raw: iso(raw), shown: time(raw), time: true });
const link = (field, raw) => text(raw, raw, raw === '' || raw === null ? {} : { filter: is(field, raw) });
// Of several values the cell has all, and is a filter by any of them.
const links = (fields, values) => values.map((list, index) => text(list.join(', '), undefined, list.some((one) => one !== '') ? { filter: isOneOf(fields[index], list) } : {}));

/** What an answer says: `head` names its columns, `rows` are their cells. */
export function tabular(definition, answer) {
  switch (definition.kind) {
    case 'number':
      return { head: [definition.title], rows: [[value(answer.value, answer.unit)]] };
    case 'time': {
      const head = ['time (UTC)', ...answer.series.map(({ name }) => name), ...(answer.band ? ['usual from', 'usual to'] : [])];
      const rows = answer.starts.map((start, index) => [
        { raw: iso(start), shown: piece(start, answer.interval), time: true, times: [start, start + answer.interval] },
        ...answer.series.map((series) => value(series.values[index], series.unit)),
        ...(answer.band ? [value(answer.band.low[index]), value(answer.band.high[index])] : []),
      ]);
      return { head, rows };
    }
    case 'top':
      if (answer.split) {
        const rows = answer.split.cells.map(([key, part, count]) => [link(answer.field, key), link(answer.split.field, part), value(count, answer.unit)]);
        return { head: [answer.field, answer.split.field, answer.name], rows };
      }
      return { head: [answer.field, answer.name], rows: answer.rows.map((row) => [link(answer.field, row.key), value(row.value, answer.unit)]) };
    case 'table':
      return {
        head: [...answer.by, ...answer.columns.map(({ title }) => title)],
        rows: answer.rows.map((row) => [
          ...row.key.map((key, index) => link(answer.by[index], key)),
          ...row.values.map((one, index) => value(one, answer.columns[index].unit)),
        ]),
      };
    case 'map': {
      const rows = [...answer.rows.map((row) => [link(answer.field, row.key), value(row.value)]), ...(answer.without ? [[text('', 'not told'), value(answer.without)]] : [])];
      if (!answer.places.length) return { head: [answer.field, 'events'], rows };
      // Each event with a place stands in a row of its country as well.
      const part = (place, index) => ({ raw: place[index], shown: place[index === 0 ? 4 : 3], number: true, filter: isPlace(definition.place, place) });
      return {
        head: [answer.field, 'latitude', 'longitude', 'events'],
        rows: [...rows.map(([country, count]) => [country, text(''), text(''), count]), ...answer.places.map((place) => [text(''), part(place, 1), part(place, 0), value(place[2])])],
      };
    }
    case 'heat':
      return {
        head: ['time (UTC)', answer.field, 'events'],
        rows: answer.cells.map(([x, y, count]) => [
          { raw: iso(answer.starts[x]), shown: piece(answer.starts[x], answer.interval), time: true, times: [answer.starts[x], answer.starts[x] + answer.interval] },
          link(answer.field, answer.names[y]), value(count),
        ]),
      };
    case 'first':
      return {
        head: ['first (UTC)', answer.by, answer.field, 'events since'],
        rows: answer.rows.map((row) => [at(row.at), link(answer.by, row.by), link(answer.field, row.value), value(row.count)]),
      };
    case 'events':
      return {
        head: ['time (UTC)', ...answer.columns],
        rows: answer.rows.map((row) => [{ ...at(row.at), place: row.place }, ...links(answer.columns, row.values)]),
      };
    case 'beside': {
      const rows = answer.rows.map((row) => [
        { ...at(row.at), place: row.place }, ...links(answer.columns, row.values), link(answer.by, row.by ?? ''),
        ...(row.other
          ? [{ ...at(row.other.at), place: row.other.place }, ...links(answer.other_columns, row.other.values)]
          : [text('', `none in ${answer.hours} h`, { bad: true }), ...answer.other_columns.map(() => text(''))]),
      ]);
      return { head: ['time (UTC)', ...answer.columns, answer.by, 'before (UTC)', ...answer.other_columns.map((column) => `before: ${column}`)], rows };
    }
    case 'files':
      return {
        head: ['file', 'kind', 'covers from (UTC)', 'state', 'events here', 'came again', 'rows by receipt', 'made after'],
        rows: answer.rows.map((row) => [
          link(definition.files.id, row.id), text(row.kind), at(row.covers), text(row.state, row.state, { bad: !['complete', 'no receipt'].includes(row.state) }),
          value(row.here), value(row.again), value(row.listed), value(row.late === null ? null : row.late / 1000, 's'),
        ]),
      };
    default:
      return { head: [], rows: [] };
  }
}

/** Parts of values, the largest first: the name of each, and how much of it each value has. What goes beyond so many parts is one. */
export function stacks(keys, cells, most = 10) {
  const sums = new Map();
  const known = new Map();
  for (const [key, part, value] of cells) {
    sums.set(part, (sums.get(part) ?? 0) + value);
    known.set(JSON.stringify([key, part]), value);
  }
  const parts = [...sums.keys()].sort((one, other) => sums.get(other) - sums.get(one) || (one < other ? -1 : 1));
  const of = (key, part) => known.get(JSON.stringify([key, part])) ?? null;
  const found = parts.slice(0, most).map((part) => ({ name: part, values: keys.map((key) => of(key, part)) }));
  const others = parts.slice(most);
  if (others.length) found.push({ name: `${others.length} others`, values: keys.map((key) => others.reduce((sum, part) => sum + of(key, part), 0)), others: true });
  return found;
}

/** In words, for who hears it. */
export function summary(definition, answer) {
  const first = (rows) => rows.slice(0, 3).map((row) => `${row.key} ${withUnit(row.value, answer.unit)}`).join(', ');
  switch (definition.kind) {
    case 'number':
      return `${definition.title}: ${withUnit(answer.value, answer.unit)}.`;
    case 'time':
      return `${answer.starts.length} pieces of time. ${answer.series.map((series) => {
        const values = series.values.filter((one) => one !== null);
        if (!values.length) return `${series.name}: nothing.`;
        const most = values.reduce((a, b) => Math.max(a, b));
        return `${series.name}: at most ${withUnit(most, series.unit)}, at ${piece(answer.starts[series.values.indexOf(most)], answer.interval)}.`;
      }).join(' ')}`;
    case 'top':
    case 'map':
      return answer.rows.length ? `${answer.rows.length} values. Most: ${first(answer.rows)}.` : 'Nothing.';
    case 'heat':
      return `${answer.names.length} values of ${answer.field} over ${answer.starts.length} pieces of time.`;
    default:
      return '';
  }
}

// A spreadsheet takes what begins so for a formula, and runs it. Which character it ends cells by is its own choice, and it takes quotes away, so what
// stands behind those counts as a beginning as well. An apostrophe before the sign makes it a text. All that may stand between is taken at once, from where it
// begins, so that a text takes no longer than it is long.
const before = /(?<![\s";,|])[\s";,|]*(?=[=+\-@＝＋－＠])/g;
const safe = (raw) => raw.replace(before, (between, at) => (at === 0 || /[;,|\t\r\n]/.test(between) ? `${between}'` : between));

export function csv({ head, rows }) {
  const field = (raw) => (typeof raw === 'string' ? `"${safe(raw).replaceAll('"', '""')}"` : String(raw));
  return [head, ...rows.map((row) => row.map((cell) => cell.raw))].map((row) => row.map(field).join(',')).join('\r\n') + '\r\n';
}

/** What cells do when they are chosen. */
export function element({ head, rows }, caption, { choose, open }) {
  const table = document.createElement('table');
  const title = table.createCaption();
  title.className = 'sr';
  title.textContent = caption;
  const numeric = head.map((_, index) => rows.length > 0 && rows.every((row) => row[index]?.number));
  const line = table.createTHead().insertRow();
  head.forEach((name, index) => {
    const cell = document.createElement('th');
    cell.scope = 'col';
    cell.textContent = name;
    if (numeric[index]) cell.className = 'number';
    line.append(cell);
  });
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((content) => {
      const cell = line.insertCell();
      const shown = String(content.shown);
      cell.className = [content.number && 'number', content.time && 'time', (content.bad || shown === 'failure') && 'failure', shown === 'success' && 'success'].filter(Boolean).join(' ');
      const act = content.place ? () => open(content.place) : content.filter ? () => choose([content.filter]) : content.times ? () => choose([], content.times) : null;
      if (!act || shown === '') {
        cell.textContent = shown;
        return;
      }
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = shown;
      button.title = content.place ? 'Show the whole document' : content.filter ? `Filter by ${content.filter}` : 'Show this piece of time';
      button.addEventListener('click', act);
      cell.append(button);
    });
  }
  return table;
}

/** A table as a picture: so many rows of it, and how many more there are. */
export function picture({ head, rows }, title, colors, most = 60) {
  const shown = [head, ...rows.slice(0, most).map((row) => row.map((cell) => String(cell.shown)))];
  const more = rows.length > most ? `${number(rows.length - most)} more rows are in the CSV` : '';
  const font = (bold) => `${bold ? '600 ' : ''}13px system-ui, "DejaVu Sans", sans-serif`;
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  context.font = font(true);
  const cut = (text) => (text.length > 60 ? `${text.slice(0, 59)}…` : text);
  const widths = head.map((_, index) => Math.max(...shown.map((row) => context.measureText(cut(row[index] ?? '')).width)) + 20);
  const width = Math.max(widths.reduce((a, b) => a + b, 16), context.measureText(title).width + 24, context.measureText(more).width + 24);
  const height = 44 + 22 * (shown.length + (more ? 1 : 0));
  canvas.width = width * 2;
  canvas.height = height * 2;
  context.scale(2, 2);
  context.fillStyle = colors.panel;
  context.fillRect(0, 0, width, height);
  context.fillStyle = colors.text;
  context.font = font(true);
  context.fillText(title, 10, 22);
  context.fillText(more, 10, 50 + 22 * shown.length);
  shown.forEach((row, line) => {
    context.font = font(line === 0);
    let left = 10;
    row.forEach((text, index) => {
      context.fillText(cut(text), left, 50 + 22 * line);
      left += widths[index];
    });
  });
  return canvas.toDataURL('image/png');
}


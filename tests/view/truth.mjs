// What each panel must say, computed from the documents themselves, by other code than the program's.

const DAY = 86400000;
const HOUR = 3600000;

export function valuesOf(document, field) {
  let found = [document];
  const flat = (one) => (Array.isArray(one) ? one.flatMap(flat) : [one]);
  for (const part of field.split('.')) found = found.flatMap(flat).map((one) => (one !== null && typeof one === 'object' ? one[part] : undefined));
  return [...new Set(found.flatMap(flat).filter((one) => one !== undefined && one !== null && typeof one !== 'object').map(String))];
}

const numbersOf = (document, field) => valuesOf(document, field).map(Number).filter((one) => !Number.isNaN(one));
export const at = (document) => Date.parse(document['@timestamp']);

/** A search as a function of a document. It reads what definitions and tests write, and no more. */
export function search(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[()]|>=|<=|[<>]|[^\s()"<>]+/g) ?? [];
  let next = 0;
  const either = () => {
    const parts = [both()];
    while (tokens[next] === 'or') { next += 1; parts.push(both()); }
    return (document) => parts.some((part) => part(document));
  };
  const both = () => {
    const parts = [one()];
    while (tokens[next] === 'and') { next += 1; parts.push(one()); }
    return (document) => parts.every((part) => part(document));
  };
  const one = () => {
    const token = tokens[next];
    next += 1;
    if (token === 'not') { const part = one(); return (document) => !part(document); }
    if (token === '(') { const part = either(); next += 1; return part; }
    if (['<', '>', '<=', '>='].includes(tokens[next])) {
      const sign = tokens[next];
      const bound = Number(tokens[next + 1]);
      next += 2;
      const holds = { '<': (v) => v < bound, '>': (v) => v > bound, '<=': (v) => v <= bound, '>=': (v) => v >= bound }[sign];
      return (document) => numbersOf(document, token).some(holds);
    }
    const colon = token.indexOf(':');
    const field = token.slice(0, colon);
    let value = token.slice(colon + 1);
    if (value === '') {
      value = tokens[next].slice(1, -1).replace(/\\(.)/g, '$1');
      next += 1;
      return (document) => valuesOf(document, field).includes(value);
    } else if (value === '*') {
      return (document) => valuesOf(document, field).length > 0;
    } else if (/\/24$/.test(value)) {
      const network = value.slice(0, value.lastIndexOf('.') + 1);
      return (document) => valuesOf(document, field).some((found) => found.startsWith(network) && /^[\d.]+$/.test(found));
    }
    return (document) => valuesOf(document, field).some((found) => found.toLowerCase() === value.toLowerCase());
  };
  return tokens.length ? either() : () => true;
}

function metric(series, documents) {
  const numbers = () => documents.flatMap((document) => numbersOf(document, series.field));
  const none = (list, value) => (list.length ? value(list) : '');
  switch (series.metric) {
    case 'count': return documents.length;
    case 'share': return none(documents, (all) => all.filter(search(series.of)).length / all.length);
    case 'unique': return new Set(documents.flatMap((document) => valuesOf(document, series.field))).size;
    case 'sum': return none(numbers(), (all) => all.reduce((a, b) => a + b, 0));
    case 'average': return none(numbers(), (all) => all.reduce((a, b) => a + b, 0) / all.length);
    case 'max': return none(numbers(), (all) => all.reduce((a, b) => Math.max(a, b)));
    case 'percentile': return none(numbers(), (all) => all.sort((a, b) => a - b)[Math.max(1, Math.ceil((series.percent / 100) * all.length)) - 1]);
    case 'last': return none(documents, (all) => all.map(at).reduce((a, b) => Math.max(a, b)));
    case 'first': return none(documents, (all) => all.map(at).reduce((a, b) => Math.min(a, b)));
    default: throw new Error(`no truth for ${series.metric}`);
  }
}

const counted = (series) => ['count', 'unique', 'sum'].includes(series.metric);

function grouped(documents, fields) {
  const groups = new Map();
  for (const document of documents) {
    let keys = [[]];
    for (const field of fields) keys = keys.flatMap((key) => valuesOf(document, field).map((value) => [...key, value]));
    for (const key of keys) {
      const name = key.join('\u0000');
      if (!groups.has(name)) groups.set(name, { key, documents: [] });
      groups.get(name).documents.push(document);
    }
  }
  return [...groups.values()];
}

const bytes = (text) => Buffer.from(text);
const byKey = (one, other) => {
  for (let index = 0; index < one.key.length; index += 1) {
    const order = Buffer.compare(bytes(one.key[index]), bytes(other.key[index]));
    if (order) return order;
  }
  return 0;
};
const ranked = (groups) => groups.sort((one, other) => (other.value === '' ? -Infinity : other.value) - (one.value === '' ? -Infinity : one.value) || byKey(one, other));

/** In the pieces of time that the page chose, whose beginnings `starts` are. */
function pieces(documents, starts) {
  const length = starts.length > 1 ? starts[1] - starts[0] : Infinity;
  const found = starts.map(() => []);
  for (const document of documents) {
    const index = starts.length > 1 ? Math.floor((at(document) - starts[0]) / length) : 0;
    if (!found[index]) throw new Error(`${document['@timestamp']} lies in no piece of time`);
    found[index].push(document);
  }
  return found;
}

const rankedAt = (list, percent) => list.sort((a, b) => a - b)[Math.max(1, Math.ceil((percent / 100) * list.length)) - 1];

/** Of pieces that lie partly outside of what is looked at, and where there are fewer than four others, nothing is said. */
function band(all, starts, length, view) {
  const values = all.map((value, index) => (view.from <= starts[index] && starts[index] + length <= view.to ? value : null));
  const step = DAY % length === 0 ? DAY / length : 1;
  return values.map((_, index) => {
    const others = (every) => values.filter((value, other) => value !== null && other !== index && Math.abs(other - index) % every === 0);
    let usual = others(step);
    if (usual.length < 4) usual = others(1);
    if (values[index] === null || usual.length < 4) return ['', ''];
    const middle = rankedAt([...usual], 50);
    const spread = Math.max(1.4826 * rankedAt(usual.map((one) => Math.abs(one - middle)), 50), Math.sqrt(middle), 1);
    return [Math.max(0, middle - 3 * spread), middle + 3 * spread];
  });
}

/** Whether something that covers so much is looked at. Where that is all documents it has no edge. */
function seen(all, view, covers, length) {
  const times = all.map(at);
  const whole = view.from <= times.reduce((a, b) => Math.min(a, b)) && times.reduce((a, b) => Math.max(a, b)) < view.to;
  return whole || (covers < view.to && covers + length > view.from);
}

// The worst first.
const STATES = ['given up', 'rows lack', 'no file', 'too many', 'late', 'no receipt', 'complete'];
const worst = (states) => states.toSorted((one, other) => STATES.indexOf(one) - STATES.indexOf(other))[0];

/** All files. What is looked at only chooses which are listed, and a piece of time which are seen: what is in them does not depend on it. */
function filesOf(all, dashboard, panel, view) {
  const { files } = panel;
  const about = all.filter((document) => search(dashboard.filter)(document) && search(panel.filter)(document));
  const receipt = search(files.receipts);
  const by = (documents) => new Map(grouped(documents, [files.id]).map((group) => [group.key[0], group.documents]));
  const events = by(about.filter((document) => !receipt(document)));
  const receipts = by(about.filter(receipt));
  const listed = by(about.filter((document) => view.searches.every((one) => search(one)(document))));
  const value = (documents, field) => documents?.flatMap((document) => valuesOf(document, field))[0];
  const most = (documents, field) => Math.max(0, ...documents.flatMap((document) => numbersOf(document, field)));
  const found = [...new Set([...events.keys(), ...receipts.keys()])].map((id) => {
    const [own, told] = [events.get(id) ?? [], receipts.get(id)];
    const covers = Date.parse(value(own, files.covers) ?? value(told, files.covers));
    const here = new Set(own.map((document) => document.event.id)).size;
    const again = own.length - here;
    const rows = told ? most(told, files.rows) - most(told, files.left_out) : '';
    const length = (value(own, files.interval) ?? value(told, files.interval)) === 'Daily' ? DAY : HOUR;
    const late = Date.parse(value(own, files.made) ?? value(told, files.made)) - covers - length;
    const succeeded = told?.some((document) => document.event.outcome === 'success');
    const state = told && !succeeded ? 'given up' : told && here < rows ? 'rows lack' : (told && here > rows) || again ? 'too many'
      : late > files.late_after * HOUR ? 'late' : told ? 'complete' : 'no receipt';
    return { id, own: value(own, files.group), named: value(told, files.receipt_group), covers, length, here, again, rows, late, state, listed: listed.has(id), seen: seen(all, view, covers, length) };
  });
  const names = new Map(found.filter(({ own, named }) => own && named).map(({ own, named }) => [own, named]));
  return found.map((file) => ({ ...file, kind: file.named ?? names.get(file.own) ?? file.own }));
}

/** Which hours of which kinds of file have what, as `kind start state number` each, and how many files there are of each state. */
export function hours(all, dashboard, panel, view) {
  const files = filesOf(all, dashboard, panel, view);
  const [first, last] = [Math.min(...files.map(({ covers }) => covers)), Math.max(...files.map(({ covers, length }) => covers + length))];
  const cells = [];
  for (const kind of new Set(files.filter(({ listed }) => listed).map((file) => file.kind))) {
    const own = files.filter((file) => file.kind === kind);
    const length = Math.min(...own.map((file) => file.length));
    let start = Math.min(...own.map(({ covers }) => covers));
    while (start - length >= first) start -= length;
    for (; start + length <= last; start += length) {
      const here = own.filter(({ covers }) => covers === start).map(({ state }) => state);
      const covered = own.some((file) => file.covers < start + length && file.covers + file.length > start);
      if ((here.length || !covered) && seen(all, view, start, length)) cells.push([kind, start, here.length ? worst(here) : 'no file', here.length].join(' '));
    }
  }
  const states = [...files.filter((file) => file.listed && file.seen).map(({ state }) => state), ...cells.filter((cell) => / no file 0$/.test(cell)).map(() => 'no file')];
  return { cells: cells.sort(), summary: STATES.map((state) => [state, states.filter((one) => one === state).length]) };
}

const looksAt = (document, dashboard, panel, view) => [dashboard.filter, panel.filter, ...view.searches].every((one) => search(one)(document)) && at(document) >= view.from && at(document) < view.to;

/** The places of a map: latitude, longitude, and how many documents are there. */
const placesOf = (documents, panel) => ranked(grouped(documents, [`${panel.place}.lat`, `${panel.place}.lon`]).map((group) => ({ ...group, value: group.documents.length })))
  .map((group) => [...group.key, group.value]);

/** The names of the columns that the CSV of a panel must have. */
export function head(all, dashboard, panel, view) {
  const titles = panel.series.map(({ title }) => title);
  switch (panel.kind) {
    case 'number': return [panel.title];
    case 'time': {
      if (!panel.split) return ['time (UTC)', ...titles, ...(panel.band ? ['usual from', 'usual to'] : [])];
      const looked = (document) => looksAt(document, dashboard, panel, view);
      const order = ranked(grouped(all.filter(looked), [panel.split]).map((group) => ({ ...group, value: group.documents.length }))).map(({ key }) => key[0]);
      return ['time (UTC)', ...order.slice(0, 10), ...(order.length > 10 && panel.series[0].metric === 'count' ? [`${order.length - 10} others`] : [])];
    }
    case 'top': return [panel.field, ...(panel.split ? [panel.split] : []), titles[0]];
    case 'table': return [...panel.by, ...titles];
    case 'map': return [panel.country, ...(placesOf(all.filter((document) => looksAt(document, dashboard, panel, view)), panel).length ? ['latitude', 'longitude'] : []), 'events'];
    case 'heat': return ['time (UTC)', panel.field, 'events'];
    case 'first': return ['first (UTC)', panel.by[0], panel.field, 'events since'];
    case 'events': return ['time (UTC)', ...panel.columns];
    case 'beside': return ['time (UTC)', ...panel.columns, panel.by[0], 'before (UTC)', ...panel.other_columns.map((column) => `before: ${column}`)];
    case 'files': return ['file', 'kind', 'covers from (UTC)', 'state', 'events here', 'came again', 'rows by receipt', 'made after'];
    default: throw new Error(`no truth for ${panel.kind}`);
  }
}

/** Rows that the CSV of a panel must have; `shown` are those that it has, of which the pieces of time are taken. */
export function truth(all, dashboard, panel, view, shown) {
  const scope = (document) => search(dashboard.filter)(document) && search(panel.filter)(document);
  const looked = (document) => view.searches.every((one) => search(one)(document));
  const inTime = (document) => at(document) >= view.from && at(document) < view.to;
  const about = all.filter(scope);
  const documents = about.filter((document) => looked(document) && inTime(document));
  const iso = (time) => new Date(time).toISOString();
  const text = (value, series) => (series.unit === 'time' && value !== '' ? iso(value) : value);
  switch (panel.kind) {
    case 'number': {
      const series = panel.series[0];
      const value = metric(series, documents);
      return [[value === '' && counted(series) ? 0 : text(value, series)]];
    }
    case 'time': {
      const starts = shown.map(([start]) => Date.parse(start));
      if (panel.split) {
        const series = panel.series[0];
        const groups = grouped(documents, [panel.split]).map((group) => ({ ...group, value: group.documents.length }));
        const order = ranked(groups);
        const lines = order.slice(0, 10).map((group) => pieces(group.documents, starts).map((of) => {
        const value = metric(series, of);
        return value === '' && counted(series) ? 0 : value;
      }));
        if (order.length > 10 && series.metric === 'count') {
          // What has several of them is one.
          const others = [...new Set(order.slice(10).flatMap((group) => group.documents))];
          lines.push(pieces(others, starts).map((of) => of.length));
        }
        return starts.map((start, index) => [iso(start), ...lines.map((line) => line[index])]);
      }
      const lines = panel.series.map((series) => pieces(documents.filter(search(series.filter ?? '')), starts).map((of) => {
        const value = metric(series, of);
        return value === '' && counted(series) ? 0 : value;
      }));
      const usual = panel.band ? band(lines[0], starts, starts[1] - starts[0], view) : starts.map(() => []);
      return starts.map((start, index) => [iso(start), ...lines.map((line) => line[index]), ...usual[index]]);
    }
    case 'top': {
      const series = panel.series[0];
      if (panel.split) {
        const groups = grouped(documents, [panel.field, panel.split]).map((group) => [...group.key, metric(series, group.documents)]);
        return groups.sort();
      }
      return ranked(grouped(documents, [panel.field]).map((group) => ({ ...group, value: metric(series, group.documents) })))
        .slice(0, panel.size).map((group) => [...group.key, group.value]);
    }
    case 'table': {
      const groups = grouped(documents, panel.by).map((group) => ({ ...group, value: metric(panel.series[0], group.documents) }));
      return ranked(groups.filter((group) => group.value !== '')).slice(0, panel.size)
        .map((group) => [...group.key, ...panel.series.map((series) => text(metric(series, group.documents), series))]);
    }
    case 'map': {
      const rows = ranked(grouped(documents, [panel.country]).map((group) => ({ ...group, value: group.documents.length }))).map((group) => [...group.key, group.value]);
      const told = rows.reduce((sum, [, count]) => sum + count, 0);
      if (documents.length > told) rows.push(['', documents.length - told]);
      const places = placesOf(documents, panel);
      return places.length ? [...rows.map(([country, count]) => [country, '', '', count]), ...places.map((place) => ['', ...place])] : rows;
    }
    case 'heat': {
      const starts = [...new Set(shown.map(([start]) => Date.parse(start)))].sort((a, b) => a - b);
      const length = starts.slice(1).map((start, index) => start - starts[index]).reduce((a, b) => Math.min(a, b), Infinity);
      const groups = ranked(grouped(documents, [panel.field]).map((group) => ({ ...group, value: group.documents.length }))).slice(0, panel.size);
      const rows = [];
      for (const group of groups) {
        const counts = new Map();
        for (const document of group.documents) {
          const start = starts.findLast((one) => one <= at(document)) ?? NaN;
          if (at(document) >= start + length) throw new Error(`${document['@timestamp']} lies in no cell`);
          counts.set(start, (counts.get(start) ?? 0) + 1);
        }
        for (const [start, count] of counts) rows.push([iso(start), ...group.key, count]);
      }
      return rows.sort();
    }
    case 'first': {
      const begun = new Map();
      for (const document of about) {
        for (const who of valuesOf(document, panel.by[0])) {
          if (valuesOf(document, panel.field).length) begun.set(who, Math.min(begun.get(who) ?? Infinity, at(document)));
        }
      }
      return grouped(about, [...panel.by, panel.field])
        .map((group) => ({ ...group, first: Math.min(...group.documents.map(at)) }))
        .filter((group) => group.first > begun.get(group.key[0]))
        .filter((group) => group.documents.some((document) => at(document) === group.first && looked(document) && inTime(document)))
        .sort((one, other) => other.first - one.first || byKey(one, other)).slice(0, 100)
        .map((group) => [iso(group.first), ...group.key, group.documents.length]);
    }
    case 'events': {
      // Of events at the same time the order is that of the files, which is not told here: only their times are compared.
      return documents.map(at).sort((a, b) => b - a).slice(0, 50).map((time) => [iso(time)]);
    }
    case 'beside': {
      const others = all.filter(search(panel.other));
      const by = new Map(grouped(others, panel.by).map((group) => [group.key[0], group.documents.map(at).sort((a, b) => a - b)]));
      // Of events at the same time the one that stands later in the file comes first.
      const order = [...documents.entries()].sort(([one, a], [other, b]) => at(b) - at(a) || other - one);
      return order.slice(0, 200).map(([, document]) => {
        const who = valuesOf(document, panel.by[0])[0];
        const before = by.get(who)?.findLast((time) => time <= at(document));
        return [iso(at(document)), before !== undefined && before >= at(document) - panel.hours * 3600000 ? iso(before) : ''];
      });
    }
    case 'files':
      return filesOf(all, dashboard, panel, view).filter((file) => file.listed && file.seen)
        .map((file) => [file.id, file.kind, iso(file.covers), file.state, file.here, file.again, file.rows, file.late / 1000]).sort();
    default: throw new Error(`no truth for ${panel.kind}`);
  }
}

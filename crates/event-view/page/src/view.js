// What is looked at, as it stands in the address: a copied address shows the same.

import { LATEST } from './format.js';

export const view = { dashboard: '', query: '', filters: [], from: null, to: null };

export function read() {
  const from = new URLSearchParams(location.search);
  const at = (name) => (/^-?\d+$/.test(from.get(name) ?? '') && Math.abs(from.get(name)) <= LATEST ? Number(from.get(name)) : null);
  view.dashboard = from.get('dashboard') ?? '';
  view.query = from.get('q') ?? '';
  view.filters = from.getAll('filter').filter((filter) => filter !== '');
  view.from = at('from');
  view.to = at('to');
}

export function address(changes = {}) {
  const next = { ...view, ...changes };
  const to = new URLSearchParams();
  if (next.dashboard) to.set('dashboard', next.dashboard);
  if (next.query) to.set('q', next.query);
  for (const filter of next.filters) to.append('filter', filter);
  if (next.from !== null) to.set('from', next.from);
  if (next.to !== null) to.set('to', next.to);
  const text = to.toString();
  return text ? `/?${text}` : '/';
}

/** A piece of time that is chosen within what is looked at: no more of it than that. */
export function within([from, to]) {
  const [begin, end] = [Math.max(from, view.from ?? from), Math.min(to, view.to ?? to)];
  return begin < end ? { from: begin, to: end } : { from, to };
}

/** What the server is asked for a panel. */
export function asked(panel, skip) {
  const to = new URLSearchParams({ dashboard: view.dashboard, panel, q: view.query });
  if (view.filters.length) to.set('filters', JSON.stringify(view.filters));
  if (view.from !== null) to.set('from', view.from);
  if (view.to !== null) to.set('to', view.to);
  if (skip) to.set('skip', skip);
  return `/api/panel?${to}`;
}

/** The search for a value of a field: for this very one, as it is in quotes. What else a name of a field might be is in quotes as well. */
export function is(field, value) {
  const quoted = (text) => `"${text.replace(/[\\"]/g, '\\$&')}"`;
  const plain = /^[\p{L}@_][\p{L}\p{N}@_.-]*$/u.test(field) && !/^(and|or|not|_exists_)$/i.test(field);
  return `${plain ? field : quoted(field)}:${quoted(String(value))}`;
}

/** The search for one of several values of a field. */
export const isOneOf = (field, values) => [...new Set(values)].map((value) => is(field, value)).join(' or ');

/** The search for a place on the map, as the server says it: `[lon, lat, count]`, and both as the texts that documents have. */
export function isPlace(field, [, , , lat, lon]) {
  return `${is(`${field}.lat`, lat)} and ${is(`${field}.lon`, lon)}`;
}

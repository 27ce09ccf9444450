// How numbers and times are written. Times are UTC, as in the documents.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const some = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });

export function number(value) {
  if (value === null || value === undefined) return '–';
  return Number.isInteger(value) || Math.abs(value) >= 10000 ? whole.format(value) : some.format(value);
}

function duration(seconds) {
  if (seconds < 0) return `−${duration(-seconds)}`;
  for (const [unit, length] of [['d', 86400], ['h', 3600], ['min', 60]]) {
    if (seconds >= 2 * length || (seconds > 0 && seconds % length === 0)) return `${some.format(seconds / length)} ${unit}`;
  }
  if (seconds >= 1 || seconds === 0) return `${some.format(seconds)} s`;
  return seconds >= 1e-3 ? `${some.format(seconds * 1e3)} ms` : `${some.format(seconds * 1e6)} µs`;
}

export function withUnit(value, unit) {
  if (value === null || value === undefined) return '–';
  switch (unit) {
    case 'percent': return `${some.format(value * 100)} %`;
    case 'ns': return duration(value / 1e9);
    case 'ms': return duration(value / 1e3);
    case 's': return duration(value);
    case 'time': return time(value);
    case 'bytes': {
      let at = 0;
      while (value >= 1024 && at < 4) { value /= 1024; at += 1; }
      return `${some.format(value)} ${['bytes', 'KiB', 'MiB', 'GiB', 'TiB'][at]}`;
    }
    default: return number(value);
  }
}

// In seconds: whole ones of what people count time in.
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000];

/** How far the marks of an axis are from each other, where those of decimal numbers would be no whole ones of the unit. */
export function step(most, unit, marks = 6) {
  if (unit === 'bytes') return most < 1024 ? undefined : 2 ** Math.ceil(Math.log2(most / marks));
  const scale = { ns: 1e9, ms: 1e3, s: 1 }[unit];
  const seconds = most / scale;
  if (!(seconds > 10)) return undefined;
  const longest = STEPS.at(-1);
  return scale * (STEPS.find((one) => seconds / one <= marks) ?? longest * Math.ceil(seconds / marks / longest));
}

/** A time as documents write it. Beyond 275,760 years before or after 1970 there is none. */
export function iso(at) {
  return new Date(Math.min(LATEST, Math.max(-LATEST, at))).toISOString();
}
export const LATEST = 8.64e15;

export function time(at) {
  return iso(at).slice(0, 19).replace('T', ' ');
}

/** The beginning of a piece of time, no longer than needed. */
export function piece(at, interval) {
  const text = iso(at);
  if (interval >= 86400000) return text.slice(0, 10);
  return `${text.slice(5, 10)} ${text.slice(11, interval >= 60000 ? 16 : 19)}`;
}

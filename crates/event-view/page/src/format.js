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
    if (seconds >= 2 * length) return `${some.format(seconds / length)} ${unit}`;
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

export function time(at) {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ');
}

/** The beginning of a piece of time, no longer than needed. */
export function piece(at, interval) {
  const text = new Date(at).toISOString();
  if (interval >= 86400000) return text.slice(0, 10);
  return `${text.slice(5, 10)} ${text.slice(11, interval >= 60000 ? 16 : 19)}`;
}

import { formatBytes, formatDuration } from '../units.js';

const NO_BREAK = '\u00a0';
const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** `24 November 2026`, of the day in UTC, whatever the language of the machine. */
export function day(date: string): string {
  const [year, month, dayOfMonth] = date.slice(0, 10).split('-').map(Number);
  const name = MONTHS[(month ?? 0) - 1];
  return name === undefined ? date : `${dayOfMonth} ${name} ${year}`;
}

/** `8.3 s`, `41 s`, `10 min 41 s`, `2 h 3 min`. */
export function duration(seconds: number): string {
  if (seconds < 59.5) return formatDuration(seconds * 1000);
  const minutes = Math.round(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** `988 MB`, not to be broken. */
export function bytes(n: number): string {
  return formatBytes(n).replace(' ', NO_BREAK);
}

/** `13.8 %`, `0.021 %`, of a share between 0 and 1. */
export function percent(share: number): string {
  const value = 100 * share;
  return `${value === 0 || value >= 0.095 ? value.toFixed(1) : digits(value)}${NO_BREAK}%`;
}

/** `0.0127`, `7.1e-4`: a relative error. */
export function relative(error: number): string {
  return error === 0 ? '0' : error >= 0.00095 ? error.toFixed(4) : error.toExponential(1);
}

/** `0.020`, `4.2e-5`: two digits. */
export function digits(value: number): string {
  return value === 0 ? '0' : value >= 0.001 ? value.toPrecision(2) : value.toExponential(1);
}

/** `18.9 dB`; a weight that is given back exactly has no finite ratio. */
export function decibel(sqnr: number | null): string {
  return sqnr === null ? 'exact' : `${sqnr.toFixed(1)}${NO_BREAK}dB`;
}

/** `26 112`: thousands apart by a thin space that does not break. */
export function whole(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** `1 module`, `168 modules`. */
export function counted(n: number, noun: string): string {
  return `${whole(n)} ${noun}${n === 1 ? '' : 's'}`;
}

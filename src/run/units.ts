/** `988 MB`: decimal units, three digits, as disks and model hubs count. */
export function formatBytes(bytes: number): string {
  return threeDigits(bytes, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']);
}

/** `5.77 M`, `494 M`, `7.62 B`. */
export function formatCount(n: number): string {
  return threeDigits(n, ['', 'k', 'M', 'B', 'T']).trimEnd();
}

/** A whole number in the largest unit that leaves one to three digits before the point. */
function threeDigits(n: number, units: readonly string[]): string {
  let value = n;
  let unit = 0;
  // what would round to 1000 is 1.00 of the next unit
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}

/** `0.4 s`, `41 s`, `10:41`, `2:03:10`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** `0.0073 ± 0.0004`: half the width of the interval in one digit, and the value to the same place; two digits where there is no interval. */
export function formatEstimate(value: number, interval?: { readonly low: number; readonly high: number }): string {
  const half = interval === undefined ? 0 : (interval.high - interval.low) / 2;
  if (!(half > 0)) return value === 0 ? '0' : value.toPrecision(2);
  const digits = Math.max(0, -Math.floor(Math.log10(half)));
  return digits > 6
    ? `${value.toExponential(1)} ± ${half.toExponential(0)}`
    : `${value.toFixed(digits)} ± ${half.toFixed(digits)}`;
}

/** `int4 group 128 symmetric` */
export function formatScheme(args: {
  num_bits: number;
  type: string;
  strategy: string;
  symmetric: boolean;
  group_size: number | null;
  block_structure: readonly number[] | null;
  dynamic: boolean | 'local';
}): string {
  const { num_bits, type, strategy, symmetric, group_size, block_structure, dynamic } = args;
  const size = block_structure
    ? ` ${block_structure.join('x')}`
    : group_size !== null && group_size > 0
      ? ` ${group_size}`
      : '';
  const words = [`${type === 'int' ? 'int' : 'fp'}${num_bits}`, `${strategy}${size}`];
  if (type === 'int') words.push(symmetric ? 'symmetric' : 'asymmetric');
  if (dynamic !== false) words.push('dynamic');
  return words.join(' ');
}

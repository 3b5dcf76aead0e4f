const UNITS = ["B", "K", "M", "G", "T", "P", "E"];

/** Bytes in three or four digits, units of 1024: 4.00 K, 63.5 M, 1.25 G. */
export function bytes(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  const digits = unit === 0 ? 0 : size < 10 ? 2 : size < 100 ? 1 : 0;
  return (value < 0 ? "−" : "") + size.toFixed(digits) + " " + UNITS[unit];
}

/** A limit; -1 is none. */
export function limit(value) {
  return value < 0 ? "max" : bytes(value);
}

/** A limit as it is written to a file: exact, with a suffix where nothing is lost. */
export function limitText(value) {
  if (value < 0) return "max";
  let unit = 0;
  let size = value;
  while (size !== 0 && size % 1024 === 0 && unit < 4) {
    size /= 1024;
    unit++;
  }
  return size + (unit === 0 ? "" : UNITS[unit]);
}

const WHOLE = new Intl.NumberFormat("en-US");

export function count(value) {
  return WHOLE.format(value).replaceAll(",", "\u202f");
}

export function percent(share) {
  if (!Number.isFinite(share)) return "–";
  const value = share * 100;
  return (value !== 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0)) + " %";
}

/** An average of pressure, in percent already. */
export function pressure(value) {
  return value === 0 ? "0" : value.toFixed(value < 10 ? 2 : 1);
}

export function rate(perSecond) {
  if (perSecond === 0) return "";
  return (perSecond > 0 ? "+" : "") + bytes(perSecond);
}

export function seconds(value) {
  if (value < 1) return Math.round(value * 1000) + " ms";
  if (value < 120) return value.toFixed(value < 10 ? 1 : 0) + " s";
  if (value < 7200) return Math.round(value / 60) + " min";
  if (value < 172800) return Math.round(value / 3600) + " h";
  return Math.round(value / 86400) + " d";
}

export function clock(millis) {
  return new Date(millis).toTimeString().slice(0, 8);
}

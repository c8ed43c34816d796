import { crc32, deflateSync } from 'node:zlib';
import { encodeQR } from 'qr';

/** Light modules around the symbol that the standard asks for; readers fail without them. */
const QUIET_ZONE = 4;
/** Wide enough to stay sharp on a phone's screen and on paper. */
const PNG_WIDTH_MIN = 400;
/** Dark on light, also where the page is dark: many readers cannot read an inverted symbol. */
const DARK = '#1a1208';
const LIGHT = '#fff';

/** A QR code as a small SVG without outside references. Throws when the text does not fit. */
export function qrSvg(text: string): string {
  const rows = matrix(text);
  const path = rows.map((row, y) => runs(row, y)).join('');
  const size = rows.length;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}"` +
    ` shape-rendering="crispEdges"><rect width="${size}" height="${size}" fill="${LIGHT}"/>` +
    `<path stroke="${DARK}" d="${path}"/></svg>`
  );
}

/** A QR code as a black and white PNG, 400 pixels wide or a little more. Throws as qrSvg does. */
export function qrPng(text: string): Buffer {
  const rows = matrix(text);
  // whole pixels per module: a scaled edge is grey, and grey is what readers stumble over
  const scale = Math.ceil(PNG_WIDTH_MIN / rows.length);
  const width = rows.length * scale;
  const lines = rows.flatMap((row) => new Array<Buffer>(scale).fill(scanline(row, scale)));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(width, 4);
  header[8] = 1; // one bit per pixel, greyscale; compression, filter and interlace stay 0
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(lines), { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/**
 * A QR code for a terminal, one string per line: two rows of modules in a line of half blocks, in
 * black on white whatever the terminal's own colours are. Throws as qrSvg does.
 */
export function qrTerminal(text: string): string[] {
  const rows = matrix(text);
  const lines: string[] = [];
  for (let y = 0; y < rows.length; y += 2) {
    const [upper = [], lower = []] = [rows[y], rows[y + 1]];
    const cells = upper.map((dark, x) => HALF_BLOCKS[(dark ? 2 : 0) + (lower[x] ? 1 : 0)]);
    lines.push(`\x1b[38;5;16;48;5;231m${cells.join('')}\x1b[0m`);
  }
  return lines;
}

/** Light, dark below, dark above, dark. */
const HALF_BLOCKS = [' ', '\u2584', '\u2580', '\u2588'];

/** Rows of modules with the quiet zone; true is dark. Level M survives a scratch or a glare. */
function matrix(text: string): boolean[][] {
  return encodeQR(text, 'raw', { ecc: 'medium', border: QUIET_ZONE });
}

/** The dark runs of a row, drawn as a line through the middle of its modules. */
function runs(row: boolean[], y: number): string {
  let path = '';
  let drawnTo: number | undefined;
  for (let x = 0; x < row.length; x += 1) {
    if (!row[x]) continue;
    const start = x;
    while (row[x + 1]) x += 1;
    path += drawnTo === undefined ? `M${start} ${y}.5` : `m${start - drawnTo} 0`;
    path += `h${x + 1 - start}`;
    drawnTo = x + 1;
  }
  return path;
}

/** One line of pixels: the filter byte (none), then eight pixels to a byte, 1 is white. */
function scanline(row: boolean[], scale: number): Buffer {
  const width = row.length * scale;
  const line = Buffer.alloc(1 + Math.ceil(width / 8));
  for (let x = 0; x < width; x += 1) {
    if (row[Math.floor(x / scale)]) continue;
    const at = 1 + (x >> 3);
    line[at] = (line[at] as number) | (0x80 >> (x & 7));
  }
  return line;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

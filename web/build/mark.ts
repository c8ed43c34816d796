import { crc32, deflateSync } from 'node:zlib';

/**
 * The mark as files. Phones want it as pixels, and drawing it here keeps pictures out of the
 * repository. All lengths are in units of the mark's own grid of 64 × 64.
 */
const GRID = 64;
const GOLD = [0xff, 0xc5, 0x3d] as const;
const INK = [0x24, 0x1a, 0x0e] as const;
const CORNER = 16;
const DOTS = { y: 14.5, xs: [24, 40], radius: 4.25 };
const CUP = { left: 18.5, right: 45.5, top: 26, centre: 38.5, width: 7.5 };

/** The mark as SVG. */
export const MARK_SVG =
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${GRID} ${GRID}">` +
  `<rect width="${GRID}" height="${GRID}" rx="${CORNER}" fill="#ffc53d"/>` +
  '<g fill="#241a0e"><circle cx="24" cy="14.5" r="4.25"/><circle cx="40" cy="14.5" r="4.25"/></g>' +
  '<path d="M18.5 26v12.5a13.5 13.5 0 0 0 27 0V26" fill="none" stroke="#241a0e"' +
  ' stroke-width="7.5" stroke-linecap="round"/></svg>';

/**
 * The mark as a PNG of `size` pixels. `isFull` fills the square to its corners and draws the sign
 * at 70 %, within the circle that every phone leaves of a maskable icon.
 */
export function markPng(size: number, isFull: boolean): Buffer {
  const scale = (size / GRID) * (isFull ? 0.7 : 1);
  const offset = (size - GRID * scale) / 2;
  const rows = Buffer.alloc(size * (1 + size * 4)); // each line begins with its filter, none
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const u = (x + 0.5 - offset) / scale;
      const v = (y + 0.5 - offset) / scale;
      // a pixel is covered by as much as its middle lies inside the edge
      const ground = isFull ? 1 : cover(-squareDistance(u, v) * scale);
      const sign = cover(-signDistance(u, v) * scale);
      const at = y * (1 + size * 4) + 1 + x * 4;
      for (let channel = 0; channel < 3; channel += 1) {
        const from = GOLD[channel] as number;
        rows[at + channel] = Math.round(from + ((INK[channel] as number) - from) * sign);
      }
      rows[at + 3] = Math.round(ground * 255);
    }
  }
  return png(size, rows);
}

const cover = (inside: number) => Math.min(1, Math.max(0, inside + 0.5));

/** Distance to the rounded square, negative inside; so for the others. */
function squareDistance(u: number, v: number): number {
  const half = GRID / 2;
  const dx = Math.abs(u - half) - (half - CORNER);
  const dy = Math.abs(v - half) - (half - CORNER);
  return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - CORNER;
}

function signDistance(u: number, v: number): number {
  const dots = DOTS.xs.map((x) => Math.hypot(u - x, v - DOTS.y) - DOTS.radius);
  return Math.min(...dots, cupDistance(u, v) - CUP.width / 2);
}

/** Distance to the middle of the stroke: two legs, and half a circle below their ends. */
function cupDistance(u: number, v: number): number {
  const radius = (CUP.right - CUP.left) / 2;
  if (v > CUP.centre) {
    return Math.abs(Math.hypot(u - (CUP.left + radius), v - CUP.centre) - radius);
  }
  const nearest = u < GRID / 2 ? CUP.left : CUP.right;
  return Math.hypot(u - nearest, Math.min(0, v - CUP.top));
}

function png(size: number, rows: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header[8] = 8; // bits per channel
  header[9] = 6; // red, green, blue, alpha
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

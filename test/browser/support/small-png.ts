/** Makes screenshots small enough for a repository: at most 256 colours, chosen by median cut. */

import { crc32, deflateSync } from 'node:zlib';
import { readPixels } from './png.ts';

const COLOURS_MAX = 256;

interface Colour {
  red: number;
  green: number;
  blue: number;
  /** pixels that have it */
  count: number;
}

/** The same picture with at most 256 colours, as an indexed PNG. */
export function smallPng(file: Buffer): Buffer {
  const { width, height, channels, bytes } = readPixels(file);
  if (channels < 3) return file;
  const counts = new Map<number, number>();
  const pixels = new Uint32Array(width * height);
  for (let i = 0; i < pixels.length; i += 1) {
    const at = i * channels;
    const [red = 0, green = 0, blue = 0] = bytes.subarray(at, at + 3);
    const colour = (red << 16) | (green << 8) | blue;
    pixels[i] = colour;
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const boxes = cut([...counts].map(([value, count]) => ({ ...split(value), count })));
  const index = new Map<number, number>();
  for (const [i, box] of boxes.entries()) {
    for (const { red, green, blue } of box) index.set((red << 16) | (green << 8) | blue, i);
  }
  const lines = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      lines[y * (width + 1) + 1 + x] = index.get(pixels[y * width + x] as number) as number;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(boxes.flatMap(meanOf))),
    chunk('IDAT', deflateSync(lines, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function split(value: number) {
  return { red: value >> 16, green: (value >> 8) & 255, blue: value & 255 };
}

/** Cuts the box whose colours are furthest apart, weighted by their pixels, until there are 256. */
function cut(colours: Colour[]): Colour[][] {
  const boxes = [measured(colours)];
  while (boxes.length < COLOURS_MAX) {
    const widest = boxes.reduce((one, other) => (other.weight > one.weight ? other : one));
    if (widest.weight === 0) break;
    const { axis } = widest;
    const sorted = widest.colours.sort((a, b) => a[axis] - b[axis]);
    const middle = (sorted[0]?.[axis] as number) + widest.span / 2;
    const at = sorted.findIndex((colour) => colour[axis] > middle);
    boxes.splice(boxes.indexOf(widest), 1, measured(sorted.slice(0, at)));
    boxes.push(measured(sorted.slice(at)));
  }
  return boxes.map((box) => box.colours);
}

function measured(colours: Colour[]) {
  const spans = (['red', 'green', 'blue'] as const).map((axis) => {
    const values = colours.map((colour) => colour[axis]);
    const [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [255, 0]);
    return { axis, span: high - low };
  });
  const { axis, span } = spans.reduce((one, other) => (other.span > one.span ? other : one));
  const pixels = colours.reduce((sum, { count }) => sum + count, 0);
  return { colours, axis, span, weight: colours.length > 1 ? span * Math.sqrt(pixels) : 0 };
}

function meanOf(colours: Colour[]): number[] {
  const pixels = colours.reduce((sum, { count }) => sum + count, 0);
  return (['red', 'green', 'blue'] as const).map((axis) =>
    Math.round(colours.reduce((sum, colour) => sum + colour[axis] * colour.count, 0) / pixels),
  );
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

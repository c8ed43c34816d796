/** Reads PNG files as browsers write them, for pictures that go on to a camera. */

import { inflateSync } from 'node:zlib';

/** A picture as cameras keep it: a byte of brightness per pixel, row by row, 0 is black. */
export interface Picture {
  width: number;
  height: number;
  luma: Uint8Array;
  /** how blue and how red each pixel is, 128 is grey; left out when all of it is grey */
  blue?: Uint8Array;
  red?: Uint8Array;
}

const SIGNATURE = '89504e470d0a1a0a';
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 4: 2, 6: 4 };

/** The pixels of a PNG: `channels` bytes each (1 grey, 2 with alpha, 3 RGB, 4 with alpha). */
export interface Pixels {
  width: number;
  height: number;
  channels: number;
  bytes: Uint8Array;
}

/** A PNG as a camera sees it: BT.601, alpha ignored. Throws as `readPixels` does. */
export function readPng(file: Buffer): Picture {
  const { width, height, channels, bytes } = readPixels(file);
  const plane = (weights: readonly number[], middle: number) => {
    const values = new Uint8Array(width * height);
    for (let i = 0; i < values.length; i += 1) {
      let sum = middle;
      for (let k = 0; k < 3; k += 1) {
        // grey ones have the same for all three
        sum += (bytes[i * channels + (channels < 3 ? 0 : k)] as number) * (weights[k] as number);
      }
      values[i] = Math.max(0, Math.min(255, sum));
    }
    return values;
  };
  return {
    width,
    height,
    luma: plane([0.299, 0.587, 0.114], 0),
    blue: plane([-0.169, -0.331, 0.5], 128),
    red: plane([0.5, -0.419, -0.081], 128),
  };
}

/** An 8-bit PNG without a palette, which is what a screenshot is. Throws for any other. */
export function readPixels(file: Buffer): Pixels {
  if (file.subarray(0, 8).toString('hex') !== SIGNATURE) throw new Error('not a PNG');
  const data: Buffer[] = [];
  let width = 0;
  let height = 0;
  let channels = 0;
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') {
      width = body.readUInt32BE(0);
      height = body.readUInt32BE(4);
      channels = CHANNELS[body[9] as number] ?? 0;
      if (body[8] !== 8 || channels === 0 || body[12] !== 0) throw new Error('this kind of PNG');
    }
    if (type === 'IDAT') data.push(body);
    at += length + 12;
  }
  const bytes = unfilter(inflateSync(Buffer.concat(data)), width * channels, height, channels);
  return { width, height, channels, bytes };
}

/** Undoes the five filters of PNG, line by line; `step` is the bytes of a pixel. */
function unfilter(lines: Buffer, stride: number, height: number, step: number): Uint8Array {
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y += 1) {
    const filter = lines[y * (stride + 1)];
    for (let x = 0; x < stride; x += 1) {
      const at = y * stride + x;
      const raw = lines[y * (stride + 1) + 1 + x] as number;
      const left = x >= step ? (out[at - step] as number) : 0;
      const up = y > 0 ? (out[at - stride] as number) : 0;
      const corner = x >= step && y > 0 ? (out[at - stride - step] as number) : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = up;
      else if (filter === 3) guess = (left + up) >> 1;
      else if (filter === 4) guess = paeth(left, up, corner);
      out[at] = raw + guess;
    }
  }
  return out;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

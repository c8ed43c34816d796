/** The fake camera: a Y4M file that Chromium plays, and that a test may change while it plays. */

import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeQR } from 'qr';
import { type Picture, readPng } from './png.ts';

const WIDTH = 1280;
const HEIGHT = 720;
const FRAMES_PER_SECOND = 15;
/** What is behind a code: the grey of a table, not pure white. */
const GROUND = 205;
const DARK = 16;
const LIGHT = 235;
const HEADER = `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${FRAMES_PER_SECOND}:1 Ip A1:1 C420jpeg\n`;
/** The file loops, so one frame would do; two, because a player may look ahead. */
const FRAMES = 2;

/** One frame as the file keeps it: colour has half the width and half the height. */
interface Frame {
  luma: Uint8Array;
  blue: Uint8Array;
  red: Uint8Array;
}

export interface Camera {
  /** for `--use-file-for-fake-video-capture` */
  file: string;
  /** nothing but the table */
  showNothing(): void;
  /** a printed code; `size` in pixels of 720 */
  showCode(text: string, size?: number): void;
  /** two printed codes beside each other */
  showCodes(left: string, right: string): void;
  /** somebody's phone held before the camera: `screenshot` is a PNG of its whole screen */
  showScreen(screenshot: Buffer): void;
  close(): void;
}

/**
 * A camera of 1280 × 720 that shows an empty table. Chromium reads the file frame by frame while it
 * plays, so what is shown changes within a frame or two, as if something were put before the lens.
 */
export function openCamera(): Camera {
  const folder = mkdtempSync(join(tmpdir(), 'lumis-camera-'));
  const file = join(folder, 'camera.y4m');
  const handle = openSync(file, 'w');
  writeSync(handle, HEADER, 0);
  const frame = Buffer.concat([
    Buffer.from('FRAME\n'),
    Buffer.alloc(WIDTH * HEIGHT),
    Buffer.alloc((WIDTH * HEIGHT) / 2),
  ]);
  const show = ({ luma, blue, red }: Frame) => {
    frame.set(luma, 6);
    frame.set(blue, 6 + luma.length);
    frame.set(red, 6 + luma.length + blue.length);
    for (let i = 0; i < FRAMES; i += 1) {
      writeSync(handle, frame, 0, frame.length, HEADER.length + i * frame.length);
    }
  };
  const camera: Camera = {
    file,
    showNothing: () => show(table()),
    showCode: (text, size = 420) => show(put(table(), codePicture(text), size, 0.5)),
    showCodes: (left, right) =>
      show(put(put(table(), codePicture(left), 420, 0.25), codePicture(right), 420, 0.75)),
    showScreen: (screenshot) => show(put(table(), dimmed(readPng(screenshot)), HEIGHT - 20, 0.5)),
    close: () => {
      closeSync(handle);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  camera.showNothing();
  return camera;
}

function table(): Frame {
  return {
    luma: new Uint8Array(WIDTH * HEIGHT).fill(GROUND),
    blue: new Uint8Array((WIDTH * HEIGHT) / 4).fill(120),
    red: new Uint8Array((WIDTH * HEIGHT) / 4).fill(132),
  };
}

/** A QR code with its quiet zone, one pixel per module. */
function codePicture(text: string): Picture {
  const rows = encodeQR(text, 'raw', { ecc: 'medium', border: 4 });
  const luma = Uint8Array.from(rows.flat(), (isDark) => (isDark ? DARK : LIGHT));
  return { width: rows.length, height: rows.length, luma };
}

/** A screen is neither as black nor as white as its pixels say. */
function dimmed({ luma, ...size }: Picture): Picture {
  return { ...size, luma: luma.map((value) => 28 + value * 0.78) };
}

/** Draws a picture `height` pixels high on the frame, its middle at `across` of the width. */
function put(frame: Frame, from: Picture, height: number, across: number): Frame {
  const width = Math.min(WIDTH, Math.round((from.width * height) / from.height));
  const left = Math.max(0, Math.round(WIDTH * across - width / 2));
  const box = { left, top: Math.round((HEIGHT - height) / 2), width, height };
  draw(frame.luma, WIDTH, from, from.luma, box);
  const half = { left: left >> 1, top: box.top >> 1, width: width >> 1, height: height >> 1 };
  const grey = new Uint8Array(from.luma.length).fill(128);
  draw(frame.blue, WIDTH / 2, from, from.blue ?? grey, half);
  draw(frame.red, WIDTH / 2, from, from.red ?? grey, half);
  return frame;
}

/** Smaller than it is: each pixel is the mean of those it covers, as a lens does it. */
function draw(
  to: Uint8Array,
  stride: number,
  size: { width: number; height: number },
  from: Uint8Array,
  box: { left: number; top: number; width: number; height: number },
): void {
  const scale = size.height / box.height;
  for (let y = 0; y < box.height; y += 1) {
    for (let x = 0; x < box.width && box.left + x < stride; x += 1) {
      const value = mean(from, size, x * scale, y * scale, scale);
      to[(box.top + y) * stride + box.left + x] = value;
    }
  }
}

function mean(
  from: Uint8Array,
  { width, height }: { width: number; height: number },
  x: number,
  y: number,
  scale: number,
): number {
  const x0 = Math.min(width - 1, Math.floor(x));
  const y0 = Math.min(height - 1, Math.floor(y));
  const x1 = Math.min(width, Math.max(x0 + 1, Math.floor(x + scale)));
  const y1 = Math.min(height, Math.max(y0 + 1, Math.floor(y + scale)));
  let sum = 0;
  for (let row = y0; row < y1; row += 1) {
    for (let column = x0; column < x1; column += 1) sum += from[row * width + column] as number;
  }
  return sum / ((x1 - x0) * (y1 - y0));
}

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { encodeQR } from 'qr';
import { decodeQR } from 'qr/decode.js';
import { landingToken } from '../src/core/ids.ts';
import { qrPng, qrSvg } from '../src/core/qr.ts';

const URL_TEXT = `https://puntos.example/r/${landingToken()}`;
const TEXTS = [
  'A',
  'LUMS-7K4M-92QX-H3TD-0PVB',
  URL_TEXT,
  `http://localhost:8000/r/${landingToken()}`,
  'https://example/año/ñandú/咖啡',
  `https://example/${'x'.repeat(400)}`,
  `https://example/${'y'.repeat(1500)}`,
];
const QUIET_ZONE = 4;

test('a PNG holds the text, and only 0 and 1', () => {
  for (const text of TEXTS) {
    const { width, height, pixels } = readPng(qrPng(text));
    const data = new Uint8Array(pixels.length * 4);
    pixels.forEach((light, index) => {
      data.fill(light ? 255 : 0, index * 4, index * 4 + 3);
      data[index * 4 + 3] = 255;
    });
    assert.equal(decodeQR({ width, height, data }, { timeLimit: 5000 }), text);
  }
});

test('a PNG is 400 pixels wide or a little more, in whole pixels per module', () => {
  for (const text of TEXTS) {
    const matrix = encodeQR(text, 'raw', { ecc: 'medium', border: QUIET_ZONE });
    const { width, height, pixels } = readPng(qrPng(text));
    const scale = width / matrix.length;
    assert.equal(width, height);
    assert.ok(width >= 400 && width < 400 + matrix.length, `${width}`);
    assert.ok(Number.isInteger(scale), `${width} pixels for ${matrix.length} modules`);
    pixels.forEach((light, index) => {
      const x = Math.floor((index % width) / scale);
      const y = Math.floor(Math.floor(index / width) / scale);
      if (light === matrix[y]?.[x]) assert.fail(`pixel ${index} of ${text}`);
    });
  }
});

test('four light modules surround the symbol, no more and no less', () => {
  for (const text of TEXTS) {
    const { width, pixels } = readPng(qrPng(text));
    const scale = width / encodeQR(text, 'raw', { ecc: 'medium', border: QUIET_ZONE }).length;
    const dark = pixels.flatMap((light, index) => (light ? [] : [index]));
    const columns = dark.map((index) => index % width);
    const rows = dark.map((index) => Math.floor(index / width));
    const edges = [
      columns.reduce((a, b) => Math.min(a, b)),
      width - 1 - columns.reduce((a, b) => Math.max(a, b)),
      rows.reduce((a, b) => Math.min(a, b)),
    ];
    assert.deepEqual(edges, [QUIET_ZONE * scale, QUIET_ZONE * scale, QUIET_ZONE * scale]);
  }
});

test('an SVG draws exactly the modules of the matrix, dark on light', () => {
  for (const text of TEXTS) {
    const matrix = encodeQR(text, 'raw', { ecc: 'medium', border: QUIET_ZONE });
    const svg = qrSvg(text);
    const [, size] = /viewBox="0 0 (\d+) \1" shape-rendering="crispEdges"/.exec(svg) ?? [];
    assert.equal(Number(size), matrix.length);
    assert.deepEqual(readSvg(svg, matrix.length), matrix);
    assert.match(svg, /<rect [^>]*fill="#fff"\/><path stroke="#1a1208"/);
    assert.doesNotMatch(svg.replace('http://www.w3.org/2000/svg', ''), /http|href|url\(|style|<!/);
  }
  assert.ok(qrSvg(URL_TEXT).length < 6000, 'compact');
});

test('a text that no symbol can hold is refused', () => {
  assert.throws(() => qrPng('x'.repeat(3000)));
  assert.throws(() => qrSvg('x'.repeat(3000)));
});

const zbarimg = spawnSync('zbarimg', ['--version']).status === 0;

test('another reader agrees', { skip: !zbarimg && 'zbarimg is not installed' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'lumis-qr-'));
  try {
    for (const text of TEXTS.slice(0, 4)) {
      const file = join(folder, 'qr.png');
      writeFileSync(file, qrPng(text));
      const { stdout } = spawnSync('zbarimg', ['--quiet', '--raw', file], { encoding: 'utf8' });
      assert.equal(stdout.trim(), text);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Reads what a strict reader would: 1-bit greyscale, checked sums, no filters. True is light. */
function readPng(png: Buffer): { width: number; height: number; pixels: boolean[] } {
  assert.equal(png.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n');
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const end = at + 8 + length;
    assert.equal(png.readUInt32BE(end), crc(png.subarray(at + 4, end)));
    chunks.set(png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, end));
    at = end + 4;
  }
  assert.deepEqual([...chunks.keys()], ['IHDR', 'IDAT', 'IEND']);
  const header = chunks.get('IHDR') as Buffer;
  assert.deepEqual([...header.subarray(8)], [1, 0, 0, 0, 0]);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const lines = inflateSync(chunks.get('IDAT') as Buffer);
  const stride = 1 + Math.ceil(width / 8);
  assert.equal(lines.length, stride * height);
  const pixels: boolean[] = [];
  for (let y = 0; y < height; y += 1) {
    assert.equal(lines[y * stride], 0);
    for (let x = 0; x < width; x += 1) {
      const byte = lines[y * stride + 1 + Math.floor(x / 8)] as number;
      pixels.push(((byte >> (7 - (x % 8))) & 1) === 1);
    }
  }
  return { width, height, pixels };
}

/** CRC-32 of the PNG standard, bit by bit: the writer's own must not be its judge. */
function crc(bytes: Buffer): number {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit += 1) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  }
  return (rest ^ 0xffffffff) >>> 0;
}

/** Follows the one path of an SVG; a module drawn twice fails. */
function readSvg(svg: string, size: number): boolean[][] {
  const matrix = Array.from({ length: size }, () => new Array<boolean>(size).fill(false));
  const [, path = ''] = /<path [^>]*d="([^"]*)"/.exec(svg) ?? [];
  let [x, y] = [0, 0];
  for (const [, command, one, two] of path.matchAll(/([Mmh])(\d+)(?: (\d+)(?:\.5)?)?/g)) {
    if (command === 'M') [x, y] = [Number(one), Number(two)];
    else if (command === 'm') x += Number(one);
    else {
      for (const end = x + Number(one); x < end; x += 1) {
        const row = matrix[y] as boolean[];
        assert.equal(row[x], false);
        row[x] = true;
      }
    }
  }
  return matrix;
}

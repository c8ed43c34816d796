import { encodeQR } from 'qr';
import { useMemo } from 'react';

/** Light modules around the symbol that the standard asks for; readers fail without them. */
const QUIET_ZONE = 4;
/** Dark on white, also where the page is dark: many readers cannot read an inverted symbol. */
const DARK = '#1a1208';

/** A QR as SVG, with its quiet zone, level M: it survives a scratch or a glare. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => draw(text), [text]);
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${size} ${size}`}
      shape-rendering="crispEdges"
      role="img"
      aria-label={label}
    >
      <rect width={size} height={size} fill="#fff" />
      <path stroke={DARK} d={path} />
    </svg>
  );
}

/** The dark runs of each row, drawn as lines through the middle of their modules. */
function draw(text: string): { size: number; path: string } {
  const rows = encodeQR(text, 'raw', { ecc: 'medium', border: QUIET_ZONE });
  const path = rows
    .map((row, y) => {
      let line = '';
      for (let x = 0; x < row.length; x += 1) {
        if (!row[x]) continue;
        const start = x;
        while (row[x + 1]) x += 1;
        line += `M${start} ${y}.5h${x + 1 - start}`;
      }
      return line;
    })
    .join('');
  return { size: rows.length, path };
}

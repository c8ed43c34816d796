import { Line } from '../../shared/line.tsx';

/** Signs for what offers are about, on the same grid and stroke as the other icons. */
const PATHS: Record<string, string> = {
  food_drink:
    'M5 9h11v6a5 5 0 0 1-5 5h-1a5 5 0 0 1-5-5zM16 10.5h2a2.5 2.5 0 0 1 0 5h-2M8.5 3v2.5M12.5 3v2.5',
  entertainment:
    'M3 7h18v3.5a1.8 1.8 0 0 0 0 3.5V17H3v-3a1.8 1.8 0 0 0 0-3.5zM14.5 7v2m0 2.5v1.5m0 2.5V17',
  discount: 'M4 4h8l8.5 8.5-8 8L4 12zM8 8v.01M10 14l4-4',
  books:
    'M12 6.5C10 5 7 4.5 3.5 4.5v13c3.5 0 6.5.5 8.5 2 2-1.5 5-2 8.5-2v-13c-3.5 0-6.5.5-8.5 2v13',
  travel: 'M3 13l18-8-6 16-3.5-6.5z',
  health: 'M12 20C5 15.5 3 12 3 8.8A4.8 4.8 0 0 1 12 6.5a4.8 4.8 0 0 1 9 2.3C21 12 19 15.5 12 20',
  shopping: 'M5 8h14l1 12.5H4zM8.5 10.5V7a3.5 3.5 0 0 1 7 0v3.5',
  other:
    'M4 8h16v4H4zm1.5 4v8.5h13V12M12 8v12.5M12 8C9 8 7.5 6.8 7.5 5.3S10.8 3.4 12 8c1.2-4.6 4.5-4.2 4.5-2.7S15 8 12 8',
};

/** The sign of an offer's category; a gift for those that we do not know. Decoration only. */
export function CategoryIcon({ category, size }: { category: string | null; size: number }) {
  const name = category && Object.hasOwn(PATHS, category) ? category : 'other';
  return <Line path={PATHS[name] ?? ''} size={size} width="1.75" />;
}

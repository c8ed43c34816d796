/** The languages that users read. */
export type Locale = 'es' | 'en';

/** The better of Spanish and English for an Accept-Language header; Spanish when it says neither. */
export function localeOf(header: string | undefined): Locale {
  const wishes = (header ?? '')
    .slice(0, 500)
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.trim().toLowerCase().split(';');
      const quality = parameters.map((p) => /^\s*q=([\d.]+)/.exec(p)?.[1]).find(Boolean);
      return { language: tag.split('-')[0], quality: Number(quality ?? 1) };
    })
    .filter((wish) => (wish.language === 'es' || wish.language === 'en') && wish.quality > 0)
    .sort((a, b) => b.quality - a.quality);
  return wishes[0]?.language === 'en' ? 'en' : 'es';
}

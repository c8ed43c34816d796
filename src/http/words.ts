import type { FailureCode } from '../core/failure.ts';

export type Locale = 'es' | 'en';

/** The sentence for each code, and for each fault of a field that the domain names. */
interface Words {
  titles: Record<FailureCode, string>;
  details: Record<FailureCode, string>;
  fields: Record<string, string>;
}

const es: Words = {
  titles: {
    insufficient_points: 'Lümis insuficientes',
    offer_inactive: 'Oferta inactiva',
    offer_not_started: 'Oferta aún no disponible',
    offer_ended: 'Oferta terminada',
    out_of_stock: 'Agotada',
    limit_member: 'Límite por persona',
    limit_period: 'Límite del período',
    outside_hours: 'Fuera de horario',
    already_redeemed: 'Ya canjeado',
    expired: 'Código vencido',
    cancelled: 'Canje cancelado',
    reversed: 'Canje revertido',
    unknown_code: 'Código desconocido',
    wrong_branch: 'Otra sucursal',
    not_pending: 'El canje no está pendiente',
    unknown_offer: 'Oferta desconocida',
    invalid_request: 'Solicitud no válida',
    unauthorized: 'Sin autorización',
    forbidden: 'Acceso denegado',
    not_found: 'No encontrado',
    idempotency_key_missing: 'Falta Idempotency-Key',
    idempotency_key_reused: 'Idempotency-Key reutilizada',
    idempotency_in_progress: 'Solicitud en curso',
    rate_limited: 'Demasiadas solicitudes',
    overloaded: 'Servicio ocupado',
    internal: 'Error interno',
  },
  details: {
    insufficient_points: 'No te alcanzan los Lümis para esta oferta.',
    offer_inactive: 'Esta oferta no está activa.',
    offer_not_started: 'Esta oferta todavía no empieza.',
    offer_ended: 'Esta oferta ya terminó.',
    out_of_stock: 'Esta oferta se agotó.',
    limit_member: 'Ya canjeaste esta oferta el máximo de veces permitido por persona.',
    limit_period: 'Se alcanzó el máximo de canjes de este período.',
    outside_hours: 'Esta oferta no se puede usar a esta hora.',
    already_redeemed: 'Este código ya se usó. No entregues de nuevo.',
    expired: 'Este código venció. No entregues.',
    cancelled: 'Este canje se canceló. No entregues.',
    reversed: 'Este canje se revirtió. No entregues.',
    unknown_code: 'No conocemos este código. Revísalo y vuelve a intentarlo.',
    wrong_branch: 'Este código vale en otra sucursal.',
    not_pending: 'El canje ya no está pendiente.',
    unknown_offer: 'Esta oferta no existe.',
    invalid_request: 'La solicitud tiene datos que faltan o no son válidos; mira «errors».',
    unauthorized: 'Falta una credencial válida. Inicia sesión o revisa tu clave.',
    forbidden: 'Esta credencial no permite hacer esto.',
    not_found: 'No existe, o no es tuyo.',
    idempotency_key_missing:
      'Esta operación necesita la cabecera Idempotency-Key: una clave nueva por operación, la misma al repetirla.',
    idempotency_key_reused: 'Esta Idempotency-Key ya se usó para otra solicitud; usa una nueva.',
    idempotency_in_progress:
      'La misma solicitud se está procesando; repítela en unos segundos con la misma clave.',
    rate_limited: 'Demasiadas solicitudes; espera lo que dice Retry-After.',
    overloaded:
      'El servicio está ocupado y no sabemos si se hizo; repite la solicitud con la misma clave.',
    internal: 'Algo falló de nuestro lado. Si se repite, dinos el request_id.',
  },
  fields: {
    cursor: 'no es un cursor de esta lista',
    name_taken: 'ya existe un comercio con este nombre',
    unknown_merchant: 'este comercio no existe',
    price_positive: 'una oferta activa necesita un precio mayor que cero',
    window_order: 'debe ser posterior a valid_from',
    text: 'tiene caracteres que no se pueden guardar',
    idempotency_key: 'de 1 a 255 caracteres ASCII imprimibles',
    media_type: 'el contenido debe ser application/json',
    too_large: 'el contenido pasa de 32 kB',
    json: 'el contenido no es JSON válido',
    pending: 'el canje está pendiente; cancélalo en vez de revertirlo',
  },
};

const en: Words = {
  titles: {
    insufficient_points: 'Not enough Lümis',
    offer_inactive: 'Offer inactive',
    offer_not_started: 'Offer not available yet',
    offer_ended: 'Offer ended',
    out_of_stock: 'Out of stock',
    limit_member: 'Limit per person',
    limit_period: 'Limit of the period',
    outside_hours: 'Outside hours',
    already_redeemed: 'Already redeemed',
    expired: 'Code expired',
    cancelled: 'Redemption cancelled',
    reversed: 'Redemption reversed',
    unknown_code: 'Unknown code',
    wrong_branch: 'Another branch',
    not_pending: 'Redemption is not pending',
    unknown_offer: 'Unknown offer',
    invalid_request: 'Invalid request',
    unauthorized: 'Unauthorized',
    forbidden: 'Forbidden',
    not_found: 'Not found',
    idempotency_key_missing: 'Idempotency-Key is missing',
    idempotency_key_reused: 'Idempotency-Key was reused',
    idempotency_in_progress: 'Request in progress',
    rate_limited: 'Too many requests',
    overloaded: 'Service busy',
    internal: 'Internal error',
  },
  details: {
    insufficient_points: 'You do not have enough Lümis for this offer.',
    offer_inactive: 'This offer is not active.',
    offer_not_started: 'This offer has not started yet.',
    offer_ended: 'This offer has ended.',
    out_of_stock: 'This offer is sold out.',
    limit_member: 'You have redeemed this offer as often as one person may.',
    limit_period: 'The most redemptions of this period has been reached.',
    outside_hours: 'This offer cannot be used at this hour.',
    already_redeemed: 'This code has been used. Do not hand over again.',
    expired: 'This code has expired. Do not hand over.',
    cancelled: 'This redemption was cancelled. Do not hand over.',
    reversed: 'This redemption was reversed. Do not hand over.',
    unknown_code: 'We do not know this code. Check it and try again.',
    wrong_branch: 'This code is for another branch.',
    not_pending: 'The redemption is no longer pending.',
    unknown_offer: 'There is no such offer.',
    invalid_request: 'The request has missing or invalid data; see "errors".',
    unauthorized: 'A valid credential is missing. Sign in, or check your key.',
    forbidden: 'This credential does not allow that.',
    not_found: 'It does not exist, or it is not yours.',
    idempotency_key_missing:
      'This operation needs the header Idempotency-Key: a new key per operation, the same one when you repeat it.',
    idempotency_key_reused: 'This Idempotency-Key was used for another request; use a new one.',
    idempotency_in_progress:
      'The same request is being processed; repeat it in a few seconds with the same key.',
    rate_limited: 'Too many requests; wait as long as Retry-After says.',
    overloaded:
      'The service is busy and we do not know whether it was done; repeat the request with the same key.',
    internal: 'Something failed on our side. If it happens again, tell us the request_id.',
  },
  fields: {
    cursor: 'is not a cursor of this list',
    name_taken: 'a merchant of this name exists',
    unknown_merchant: 'there is no such merchant',
    price_positive: 'an active offer needs a price above zero',
    window_order: 'must be after valid_from',
    text: 'has characters that cannot be stored',
    idempotency_key: '1 to 255 printable ASCII characters',
    media_type: 'the content must be application/json',
    too_large: 'the content exceeds 32 kB',
    json: 'the content is not valid JSON',
    pending: 'the redemption is pending; cancel it instead of reversing it',
  },
};

export const WORDS: Record<Locale, Words> = { es, en };

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

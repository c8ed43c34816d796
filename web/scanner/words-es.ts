import { atTime, sentence, theHour } from '../shared/format.ts';
import type { Place, Sayings } from './verdict-words.ts';

const STOP = 'No entregues.';
const NOT_YET = 'No entregues todavía.';
const KEPT = 'Lo guardamos para reintentar.';
const UNKNOWN = 'No reconocemos este código';
const nameOf = ({ offer_name }: { offer_name: string | null }) => offer_name ?? screens.unnamed;
const at = (iso: string, { isToday, time, dateTime }: Place) =>
  isToday(iso) ? `hoy ${atTime(time(iso))}` : `el ${dateTime(iso)}`;
const inBranch = (name: string | undefined) => (name ? ` en ${name}` : '');

/** The counter's screens in Spanish, the source. */
export const screens = {
  app: 'Lümis Caja',
  skip: 'Ir al código a mano',
  failed: 'Algo falló de nuestro lado. Prueba otra vez.',
  start: 'Empezar turno',
  start_what: 'Al empezar se enciende la cámara, suena una prueba y la pantalla queda despierta.',
  offline_title: 'Si te quedas sin conexión',
  offline_can: 'Se pueden leer códigos: quedan guardados para reintentar.',
  offline_cannot: 'No se pueden verificar ni confirmar. No entregues hasta confirmar.',
  today: 'Hoy',
  today_count: (count: string, isOne: boolean) => `${count} ${isOne ? 'canje' : 'canjes'}`,
  today_title: 'Canjes de hoy',
  today_none: 'Todavía no hay canjes hoy.',
  today_until: (time: string) => `Hasta ${theHour(time)}`,
  today_more: 'Ver más',
  today_failed: 'No se pudo cargar la lista.',
  reversed: 'Anulado',
  ends_in: (ending: string) => `…${ending}`,
  no_device: 'Sin equipo',
  unnamed: 'Oferta sin nombre',
  confirm: 'Confirmar canje',
  confirming: 'Confirmando…',
  cancel: 'Cancelar',
  next: 'Siguiente',
  again: 'Escanear otra vez',
  type: 'Escribir',
  later: 'Dejarlo pendiente',
  see_pending: 'Ver pendientes',
  close: 'Cerrar',
  retry: 'Reintentar',
  not_loaded: 'La página no terminó de cargar. Revisa la conexión.',
  camera: 'Cámara',
  camera_starting: 'Encendiendo la cámara…',
  camera_denied: 'La cámara está bloqueada',
  camera_denied_how: 'Actívala en los permisos del sitio o escribe el código.',
  camera_denied_show: 'Cómo activarla',
  camera_denied_steps: [
    'Toca el candado o el icono junto a la dirección.',
    'Abre Permisos y permite la cámara.',
    'Vuelve aquí y toca Reintentar.',
  ],
  camera_missing: 'No encontramos una cámara',
  camera_missing_how: 'Escribe el código o usa un lector de mano.',
  camera_busy: 'Otra aplicación usa la cámara',
  camera_busy_how: 'Ciérrala y reintenta, o escribe el código.',
  camera_insecure: 'La cámara necesita una dirección segura',
  camera_insecure_how: 'Abre esta página con https, o escribe el código.',
  camera_asleep: 'La cámara se detuvo',
  camera_asleep_do: 'Tocar para reactivar',
  camera_unreadable: 'El lector de QR no cargó',
  camera_unreadable_how: 'Recarga la página con conexión, o escribe el código.',
  aim: 'Apunta al QR del cliente',
  lens: '¿No lo lee? Acércalo, limpia el lente o cambia de cámara.',
  torch: 'Linterna',
  next_lens: 'Cambiar cámara',
  zoom: 'Acercar',
  manual: 'Código a mano',
  manual_do: 'Verificar',
  checking: 'Verificando…',
  slow: 'Tarda más de lo normal. Seguimos intentando; no cierres.',
  manual_empty: 'Escribe el código que está debajo del QR.',
  manual_short: (count: number) => `Revisa el código: tiene ${count} de 16 símbolos.`,
  manual_wrong: 'Revisa el código: hay algún símbolo equivocado.',
  manual_url: 'Esa dirección no es de un canje.',
  manual_other: 'Un código solo tiene letras y números: LUMS-XXXX-XXXX-XXXX-XXXX.',
  manual_pairing: 'Eso es un código de vinculación, no un canje.',
  offline_now: 'Sin conexión: se lee, pero no se verifica.',
  not_kept: 'Este navegador no guarda datos: no cierres esta página durante el turno.',
  update: 'Hay una versión nueva.',
  update_do: 'Actualizar',
  tray: (count: number) =>
    count === 1 ? '1 código sin verificar' : `${count} códigos sin verificar`,
  unanswered: (count: number) =>
    count === 1 ? '1 confirmación sin comprobar' : `${count} confirmaciones sin comprobar`,
  see: 'Ver',
  check: 'Comprobar ahora',
  settings: 'Ajustes',
  wait: (seconds: number) => `Demasiados intentos. Espera ${seconds} s.`,
};

export type Screens = typeof screens;

/** What a verdict says in Spanish: what happened, then the order, then the way out. */
export const verdicts: Sayings = {
  valid: ({ redemption, notice, wait_until = 0 }, { points, span, left }) => ({
    title: 'Válido',
    offer: nameOf(redemption),
    order: left(wait_until) ? screens.wait(left(wait_until)) : 'Confirma para entregarlo.',
    body: notice
      ? 'Sin conexión: todavía no se confirmó. No entregues.'
      : `${points(redemption.lumis_spent)}. Vence en ${span(redemption.code_expires_at)}.`,
  }),
  confirming: ({ redemption, is_slow }) => ({
    title: 'Válido',
    offer: nameOf(redemption),
    order: screens.confirming,
    body: is_slow ? screens.slow : 'No entregues todavía.',
  }),
  confirmed: ({ redemption }, { points, time }) => ({
    title: 'Canje confirmado',
    order: 'Entrega',
    offer: nameOf(redemption),
    body: `${points(redemption.lumis_spent)}, ${time(redemption.validated_at)}`,
  }),
  unsure: ({ pending, is_checking }) => ({
    title: 'No sabemos si se confirmó',
    order: 'Espera: no entregues todavía.',
    offer: nameOf(pending),
    body: is_checking ? 'Lo estamos comprobando…' : 'Al comprobarlo nunca se confirma dos veces.',
  }),
  used: ({ redeemed_at, redeemed_branch }, place) => ({
    title: 'Ya se usó',
    order: STOP,
    body:
      redeemed_at && sentence(`Se canjeó ${at(redeemed_at, place)}${inBranch(redeemed_branch)}`),
  }),
  used_here: ({ seconds }, { ago }) => ({
    title: `Ya lo confirmaste hace ${ago(seconds)}`,
    order: 'No entregues otra vez.',
    body: 'No hace falta confirmarlo de nuevo.',
  }),
  expired: ({ expired_at }, place) => ({
    title: 'Código vencido',
    order: STOP,
    body: `${expired_at ? `Venció ${at(expired_at, place)}; el` : 'El'} cliente puede generar otro.`,
  }),
  cancelled: () => ({ title: 'Este canje se canceló', order: STOP }),
  reversed: () => ({
    title: 'Este canje se anuló',
    order: STOP,
    body: 'Los Lümis volvieron al cliente.',
  }),
  wrong_branch: () => ({ title: 'Vale en otra sucursal', order: STOP }),
  unknown: () => ({
    title: UNKNOWN,
    order: STOP,
    body: 'Puede ser de otro comercio: revísalo y prueba de nuevo.',
  }),
  not_ours: () => ({ title: UNKNOWN, order: STOP, body: 'No es de un canje de Lümis.' }),
  for_pairing: () => ({
    title: 'No es un canje',
    order: STOP,
    body: 'Este QR sirve para vincular un teléfono.',
  }),
  offline: () => ({ title: 'Sin conexión: no se verificó', order: NOT_YET, body: KEPT }),
  no_answer: () => ({
    title: 'Sin respuesta: no se verificó',
    order: NOT_YET,
    body: `El servidor no contestó. ${KEPT}`,
  }),
  server: () => ({
    title: 'No se pudo verificar',
    order: NOT_YET,
    body: `Algo falló de nuestro lado. ${KEPT}`,
  }),
  too_many: ({ wait_until }, { left }) => ({
    title: 'Demasiados intentos',
    order: left(wait_until) ? `Espera ${left(wait_until)} s.` : 'Ya puedes reintentar.',
    body: 'No se verificó: no entregues todavía.',
  }),
};

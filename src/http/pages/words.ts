import type { Locale } from '../locale.ts';

// Spanish is the source: what is missing or left over in English does not compile.
const es = {
  /** for Intl: dates, the clock, the time zone's name */
  tag: 'es-PA',
  /** the way to the other language, in that language */
  otherLanguage: { locale: 'en' as Locale, name: 'English' },
  landing: {
    about: 'Canje de Lümis: qué es, dónde vale y hasta cuándo.',
    unnamedOffer: 'Canje de Lümis',
    anyMerchant: 'Cualquier comercio participante',
    where: { open: 'Dónde vale', closed: 'Dónde valía' },
    until: { open: 'Vale hasta', closed: 'Valía hasta', expired: 'Venció' },
    usedAt: 'Se usó',
    whoScans: 'Quién lo escanea',
    whoScansText: 'Quien te atiende en el comercio, con su lector',
    wallet: 'Abrir mi billetera',
    privacy: 'Por tu seguridad, aquí no se muestran el código ni a quién pertenece.',
    verdict: {
      pending: {
        title: 'Aún no se ha usado',
        order: 'Muestra el QR en el comercio: allí lo escanean, lo confirman y te lo entregan.',
      },
      confirmed: {
        title: 'Ya se usó',
        order: 'Este QR no sirve otra vez. Si fuiste tú, ¡que lo disfrutes!',
      },
      cancelled: { title: 'Se canceló', order: 'Este QR ya no sirve.' },
      reversed: {
        title: 'Se anuló',
        order: 'Se había usado y después se anuló. Este QR ya no sirve.',
      },
      expired: {
        title: 'Se venció',
        order: 'Este QR ya no sirve. Si la oferta sigue disponible, puedes canjearla otra vez.',
      },
      unknown: {
        title: 'Este enlace no corresponde a un canje',
        order: 'Revisa que esté completo o vuelve a escanear el QR.',
      },
    },
    staff: {
      title: '¿Atiendes en el comercio?',
      open: {
        order: 'No entregues por lo que dice esta página.',
        rest: 'Escanea el QR con tu lector y confirma el canje.',
      },
      closed: { order: 'No entregues.', rest: 'Con este enlace ya no se entrega nada.' },
      unknown: { order: 'No entregues.', rest: 'Con este enlace no se entrega nada.' },
    },
  },
  home: {
    title: 'Aquí se canjean Lümis',
    lead: 'Lümis es un sistema de canje de puntos. Cada punto que se mueve queda anotado.',
    stepsTitle: 'Cómo funciona',
    steps: [
      'El miembro elige una oferta y la paga con sus puntos.',
      'Recibe un código QR que vale una sola vez.',
      'El comercio lo escanea, lo confirma y entrega.',
    ],
    demo: {
      title: 'Demostración',
      text:
        'Los datos son inventados. La terminal donde se inició muestra cómo entrar ' +
        'y un recorrido para probar.',
    },
    whereTitle: 'A dónde ir',
    audiences: {
      member: {
        title: 'Tengo puntos',
        text:
          'Canjea desde la aplicación de tu programa de puntos. Si tienes un QR, escanéalo ' +
          'con la cámara: verás qué es y hasta cuándo vale.',
      },
      merchant: {
        title: 'Atiendo en un comercio',
        text:
          'Valida y confirma los canjes desde tu caja, conectada con la clave de tu comercio. ' +
          'Te la da quien administra el programa.',
      },
      admin: {
        title: 'Administro el programa',
        text:
          'Ofertas, comercios, claves y soporte se manejan por la API con un token de ' +
          'administración, o con el comando lumis en el servidor.',
      },
      integrator: {
        title: 'Conecto otro sistema',
        text: 'Todo se hace por una API HTTP, descrita y lista para probar.',
      },
      operator: {
        title: 'Cuido el servidor',
        text: 'Para vigilar que todo esté en pie.',
      },
    },
    links: {
      docs: 'Documentación de la API',
      openapi: 'Esquema OpenAPI',
      healthz: '¿Está encendido?',
      readyz: '¿Puede atender?',
      metrics: 'Métricas',
    },
    version: 'versión',
  },
};

/** Every word of the pages in one language. */
export type Words = typeof es;

const en = {
  tag: 'en-001', // international English: the day comes before the month, as in Panama
  otherLanguage: { locale: 'es' as Locale, name: 'Español' },
  landing: {
    about: 'Lümis redemption: what it is, where it is valid and until when.',
    unnamedOffer: 'Lümis redemption',
    anyMerchant: 'Any participating merchant',
    where: { open: 'Where to use it', closed: 'Where it was valid' },
    until: { open: 'Valid until', closed: 'Was valid until', expired: 'Expired' },
    usedAt: 'Used',
    whoScans: 'Who scans it',
    whoScansText: 'Whoever serves you at the merchant, with their scanner',
    wallet: 'Open my wallet',
    privacy: 'For your safety, neither the code nor its owner is shown here.',
    verdict: {
      pending: {
        title: 'Not used yet',
        order: 'Show the QR at the merchant: they scan it, confirm it and hand it over.',
      },
      confirmed: {
        title: 'Already used',
        order: 'This QR does not work twice. If that was you, enjoy!',
      },
      cancelled: { title: 'Cancelled', order: 'This QR no longer works.' },
      reversed: {
        title: 'Reversed',
        order: 'It had been used and was then reversed. This QR no longer works.',
      },
      expired: {
        title: 'Expired',
        order: 'This QR no longer works. If the offer is still there, you can redeem it again.',
      },
      unknown: {
        title: 'This link is not a redemption',
        order: 'Check that it is complete, or scan the QR again.',
      },
    },
    staff: {
      title: 'Do you work at the merchant?',
      open: {
        order: 'Do not hand anything over because of this page.',
        rest: 'Scan the QR with your scanner and confirm the redemption.',
      },
      closed: { order: 'Do not hand it over.', rest: 'This link no longer counts.' },
      unknown: { order: 'Do not hand it over.', rest: 'This link does not count.' },
    },
  },
  home: {
    title: 'Lümis are redeemed here',
    lead: 'Lümis is a redemption system for loyalty points. Every point that moves is on record.',
    stepsTitle: 'How it works',
    steps: [
      'A member picks an offer and pays for it with points.',
      'They get a QR code that is good for one use.',
      'The merchant scans it, confirms it and hands it over.',
    ],
    demo: {
      title: 'Demonstration',
      text:
        'The data is made up. The terminal where this was started shows how to sign in ' +
        'and a walk to try it.',
    },
    whereTitle: 'Where to go',
    audiences: {
      member: {
        title: 'I have points',
        text:
          "Redeem them in your points programme's app. If you have a QR, scan it with your " +
          'camera: you will see what it is and until when it is valid.',
      },
      merchant: {
        title: 'I work at a merchant',
        text:
          "Validate and confirm redemptions from your till, connected with your merchant's key. " +
          'Whoever runs the programme hands it out.',
      },
      admin: {
        title: 'I run the programme',
        text:
          'Offers, merchants, keys and support are managed through the API with an ' +
          'administration token, or with the lumis command on the server.',
      },
      integrator: {
        title: 'I connect another system',
        text: 'Everything is done through one HTTP API, described and ready to try.',
      },
      operator: {
        title: 'I look after the server',
        text: 'To watch that everything is up.',
      },
    },
    links: {
      docs: 'API documentation',
      openapi: 'OpenAPI schema',
      healthz: 'Is it on?',
      readyz: 'Can it serve?',
      metrics: 'Metrics',
    },
    version: 'version',
  },
} satisfies Words;

/** The words of the pages, by language. */
export const WORDS: Record<Locale, Words> = { es, en };

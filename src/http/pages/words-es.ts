import type { Locale } from '../locale.ts';

/** The words of the pages in Spanish, the source: what differs in English does not compile. */
export const es = {
  /** for Intl: dates, the clock, the time zone's name */
  tag: 'es-PA',
  /** the way to the other language, in that language */
  otherLanguage: { locale: 'en' as Locale, name: 'English' },
  skip: 'Ir al contenido',
  /** what the mark at the top leads to */
  front: 'Lümis, ir al inicio',
  landing: {
    about: 'Canje de Lümis: qué es, dónde vale y hasta cuándo.',
    unnamedOffer: 'Canje de Lümis',
    anyMerchant: 'Cualquier comercio participante',
    where: { open: 'Dónde vale', closed: 'Dónde valía' },
    until: { open: 'Vale hasta', closed: 'Valía hasta', expired: 'Venció' },
    usedAt: 'Se usó',
    whoScans: 'Quién lo escanea',
    whoScansText: 'Quien te atiende en el comercio, con su lector',
    qr: 'Código QR de este canje',
    wallet: 'Abrir mi billetera',
    privacy: 'Por tu seguridad, aquí no se muestran el código ni a quién pertenece.',
    verdict: {
      pending: {
        title: 'Aún no se ha usado',
        order: 'Muestra este QR en el comercio: allí lo escanean, lo confirman y te lo entregan.',
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
      scanner: 'Abrir el lector',
      open: {
        order: 'No entregues por lo que dice esta página.',
        rest: 'Escanea el QR con tu lector y confirma el canje.',
      },
      closed: { order: 'No entregues.', rest: 'Con este enlace ya no se entrega nada.' },
      unknown: { order: 'No entregues.', rest: 'Con este enlace no se entrega nada.' },
    },
  },
  fault: {
    about: 'Lümis no pudo mostrar lo que buscabas.',
    retry: 'Intentar otra vez',
    front: 'Ir al inicio',
    reference: 'Referencia para soporte:',
    kinds: {
      not_found: { title: 'Esta página no existe', order: 'Revisa la dirección.' },
      unreadable: {
        title: 'No entendimos esta dirección',
        order: 'Revisa que esté completa o vuelve a escanear el QR.',
      },
      rate_limited: {
        title: 'Demasiados intentos',
        order: 'Espera {n} s y vuelve a intentarlo. Ningún canje ha cambiado.',
      },
      overloaded: {
        title: 'No podemos responder ahora',
        order: 'Espera {n} s y vuelve a intentarlo. Abrir esta página no cambia ningún canje.',
      },
      internal: {
        title: 'Algo falló de nuestro lado',
        order: 'Espera {n} s y vuelve a intentarlo. Abrir esta página no cambia ningún canje.',
      },
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
      apps:
        'Abre la billetera y elige un miembro de prueba; abre el lector y conéctalo con ' +
        'Café Test. Para usar teléfonos de verdad, inicia con:',
    },
    certificate: {
      title: '¿Tu teléfono avisa que la conexión no es privada?',
      text:
        'Es porque no conoce el certificado de esta computadora. Puedes continuar, o instalar ' +
        'su autoridad para que no avise más. Quítala cuando termines de probar.',
      link: 'Descargar el certificado',
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
    /** instead of an audience's text, where the apps are served */
    withApps: {
      member: 'En la billetera están tu saldo, las ofertas y el QR de cada canje.',
      merchant:
        'El lector escanea y confirma canjes con la cámara de un teléfono. Quien administra el ' +
        'programa te da el QR que lo conecta con tu comercio.',
    },
    links: {
      wallet: 'Abrir la billetera',
      scanner: 'Abrir el lector',
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
